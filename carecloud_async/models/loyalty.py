"""Loyalty: read models."""

from __future__ import annotations

from enum import IntEnum

from attrs import field, frozen

from carecloud_async.models.base import PERSONAL, READ_ONLY, LocalDatetime, Model
from carecloud_async.models.wallet import QualificationTurnover


class QualificationType(IntEnum):
    """How a status is reached."""

    ON_REGISTRATION = 0
    MANUAL = 1
    BY_CONDITIONS = 2


@frozen(kw_only=True, repr=False)
class Credit(Model):
    """A record of credits that a customer earned."""

    credit_id: str = field(metadata=READ_ONLY)
    customer_id: str | None = None
    assigned_credits: float | None = field(default=None, metadata=READ_ONLY)
    """Credits that were given."""
    available_credits: float | None = field(default=None, metadata=READ_ONLY)
    """Credits left."""
    credit_type_id: str | None = None
    partner_id: str | None = None
    valid_to: LocalDatetime | None = None
    """When the credits expire."""
    currency_id: str | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)
    note: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)


@frozen(kw_only=True, repr=False)
class CreditHistoryRecord(Model):
    """An operation on credits."""

    customer_id: str | None = field(default=None, metadata=READ_ONLY)
    amount: float | None = field(default=None, metadata=READ_ONLY)
    credit_operation_type: str | None = field(default=None, metadata=READ_ONLY)
    """Kind of the operation."""
    credit_operation_note: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)
    """Note of the operation."""
    partner_id: str | None = None
    currency_id: str | None = field(default=None, metadata=READ_ONLY)
    store_id: str | None = field(default=None, metadata=READ_ONLY)
    credit_history_record_time: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When it happened, in project-local time."""


@frozen(kw_only=True, repr=False)
class CreditType(Model):
    """A kind of credits."""

    credit_type_id: str = field(metadata=READ_ONLY)
    name: str | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class Point(Model):
    """A record of points that a customer earned."""

    point_id: str = field(metadata=READ_ONLY)
    customer_id: str | None = None
    assigned_points: float | None = field(default=None, metadata=READ_ONLY)
    """Points that were given."""
    available_points: float | None = field(default=None, metadata=READ_ONLY)
    """Points left."""
    point_type_id: str | None = None
    partner_id: str | None = None
    valid_to: LocalDatetime | None = None
    """When the points expire."""
    state: int | None = field(default=None, metadata=READ_ONLY)
    created_at: LocalDatetime | None = None
    """When the points were given, in project-local time."""
    note: str | None = field(default=None, metadata=PERSONAL)


@frozen(kw_only=True, repr=False)
class PointHistoryRecord(Model):
    """An operation on points."""

    customer_id: str | None = field(default=None, metadata=READ_ONLY)
    point_amount: float | None = field(default=None, metadata=READ_ONLY)
    """Points of the operation."""
    point_operation_type: str | None = field(default=None, metadata=READ_ONLY)
    """Kind of the operation."""
    point_operation_note: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)
    """Note of the operation."""
    point_type_id: str | None = None
    partner_id: str | None = None
    store_id: str | None = field(default=None, metadata=READ_ONLY)
    point_history_record_time: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When it happened, in project-local time."""
    extended_data: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)
    """Details of the purchase, expiration or another cause."""


@frozen(kw_only=True, repr=False)
class PointReservation(Model):
    """Reserved points."""

    points_reservation_id: str = field(metadata=READ_ONLY)
    customer_id: str | None = None
    external_id: str | None = None
    """Id of the point reservation in another system."""
    quantity: float | None = None
    """The quantity."""
    state: int | None = field(default=None, metadata=READ_ONLY)
    expiration: LocalDatetime | None = None
    """When the reservation ends."""


@frozen(kw_only=True, repr=False)
class PointType(Model):
    """A kind of points."""

    point_type_id: str = field(metadata=READ_ONLY)
    name: str | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class PurchaseConditions(Model):
    """What a customer needs to keep or reach a status."""

    keep_status_turnover: tuple[QualificationTurnover, ...] = field(default=(), metadata=READ_ONLY)
    """Turnover missing to keep the present status, by currency."""
    next_status_turnover: tuple[QualificationTurnover, ...] = field(default=(), metadata=READ_ONLY)
    """Turnover missing to the next status, by currency."""
    keep_status_points: float | None = None
    """Points missing to keep the present status."""
    next_status_points: float | None = None
    """Points missing to the next status."""
    next_status_id: str | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class StatusRecord(Model):
    """A loyalty status of a customer, now or in the past."""

    status_record_id: str = field(metadata=READ_ONLY)
    status_id: str | None = None
    customer_id: str | None = None
    valid_from: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the customer reached the status."""
    valid_to: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the status ends."""
    purchase_conditions: PurchaseConditions = field(default=PurchaseConditions(), metadata=READ_ONLY)
    """What the customer needs to keep or reach a status."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class Status(Model):
    """A loyalty status."""

    status_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    description: str | None = None
    qualification_period: int | None = None
    """Months in which the status must be earned."""
    qualification_turnover: tuple[QualificationTurnover, ...] = ()
    """Turnover that the status takes."""
    qualification_points: float | None = None
    """Points that the status takes."""
    previous_status: str | None = None
    """Id of the status that must be held before."""
    next_status: str | None = None
    """Id of the status that follows."""
    validity_period: str | None = None
    """How long the status is valid."""
    collection_points: bool | None = None
    """Whether points are collected."""
    payment_points: bool | None = None
    """Whether points can be used to pay."""
    qualification_type: int | None = None
    """How the status is reached: 0 on registration, 1 manual, 2 by conditions (`QualificationType`)."""
    discount: int | None = None
    """Discount in percent."""
    overall_discount_on_discounted_purchase_items: bool | None = field(default=None, metadata=READ_ONLY)
    """Whether overall discounts apply to items that are discounted already."""
    text_id: str | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
