# pyright: reportReturnType=false
"""Parts of one customer: purchases, points, vouchers, rewards and more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from carecloud_async._lists.listings.listing import Listing
from carecloud_async.resources.declare import Paging, Resource, lists
from carecloud_async.resources.filters import PurchaseFilters, RewardFilters, SortedRewardFilters, VoucherFilters

if TYPE_CHECKING:
    from carecloud_async.models import *


class CustomerPurchases(Resource, call="customers.purchases"):
    """The purchases of one customer."""

    @lists("getSubCustomerPurchases", "/customers/{customer_id}/purchases", id_field="purchase_id")
    def list(self, *, external_purchase_id: str | None = None, **filters: Unpack[PurchaseFilters]) -> Listing[Purchase]:
        """List purchases of the customer that match all filters (`GET /customers/{customer_id}/purchases`).

        Args:
            external_purchase_id: id of the purchase in the shop's own system.
            **filters: `store_id`, `type_id`, `payment_time_from`, `payment_time_to`, `purchase_items_extension`,
                `count`, `offset`, `sort_field`, `sort_direction`; see `PurchaseFilters`.
        """


class CustomerPoints(Resource, call="customers.points"):
    """The points of one customer."""

    @lists("getSubCustomerPoints", "/customers/{customer_id}/points", id_field="point_id")
    def list(self, *, point_type_id: str | None = None, **paging: Unpack[Paging]) -> Listing[Point]:
        """List the customer's points of one `point_type_id` (`GET /customers/{customer_id}/points`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class CustomerVouchers(Resource, call="customers.vouchers"):
    """The vouchers of one customer."""

    @lists("getSubCustomerVouchers", "/customers/{customer_id}/vouchers", id_field="voucher_id")
    def list(self, **filters: Unpack[VoucherFilters]) -> Listing[Voucher]:
        """List vouchers of the customer that match all filters (`GET /customers/{customer_id}/vouchers`).

        Args:
            **filters: `code`, `store_id`, `is_valid`, `is_applied`, `without_stores`, `reward_id`, `count`, `offset`,
                `sort_field`, `sort_direction`; see `VoucherFilters`.
        """


class CustomerRewards(Resource, call="customers.rewards"):
    """The rewards of one customer."""

    @lists("getSubCustomerRewards", "/customers/{customer_id}/rewards", id_field="reward_id")
    def list(self, **filters: Unpack[SortedRewardFilters]) -> Listing[Reward]:
        """List rewards of the customer that match all filters (`GET /customers/{customer_id}/rewards`).

        Args:
            **filters: `name`, `store_id`, `is_valid`, `valid_from`, `valid_to`, `code`, `is_automated`, `reward_group`,
                `customer_type_id`, `without_stores`, `tag_ids`, `count`, `offset`, `sort_field`, `sort_direction`; see
                `SortedRewardFilters`.
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
        self, *, partner_id: str | None = None, reward_type_id: str | None = None, **filters: Unpack[RewardFilters]
    ) -> Listing[Reward]:
        """List reward recommendations of the customer (`GET /customers/{customer_id}/reward-recommendations`).

        It is paged but not sorted.

        Args:
            partner_id: id of the partner.
            reward_type_id: id of the reward type.
            **filters: `name`, `store_id`, `is_valid`, `valid_from`, `valid_to`, `code`, `is_automated`, `reward_group`,
                `customer_type_id`, `without_stores`, `tag_ids`, `count`, `offset`; see `RewardFilters`.
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
            is_valid: `True` for valid ones only, `False` for those that are not.
            card_number_list: any of these numbers, up to 1,000.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """
