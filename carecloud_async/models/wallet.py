"""A customer's wallet: turnover, points, credits and what expires."""

from __future__ import annotations

from datetime import date

from attrs import field, frozen

from carecloud_async.models.base import READ_ONLY, Model


@frozen(kw_only=True, repr=False)
class QualificationTurnover(Model):
    """Turnover in one currency."""

    currency_id: str | None = None
    value: float | None = None
    """Amount in that currency."""
    due_date: date | None = None
    """Day by which the turnover must be reached; `None` if there is no limit."""


@frozen(kw_only=True, repr=False)
class MoneyValue(Model):
    """An amount of money."""

    currency_id: str | None = field(default=None, metadata=READ_ONLY)
    value: float | None = field(default=None, metadata=READ_ONLY)
    """Amount in that currency."""


@frozen(kw_only=True, repr=False)
class CreditWalletSummary(Model):
    """A customer's credits in one currency."""

    currency_id: str | None = field(default=None, metadata=READ_ONLY)
    earned_credits: float | None = None
    """Credits earned in the interval."""
    redeemed_credits: float | None = None
    """Credits spent in the interval."""
    available_credits: float | None = None
    """Credits left at this moment, whatever the interval."""


@frozen(kw_only=True, repr=False)
class PointsOverview(Model):
    """A customer's points, in an interval and now."""

    earned_points: float | None = None
    """Points earned in the interval."""
    redeemed_points: float | None = None
    """Points spent in the interval."""
    available_points: float | None = None
    """Points left at this moment, whatever the interval."""
    available_points_money_value: tuple[MoneyValue, ...] = ()
    """What the available points are worth in each currency; empty where points cannot pay."""


@frozen(kw_only=True, repr=False)
class CreditsOverview(Model):
    """A customer's credits, in an interval and now."""

    earned_credits: float | None = None
    """Credits earned in the interval."""
    redeemed_credits: float | None = None
    """Credits spent in the interval."""
    available_credits: float | None = None
    """Credits left at this moment, whatever the interval."""
    split_by_currency: tuple[CreditWalletSummary, ...] = ()
    """The same for each currency."""


@frozen(kw_only=True, repr=False)
class ExpirationOverview(Model):
    """When a customer's points or credits expire."""

    next_amount: float | None = None
    """How much expires next."""
    next_date: date | None = None
    """Day on which it expires, in the project's zone."""
    current_month_amount: float | None = None
    """How much expires this month."""
