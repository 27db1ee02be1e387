# pyright: reportReturnType=false
"""`client.wallet`: turnover, points and credits of a customer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from carecloud_async.resources.declare import Resource, gets

if TYPE_CHECKING:
    from carecloud_async.models import CreditsOverview, ExpirationOverview, PointsOverview, QualificationTurnover


class Wallet(Resource, call="wallet"):
    """What a customer has turned over, earned, spent and is about to lose."""

    @gets("getWalletSalesTurnover", "/wallet/actions/sales-turnover", unwrap="turnover")
    async def sales_turnover(
        self, *, customer_id: str, date_from: date | str | None = None, date_to: date | str | None = None
    ) -> tuple[QualificationTurnover, ...]:
        """Return a customer's turnover by currency between two days (`GET /wallet/actions/sales-turnover`)."""

    @gets("getWalletPoints", "/wallet/actions/points-overview")
    async def points_overview(
        self, *, customer_id: str, date_from: date | str | None = None, date_to: date | str | None = None
    ) -> PointsOverview:
        """Return a customer's points between two days (`GET /wallet/actions/points-overview`)."""

    @gets("getWalletCredits", "/wallet/actions/credits-overview")
    async def credits_overview(
        self,
        *,
        customer_id: str,
        date_from: date | str | None = None,
        date_to: date | str | None = None,
        credit_type_id: str | Sequence[str] | None = None,
    ) -> CreditsOverview:
        """Return a customer's credits (`GET /wallet/actions/credits-overview`).

        Args:
            customer_id: the customer.
            date_from: first day of the interval.
            date_to: last day of the interval.
            credit_type_id: the credit type, or several.
        """

    @gets("getWalletPointsExpiration", "/wallet/actions/points-expiration-overview")
    async def points_expiration_overview(self, *, customer_id: str) -> ExpirationOverview:
        """Return when a customer's points expire (`GET /wallet/actions/points-expiration-overview`)."""

    @gets("getWalletCreditsExpiration", "/wallet/actions/credits-expiration-overview")
    async def credits_expiration_overview(self, *, customer_id: str) -> ExpirationOverview:
        """Return when a customer's credits expire (`GET /wallet/actions/credits-expiration-overview`)."""
