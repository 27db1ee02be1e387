# pyright: reportReturnType=false
"""`client.vouchers`, `client.voucher_properties`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Unpack

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.family import BulkWrites, Key
from carecloud_async.resources.batches import batches
from carecloud_async.resources.declare import Paging, Resource, SubResource, deletes, gets, lists, posts, puts
from carecloud_async.resources.filters import VoucherFilters
from carecloud_async.resources.updating import Updating

if TYPE_CHECKING:
    from carecloud_async.models import *


class VoucherPropertyRecords(Resource, call="vouchers.property_records"):
    """The property records of one voucher."""

    @lists(
        "getSubVoucherProperties", "/vouchers/{voucher_id}/property-records", id_field="property_record_id", paged=False
    )
    def list(self) -> Listing[PropertyRecord]:
        """List property records of the voucher (`GET /vouchers/{voucher_id}/property-records`)."""


class Vouchers(Updating["VoucherChanges", "Voucher"], call="vouchers"):
    """Customers' vouchers."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(Key(name="voucher_id", by_id=True), Key(name="code", filter="code")),
        only_new={"reward_id": "reward.reward_id"},
    )

    property_records: SubResource[VoucherPropertyRecords] = SubResource(VoucherPropertyRecords)

    @lists("getVouchers", "/vouchers", id_field="voucher_id")
    def list(
        self,
        *,
        customer_id: str | None = None,
        include_service_vouchers: bool | None = None,
        **filters: Unpack[VoucherFilters],
    ) -> Listing[Voucher]:
        """List vouchers that match all filters (`GET /vouchers`).

        Args:
            customer_id: id of the customer.
            include_service_vouchers: whether internal service vouchers are included.
            **filters: `code`, `store_id`, `is_valid`, `is_applied`, `without_stores`, `reward_id`, `count`, `offset`,
                `sort_field`, `sort_direction`; see `VoucherFilters`.
        """

    @gets("getVoucher", "/vouchers/{voucher_id}")
    async def get(self, voucher_id: str) -> Voucher:
        """Return the voucher with this id (`GET /vouchers/{voucher_id}`)."""

    @puts("putVoucher", "/vouchers/{voucher_id}")
    async def replace(self, voucher_id: str, voucher: VoucherInput) -> None:
        """Replace a voucher (`PUT /vouchers/{voucher_id}`): omitted fields are deleted."""

    @deletes("deleteVoucher", "/vouchers/{voucher_id}")
    async def delete(self, voucher_id: str) -> None:
        """Delete the voucher with this id (`DELETE /vouchers/{voucher_id}`)."""

    @posts("postVoucherApply", "/vouchers/{voucher_id}/actions/apply-voucher")
    async def apply_voucher(
        self, voucher_id: str, *, date_applied: datetime | str, store_id: str | None = None
    ) -> None:
        """Mark a voucher as applied (`POST /vouchers/{voucher_id}/actions/apply-voucher`).

        Args:
            voucher_id: id of the voucher.
            date_applied: when the voucher was applied, in project-local time.
            store_id: id of the store.
        """

    @posts("postVoucherGiftCardBalance", "/vouchers/actions/gift-card-balance", safe_to_repeat=True)
    async def gift_card_balance(
        self, *, voucher_id: str | None = None, code: str | None = None
    ) -> VoucherGiftCardBalance:
        """Return what is left on a gift card by `voucher_id` or `code` (`POST /vouchers/actions/gift-card-balance`)."""

    @batches("postBulkVouchers", "/vouchers/batch", interfaces=ENTERPRISE_ONLY)
    async def batch(self, vouchers: Sequence[VoucherBatchInput], *, error_processing: int | None = None) -> None:
        """Write up to 1,000 vouchers (`POST /vouchers/batch`). Enterprise API only.

        `error_processing` is an `ErrorProcessing`; left out, one error undoes everything. With `KEEP_VALID` a success
        does not prove that every row was written; the `report` of a `BadRequestError` says which ones were refused.
        """


class VoucherProperties(Resource, call="voucher_properties"):
    """The properties of vouchers that the project has defined."""

    @lists("getVoucherProperties", "/voucher-properties", id_field="property_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Property]:
        """List voucher properties whose name contains `name` (`GET /voucher-properties`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getVoucherProperty", "/voucher-properties/{voucher_property_id}")
    async def get(self, voucher_property_id: str) -> Property:
        """Return the voucher property with this id (`GET /voucher-properties/{voucher_property_id}`)."""
