# pyright: reportReturnType=false
"""Parts of one customer: purchases, points, vouchers, rewards and more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Unpack

from carecloud_async.listings.listing import Listing
from carecloud_async.resources.declare import Paging, Resource, UnsortedPaging, lists

if TYPE_CHECKING:
    from carecloud_async.models import *


class CustomerPurchases(Resource, call="customers.purchases"):
    """The purchases of one customer."""

    @lists("getSubCustomerPurchases", "/customers/{customer_id}/purchases", id_field="purchase_id")
    def list(
        self,
        *,
        store_id: str | None = None,
        type_id: str | None = None,
        payment_time_from: datetime | str | None = None,
        payment_time_to: datetime | str | None = None,
        purchase_items_extension: bool | None = None,
        external_purchase_id: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Purchase]:
        """List purchases of the customer that match all filters (`GET /customers/{customer_id}/purchases`).

        Args:
            store_id: id of the store.
            type_id: id of the type.
            payment_time_from: from when on.
            payment_time_to: until when.
            purchase_items_extension: whether each purchase comes with its items.
            external_purchase_id: id of the purchase in the shop's own system.
        """


class CustomerPoints(Resource, call="customers.points"):
    """The points of one customer."""

    @lists("getSubCustomerPoints", "/customers/{customer_id}/points", id_field="point_id")
    def list(self, *, point_type_id: str | None = None, **paging: Unpack[Paging]) -> Listing[Point]:
        """List the customer's points of one `point_type_id` (`GET /customers/{customer_id}/points`)."""


class CustomerVouchers(Resource, call="customers.vouchers"):
    """The vouchers of one customer."""

    @lists("getSubCustomerVouchers", "/customers/{customer_id}/vouchers", id_field="voucher_id")
    def list(
        self,
        *,
        code: str | None = None,
        store_id: str | None = None,
        is_valid: bool | None = None,
        is_applied: bool | None = None,
        without_stores: bool | None = None,
        reward_id: str | Sequence[str] | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Voucher]:
        """List vouchers of the customer that match all filters (`GET /customers/{customer_id}/vouchers`).

        Args:
            code: the exact code.
            store_id: id of the store.
            is_valid: only valid ones, or only those that are not.
            is_applied: only applied or reserved ones, or only those that are neither.
            without_stores: leave out the stores; so does the server if nothing is said.
            reward_id: the reward, or several.
        """


class CustomerRewards(Resource, call="customers.rewards"):
    """The rewards of one customer."""

    @lists("getSubCustomerRewards", "/customers/{customer_id}/rewards", id_field="reward_id")
    def list(
        self,
        *,
        name: str | None = None,
        store_id: str | None = None,
        is_valid: bool | None = None,
        valid_from: date | str | None = None,
        valid_to: date | str | None = None,
        code: str | None = None,
        is_automated: bool | None = None,
        reward_group: int | None = None,
        customer_type_id: Sequence[str] | None = None,
        without_stores: bool | None = None,
        tag_ids: Sequence[str] | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Reward]:
        """List rewards of the customer that match all filters (`GET /customers/{customer_id}/rewards`).

        Args:
            name: part of the name.
            store_id: id of the store.
            is_valid: only valid ones, or only those that are not.
            valid_from: start of the validity to look for.
            valid_to: end of the validity to look for.
            code: the exact code.
            is_automated: only automated ones, or only those that are not.
            reward_group: see `RewardGroup`.
            customer_type_id: any of these customer types, up to 1,000.
            without_stores: leave out the stores; so does the server if nothing is said.
            tag_ids: any of these ids, up to 1,000.
        """


class CustomerRewardRecommendations(Resource, call="customers.reward_recommendations"):
    """The reward recommendations of one customer."""

    @lists(
        "getSubCustomerRewardsRecommendation",
        "/customers/{customer_id}/reward-recommendations",
        "rewards",
        id_field="reward_id",
    )
    def list(
        self,
        *,
        name: str | None = None,
        store_id: str | None = None,
        is_valid: bool | None = None,
        valid_from: date | str | None = None,
        valid_to: date | str | None = None,
        code: str | None = None,
        is_automated: bool | None = None,
        reward_group: int | None = None,
        customer_type_id: Sequence[str] | None = None,
        without_stores: bool | None = None,
        tag_ids: Sequence[str] | None = None,
        partner_id: str | None = None,
        reward_type_id: str | None = None,
        **paging: Unpack[UnsortedPaging],
    ) -> Listing[Reward]:
        """List reward recommendations of the customer (`GET /customers/{customer_id}/reward-recommendations`).

        It is paged but not sorted.

        Args:
            name: part of the name.
            store_id: id of the store.
            is_valid: only valid ones, or only those that are not.
            valid_from: start of the validity to look for.
            valid_to: end of the validity to look for.
            code: the exact code.
            is_automated: only automated ones, or only those that are not.
            reward_group: see `RewardGroup`.
            customer_type_id: any of these customer types, up to 1,000.
            without_stores: leave out the stores; so does the server if nothing is said.
            tag_ids: any of these ids, up to 1,000.
            partner_id: id of the partner.
            reward_type_id: id of the reward type.
            **paging: see `UnsortedPaging`.
        """


class CustomerCards(Resource, call="customers.cards"):
    """The cards of one customer."""

    @lists("getSubCustomerCards", "/customers/{customer_id}/cards", id_field="card_id")
    def list(
        self,
        *,
        card_number: str | None = None,
        card_type_id: str | None = None,
        is_valid: bool | None = None,
        card_number_list: Sequence[str] | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Card]:
        """List cards of the customer that match all filters (`GET /customers/{customer_id}/cards`).

        Args:
            card_number: number of the card.
            card_type_id: id of the card type.
            is_valid: only valid ones, or only those that are not.
            card_number_list: any of these numbers, up to 1,000.
        """
