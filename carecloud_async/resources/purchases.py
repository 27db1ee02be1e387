# pyright: reportReturnType=false
"""`client.purchases`, `client.purchase_item_types` and 3 more families."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.family import BulkWrites, Items, Key
from carecloud_async.bulk.family import Family as BulkFamily
from carecloud_async.resources.declare import Paging, Resource, SubResource, gets, lists, posts, puts
from carecloud_async.resources.filters import PurchaseFilters
from carecloud_async.resources.updating import Updating

if TYPE_CHECKING:
    from carecloud_async.models import *


class PurchaseItems(Resource, call="purchases.purchase_items"):
    """The purchase items of one purchase."""

    @lists("getSubPurchaseItems", "/purchases/{purchase_id}/purchase-items", id_field="purchase_item_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[PurchaseItem]:
        """List purchase items of the purchase (`GET /purchases/{purchase_id}/purchase-items`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class PurchaseVouchers(Resource, call="purchases.vouchers"):
    """The vouchers of one purchase."""

    @lists("getSubPurchaseVouchers", "/purchases/{purchase_id}/vouchers", id_field="voucher_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[Voucher]:
        """List vouchers of the purchase (`GET /purchases/{purchase_id}/vouchers`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class PurchasePoints(Resource, call="purchases.points"):
    """The points of one purchase."""

    @lists("getSubPurchasePoints", "/purchases/{purchase_id}/points", id_field="point_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[Point]:
        """List points of the purchase (`GET /purchases/{purchase_id}/points`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class Purchases(Updating["PurchaseChanges", "Purchase"], call="purchases"):
    """Customers' purchases; calculates and sends new ones."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(Key(name="purchase_id", by_id=True), Key(name="external_purchase_id", filter="external_purchase_id")),
        wrapper="bill",
        aliases={"bill_id": "external_purchase_id"},
        items=Items(name="bill_items", key="external_purchase_id"),
    )

    def _as_family(self) -> BulkFamily:
        from carecloud_async.resources.bills import Bills  # few programs write in bulk

        return Bills(self, self._bulk, self._merge_rules(), send=type(self).send_purchase)

    def _is_alike(self, name: str, shown: Any, given: Any) -> bool:
        """See `BulkWriting._is_alike`."""
        from carecloud_async.resources.bills import is_same_but_spelled  # few programs compare

        return is_same_but_spelled(name, shown, given, timezone=self._caller.context.project.timezone)

    purchase_items: SubResource[PurchaseItems] = SubResource(PurchaseItems)
    vouchers: SubResource[PurchaseVouchers] = SubResource(PurchaseVouchers)
    points: SubResource[PurchasePoints] = SubResource(PurchasePoints)

    @lists("getPurchases", "/purchases", id_field="purchase_id")
    def list(
        self,
        *,
        customer_id: str | None = None,
        external_purchase_id: str | None = None,
        include_property_records: bool | None = None,
        **filters: Unpack[PurchaseFilters],
    ) -> Listing[Purchase]:
        """List purchases that match all filters (`GET /purchases`).

        They have their items only with `purchase_items_extension=True`.

        Args:
            customer_id: id of the customer.
            external_purchase_id: id of the purchase in the shop's own system.
            include_property_records: whether each record comes with its property records.
            **filters: `store_id`, `type_id`, `payment_time_from`, `payment_time_to`, `purchase_items_extension`,
                `count`, `offset`, `sort_field`, `sort_direction`; see `PurchaseFilters`.
        """

    @gets("getPurchase", "/purchases/{purchase_id}")
    async def get(self, purchase_id: str) -> Purchase:
        """Return the purchase with this id (`GET /purchases/{purchase_id}`)."""

    @puts("putPurchase", "/purchases/{purchase_id}", interfaces=ENTERPRISE_ONLY)
    async def replace(self, purchase_id: str, purchase: PurchaseInput) -> None:
        """Replace a purchase (`PUT /purchases/{purchase_id}`): omitted fields are deleted. Enterprise API only."""

    @gets("getPurchasePaymentSummary", "/purchases/{purchase_id}/actions/payment-summary")
    async def payment_summary(self, purchase_id: str) -> PaymentSummary:
        """Return a purchase's credits, points and vouchers (`GET /purchases/{purchase_id}/actions/payment-summary`)."""

    @lists(
        "postPurchaseRecommendedRewards",
        "/purchases/actions/recommended-best-rewards",
        id_field="code",
        method="POST",
        paged=False,
    )
    def recommended_best_rewards(
        self,
        *,
        store_id: str,
        cashdesk_number: int,
        reward_list_type: str,
        bill: BillInput,
        card_number: str | None = None,
        customer_id: str | None = None,
    ) -> Listing[RecommendedReward]:
        """List rewards and vouchers that a bill can use (`POST /purchases/actions/recommended-best-rewards`).

        Args:
            store_id: id of the store.
            cashdesk_number: number of the cash desk.
            reward_list_type: see `RewardListType`.
            card_number: number of the card.
            customer_id: id of the customer.
        """

    @posts("postPurchaseAcceptPayment", "/purchases/actions/accept-payment")
    async def accept_payment(
        self,
        *,
        store_id: str,
        cashdesk_number: int,
        payment_type: str,
        bill: BillInput,
        card_number: str | None = None,
        customer_id: str | None = None,
        max_points: float | Decimal | None = None,
        max_credit: float | Decimal | None = None,
        benefit_codes: Sequence[str] | None = None,
    ) -> AcceptedPayment:
        """Return what a bill costs with the points, credits, vouchers and discounts to be used.

        `POST /purchases/actions/accept-payment`.

        Args:
            store_id: id of the store.
            cashdesk_number: number of the cash desk.
            payment_type: see `CheckoutPaymentType`.
            card_number: number of the card.
            customer_id: id of the customer.
            max_points: most points to use.
            max_credit: most credits to use.
            benefit_codes: codes of the vouchers and rewards used.
        """

    @posts("postPurchaseSend", "/purchases/actions/send-purchase", unwrap="purchase_id")
    async def send_purchase(
        self,
        *,
        store_id: str,
        cashdesk_number: int,
        bill: FinalBillInput,
        card_number: str | None = None,
        customer_id: str | None = None,
    ) -> str:
        """Record a closed bill and return the id of the purchase (`POST /purchases/actions/send-purchase`).

        Args:
            store_id: id of the store.
            cashdesk_number: number of the cash desk.
            card_number: number of the card.
            customer_id: id of the customer.
        """

    @posts("postPurchaseAssignCustomer", "/purchases/actions/assign-customer", interfaces=ENTERPRISE_ONLY)
    async def assign_customer(
        self,
        *,
        store_id: str,
        external_purchase_id: str,
        card_number: str | None = None,
        customer_id: str | None = None,
    ) -> None:
        """Assign a purchase without a customer to one (`POST /purchases/actions/assign-customer`). Enterprise API only.

        One of `card_number` and `customer_id` is needed.

        Args:
            store_id: id of the store.
            external_purchase_id: id of the purchase in the shop's own system.
            card_number: number of the card.
            customer_id: id of the customer.
        """


class PurchaseItemTypes(Resource, call="purchase_item_types"):
    """The kinds of purchase items."""

    @lists("getPurchaseItemTypes", "/purchase-item-types", id_field="type_id")
    def list(self, *, text_id: str | None = None, **paging: Unpack[Paging]) -> Listing[PurchaseItemType]:
        """List purchase item types with the fixed id `text_id` (`GET /purchase-item-types`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class PurchaseTypes(Resource, call="purchase_types"):
    """The kinds of purchases."""

    @lists("getPurchaseTypes", "/purchase-types", id_field="type_id")
    def list(self, *, text_id: str | None = None, **paging: Unpack[Paging]) -> Listing[PurchaseType]:
        """List purchase types with the fixed id `text_id` (`GET /purchase-types`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class PurchaseProperties(Resource, call="purchase_properties"):
    """The properties of purchases that the project has defined."""

    @lists("getPurchaseProperties", "/purchase-properties", id_field="property_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Property]:
        """List purchase properties whose name contains `name` (`GET /purchase-properties`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getPurchaseProperty", "/purchase-properties/{purchase_property_id}")
    async def get(self, purchase_property_id: str) -> Property:
        """Return the purchase property with this id (`GET /purchase-properties/{purchase_property_id}`)."""


class PurchaseItemProperties(Resource, call="purchase_item_properties"):
    """The properties of purchase items that the project has defined."""

    @lists("getPurchaseItemProperties", "/purchase-item-properties", id_field="property_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Property]:
        """List purchase item properties whose name contains `name` (`GET /purchase-item-properties`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getPurchaseItemProperty", "/purchase-item-properties/{purchase_item_property_id}")
    async def get(self, purchase_item_property_id: str) -> Property:
        """Return the purchase item property (`GET /purchase-item-properties/{purchase_item_property_id}`)."""
