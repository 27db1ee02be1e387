# pyright: reportReturnType=false
"""`client.points`, `client.point_history`, `client.point_reservations`, `client.point_types`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, Unpack

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.family import BulkWrites, FoundRecords, Key
from carecloud_async.bulk.family import Family as BulkFamily
from carecloud_async.resources.bulk_writing import BulkWriting
from carecloud_async.resources.declare import Paging, Resource, SubResource, gets, lists, posts
from carecloud_async.resources.filters import PurchaseFilters

if TYPE_CHECKING:
    from carecloud_async.models import *


class PointPurchases(Resource, call="points.purchases"):
    """The purchases of one point."""

    @lists("getSubPointPurchases", "/points/{point_id}/purchases", id_field="purchase_id")
    def list(
        self,
        *,
        customer_id: str | None = None,
        external_purchase_id: str | None = None,
        **filters: Unpack[PurchaseFilters],
    ) -> Listing[Purchase]:
        """List purchases of the point that match all filters (`GET /points/{point_id}/purchases`).

        Args:
            customer_id: id of the customer.
            external_purchase_id: id of the purchase in the shop's own system.
            **filters: `store_id`, `type_id`, `payment_time_from`, `payment_time_to`, `purchase_items_extension`,
                `count`, `offset`, `sort_field`, `sort_direction`; see `PurchaseFilters`.
        """


async def _find(family: BulkFamily, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    from carecloud_async.resources.actions_in_bulk import POINTS  # few programs write in bulk

    return await POINTS.find(PointHistory(family.caller).list, keys)


class Points(BulkWriting, call="points"):
    """The points that customers earned."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(Key(name="reference", fields=("customer_id", "reference"), ids=1, in_record=False, find=_find),)
    )

    def _as_family(self) -> BulkFamily:
        from carecloud_async.resources.actions_in_bulk import POINTS, Amounts  # few programs write in bulk

        return Amounts(self, self._bulk, POINTS)

    purchases: SubResource[PointPurchases] = SubResource(PointPurchases)

    @lists("getPoints", "/points", id_field="point_id")
    def list(
        self,
        *,
        customer_id: str | None = None,
        point_type_id: str | None = None,
        create_point_time_from: datetime | str | None = None,
        create_point_time_to: datetime | str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Point]:
        """List points that match all filters (`GET /points`).

        Args:
            customer_id: id of the customer.
            point_type_id: id of the point type.
            create_point_time_from: from this time on.
            create_point_time_to: until this time.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getPoint", "/points/{point_id}")
    async def get(self, point_id: str) -> Point:
        """Return the point with this id (`GET /points/{point_id}`)."""

    @posts("postPointsRedemption", "/points/actions/reduce-points", unwrap="point_id", interfaces=ENTERPRISE_ONLY)
    async def reduce_points(
        self,
        *,
        amount: float | Decimal,
        customer_id: str,
        partner_id: str | None = None,
        point_type_id: str | None = None,
        note: str | None = None,
    ) -> str:
        """Redeem points and return the redemption's id (`POST /points/actions/reduce-points`). Enterprise API only.

        Args:
            amount: the quantity.
            customer_id: id of the customer.
            partner_id: id of the partner; required by the API's documentation, some servers accept calls without it.
            point_type_id: id of the point type.
            note: free text for the history.
        """

    @posts("postPointsAssign", "/points/actions/assign-points", unwrap="point_id", interfaces=ENTERPRISE_ONLY)
    async def assign_points(
        self,
        *,
        amount: float | Decimal,
        customer_id: str,
        partner_id: str | None = None,
        point_type_id: str | None = None,
        note: str | None = None,
    ) -> str:
        """Give points and return the record's id (`POST /points/actions/assign-points`). Enterprise API only.

        Args:
            amount: the quantity.
            customer_id: id of the customer.
            partner_id: id of the partner; required by the API's documentation, some servers accept calls without it.
            point_type_id: id of the point type.
            note: free text for the history.
        """

    @posts("postPointsTransfer", "/points/actions/transfer-points")
    async def transfer_points(
        self,
        *,
        original_customer_id: str,
        new_customer_id: str,
        amount: float | Decimal,
        point_type_id: str,
        note: str | None = None,
    ) -> None:
        """Transfer points from one customer to another (`POST /points/actions/transfer-points`).

        Args:
            original_customer_id: id of the customer who gives.
            new_customer_id: id of the customer who receives.
            amount: the quantity.
            point_type_id: id of the point type.
            note: free text for the history.
        """

    @posts("postPointsSynchronize", "/points/actions/synchronize-points")
    async def synchronize_points(
        self, *, customer_id: str, amount: float | Decimal, partner_id: str | None = None, note: str | None = None
    ) -> None:
        """Set how many points the customer has (`POST /points/actions/synchronize-points`).

        Args:
            customer_id: id of the customer.
            amount: the quantity.
            partner_id: id of the partner.
            note: free text for the history.
        """


class PointHistory(Resource, call="point_history"):
    """The operations on customers' points: earned, spent, expired."""

    @lists("getPointHistory", "/point-history", id_field=None)
    def list(
        self,
        *,
        customer_id: str,
        store_id: str | None = None,
        partner_id: str | None = None,
        time_from: datetime | str | None = None,
        time_to: datetime | str | None = None,
        point_operation_type: str | None = None,
        point_operation_note: str | None = None,
        point_type_id: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[PointHistoryRecord]:
        """List point history that matches all filters (`GET /point-history`).

        Args:
            customer_id: id of the customer.
            store_id: id of the store.
            partner_id: id of the partner.
            time_from: from this time on.
            time_to: until this time.
            point_operation_type: kind of the operation or a part of it.
            point_operation_note: note or a part of it.
            point_type_id: id of the point type.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """


class PointReservations(Resource, call="point_reservations"):
    """Points of customers that are set aside."""

    @lists("getPointReservations", "/point-reservations", id_field="points_reservation_id")
    def list(
        self, *, customer_id: str | None = None, external_id: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[PointReservation]:
        """List point reservations by customer and by `external_id` of another system (`GET /point-reservations`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getPointReservation", "/point-reservations/{point_reservation_id}")
    async def get(self, point_reservation_id: str) -> PointReservation:
        """Return the point reservation with this id (`GET /point-reservations/{point_reservation_id}`)."""

    @posts("postPointReservationCreate", "/point-reservations/actions/reserve-points")
    async def reserve_points(
        self,
        *,
        external_id: str,
        customer_id: str,
        amount: float | Decimal,
        expiration_time: datetime | str | None = None,
    ) -> None:
        """Reserve points until redeemed, freed or expired (`POST /point-reservations/actions/reserve-points`).

        Args:
            external_id: id of the record in another system.
            customer_id: id of the customer.
            amount: the quantity.
            expiration_time: when the reservation ends.
        """

    @posts("postPointReservationRelease", "/point-reservations/actions/free-points")
    async def free_points(self, *, external_id: str) -> None:
        """Free the points reserved under this `external_id` (`POST /point-reservations/actions/free-points`)."""


class PointTypes(Resource, call="point_types"):
    """The kinds of points."""

    @lists("getPointsTypes", "/point-types", id_field="point_type_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[PointType]:
        """List point types (`GET /point-types`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getPointType", "/point-types/{point_type_id}")
    async def get(self, point_type_id: str) -> PointType:
        """Return the point type with this id (`GET /point-types/{point_type_id}`)."""
