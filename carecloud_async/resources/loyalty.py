# pyright: reportReturnType=false
"""`client.credits`, `client.credit_history`, `client.credit_types`, `client.statuses`."""

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


class CreditPurchases(Resource, call="credits.purchases"):
    """The purchases of one credit."""

    @lists("getSubCreditPurchases", "/credits/{credit_id}/purchases", id_field="purchase_id")
    def list(self, *, customer_id: str | None = None, **filters: Unpack[PurchaseFilters]) -> Listing[Purchase]:
        """List purchases of the credit that match all filters (`GET /credits/{credit_id}/purchases`).

        Args:
            customer_id: id of the customer.
            **filters: `store_id`, `type_id`, `payment_time_from`, `payment_time_to`, `purchase_items_extension`,
                `count`, `offset`, `sort_field`, `sort_direction`; see `PurchaseFilters`.
        """


async def _find_credits(family: BulkFamily, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    from carecloud_async.resources.actions_in_bulk import CREDITS  # few programs write in bulk

    return await CREDITS.find(CreditHistory(family.caller).list, keys)


class Credits(BulkWriting, call="credits"):
    """The credits that customers earned."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(Key(name="reference", fields=("customer_id", "reference"), ids=1, in_record=False, find=_find_credits),)
    )

    def _as_family(self) -> BulkFamily:
        from carecloud_async.resources.actions_in_bulk import CREDITS, Amounts  # few programs write in bulk

        return Amounts(self, self._bulk, CREDITS)

    purchases: SubResource[CreditPurchases] = SubResource(CreditPurchases)

    @lists("getCredits", "/credits", id_field="credit_id")
    def list(
        self,
        *,
        customer_id: str | None = None,
        credit_type_id: str | Sequence[str] | None = None,
        create_credit_time_from: datetime | str | None = None,
        create_credit_time_to: datetime | str | None = None,
        note: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Credit]:
        """List credits that match all filters (`GET /credits`).

        Args:
            customer_id: id of the customer.
            credit_type_id: the credit type, or several.
            create_credit_time_from: from this time on.
            create_credit_time_to: until this time.
            note: part of the note.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getCredit", "/credits/{credit_id}")
    async def get(self, credit_id: str) -> Credit:
        """Return the credit with this id (`GET /credits/{credit_id}`)."""

    @posts("postCreditReduction", "/credits/actions/reduce-credits", unwrap="credit_id", interfaces=ENTERPRISE_ONLY)
    async def reduce_credits(
        self,
        *,
        amount: float | Decimal,
        customer_id: str,
        partner_id: str,
        credit_type_id: str | None = None,
        currency_id: str | None = None,
        note: str | None = None,
    ) -> str:
        """Take credits from a customer and return the id of the reduction (`POST /credits/actions/reduce-credits`).

        Enterprise API only.

        Off until an administrator of the project turns it on.

        Args:
            amount: the quantity.
            customer_id: id of the customer.
            partner_id: id of the partner.
            credit_type_id: id of the credit type.
            currency_id: id of the currency.
            note: free text for the history.
        """

    @posts("postCreditDeposit", "/credits/actions/deposit-credits", unwrap="credit_id", interfaces=ENTERPRISE_ONLY)
    async def deposit_credits(
        self,
        *,
        amount: float | Decimal,
        customer_id: str,
        partner_id: str,
        credit_type_id: str | None = None,
        currency_id: str | None = None,
        note: str | None = None,
    ) -> str:
        """Give credits and return the record's id (`POST /credits/actions/deposit-credits`). Enterprise API only.

        Off until an administrator of the project turns it on.

        Args:
            amount: the quantity.
            customer_id: id of the customer.
            partner_id: id of the partner.
            credit_type_id: id of the credit type.
            currency_id: id of the currency.
            note: free text for the history.
        """

    @posts("postCreditTransfer", "/credits/actions/transfer-credits", interfaces=ENTERPRISE_ONLY)
    async def transfer_credits(
        self,
        *,
        original_customer_id: str,
        new_customer_id: str,
        amount: float | Decimal,
        credit_type_id: str,
        currency_id: str | None = None,
        note: str | None = None,
    ) -> None:
        """Transfer credits to another customer (`POST /credits/actions/transfer-credits`). Enterprise API only.

        Off until an administrator of the project turns it on.

        Args:
            original_customer_id: id of the customer who gives.
            new_customer_id: id of the customer who receives.
            amount: the quantity.
            credit_type_id: id of the credit type.
            currency_id: id of the currency.
            note: free text for the history.
        """


class CreditHistory(Resource, call="credit_history"):
    """The operations on customers' credits: earned, spent, expired."""

    @lists("getCreditHistory", "/credit-history", id_field=None)
    def list(
        self,
        *,
        customer_id: str,
        store_id: str | None = None,
        partner_id: str | None = None,
        time_from: datetime | str | None = None,
        time_to: datetime | str | None = None,
        credit_operation_type: str | None = None,
        credit_operation_note: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[CreditHistoryRecord]:
        """List credit history that matches all filters (`GET /credit-history`).

        Args:
            customer_id: id of the customer.
            store_id: id of the store.
            partner_id: id of the partner.
            time_from: from this time on.
            time_to: until this time.
            credit_operation_type: kind of the operation or a part of it.
            credit_operation_note: note or a part of it.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """


class CreditTypes(Resource, call="credit_types"):
    """The kinds of credits."""

    @lists("getCreditTypes", "/credit-types", id_field="credit_type_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[CreditType]:
        """List credit types (`GET /credit-types`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getCreditType", "/credit-types/{credit_type_id}")
    async def get(self, credit_type_id: str) -> CreditType:
        """Return the credit type with this id (`GET /credit-types/{credit_type_id}`)."""


async def _find_statuses(family: BulkFamily, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    from carecloud_async.resources.actions_in_bulk import find_statuses  # few programs write in bulk

    return await find_statuses(family, keys)


class Statuses(BulkWriting, call="statuses"):
    """The loyalty statuses that customers can have. Its bulk writes give them to customers."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(Key(name="customer_id", ids=1, in_record=False, find=_find_statuses),)
    )

    def _as_family(self) -> BulkFamily:
        from carecloud_async.resources.actions_in_bulk import StatusWrites  # few programs write in bulk

        return StatusWrites(self, self._bulk)

    @lists("getStatuses", "/statuses", id_field="status_id")
    def list(self, *, text_id: str | None = None, **paging: Unpack[Paging]) -> Listing[Status]:
        """List statuses with the fixed id `text_id` (`GET /statuses`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getStatus", "/statuses/{status_id}")
    async def get(self, status_id: str) -> Status:
        """Return the status with this id (`GET /statuses/{status_id}`)."""
