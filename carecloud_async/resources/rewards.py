# pyright: reportReturnType=false
"""`client.rewards`, `client.reward_properties`, `client.reward_types`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.resources.declare import Paging, Resource, SubResource, gets, lists, posts
from carecloud_async.resources.filters import RewardFilters, SortedRewardFilters

if TYPE_CHECKING:
    from carecloud_async.models import *


class RewardVouchers(Resource, call="rewards.vouchers"):
    """The vouchers of one reward."""

    @lists("getSubRewardVouchers", "/rewards/{reward_id}/vouchers", id_field="voucher_id")
    def list(
        self, *, customer_id: str | None = None, store_id: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[Voucher]:
        """List the reward's vouchers by customer and store (`GET /rewards/{reward_id}/vouchers`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class RewardProducts(Resource, call="rewards.products"):
    """The products of one reward."""

    @lists("getSubRewardProducts", "/rewards/{reward_id}/products", id_field="product_id")
    def list(
        self, *, reward_product_relation_type: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[RewardProduct]:
        """List the reward's products by `RewardProductRelationType` (`GET /rewards/{reward_id}/products`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class RewardProductGroups(Resource, call="rewards.product_groups"):
    """The product groups of one reward."""

    @lists("getSubRewardProductGroups", "/rewards/{reward_id}/product-groups", id_field="product_group_id")
    def list(
        self, *, reward_product_relation_type: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[RewardProductGroup]:
        """List its product groups by `RewardProductRelationType` (`GET /rewards/{reward_id}/product-groups`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class RewardProductBrands(Resource, call="rewards.product_brands"):
    """The product brands of one reward."""

    @lists("getSubRewardProductBrands", "/rewards/{reward_id}/product-brands", id_field="product_brand_id")
    def list(
        self, *, reward_product_relation_type: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[RewardProductBrand]:
        """List its product brands by `RewardProductRelationType` (`GET /rewards/{reward_id}/product-brands`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class RewardStores(Resource, call="rewards.stores"):
    """The stores of one reward."""

    @lists("getSubRewardStores", "/rewards/{reward_id}/stores", id_field="store_id")
    def list(self, *, visible_for_customer: int | None = None, **paging: Unpack[Paging]) -> Listing[Store]:
        """List the reward's stores; `visible_for_customer` is a `Visibility` (`GET /rewards/{reward_id}/stores`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class Rewards(Resource, call="rewards"):
    """What customers can redeem: discounts, products, vouchers."""

    vouchers: SubResource[RewardVouchers] = SubResource(RewardVouchers)
    products: SubResource[RewardProducts] = SubResource(RewardProducts)
    product_groups: SubResource[RewardProductGroups] = SubResource(RewardProductGroups)
    product_brands: SubResource[RewardProductBrands] = SubResource(RewardProductBrands)
    stores: SubResource[RewardStores] = SubResource(RewardStores)

    @lists("getRewards", "/rewards", id_field="reward_id")
    def list(
        self,
        *,
        partner_id: str | None = None,
        reward_type_id: str | None = None,
        **filters: Unpack[SortedRewardFilters],
    ) -> Listing[Reward]:
        """List rewards that match all filters (`GET /rewards`).

        Args:
            partner_id: id of the partner.
            reward_type_id: id of the reward type.
            **filters: `name`, `store_id`, `is_valid`, `valid_from`, `valid_to`, `code`, `is_automated`, `reward_group`,
                `customer_type_id`, `without_stores`, `tag_ids`, `count`, `offset`, `sort_field`, `sort_direction`; see
                `SortedRewardFilters`.
        """

    @gets("getReward", "/rewards/{reward_id}")
    async def get(self, reward_id: str) -> Reward:
        """Return the reward with this id (`GET /rewards/{reward_id}`)."""

    @lists("getSubRewardTags", "/rewards/tags", id_field="tag_id")
    def tags(self, *, name: str | None = None, text_id: str | None = None, **paging: Unpack[Paging]) -> Listing[Tag]:
        """List the tags of rewards by part of the `name` and by fixed `text_id` (`GET /rewards/tags`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @posts("postRewardCreateVoucher", "/rewards/{reward_id}/actions/create-voucher", unwrap="voucher_id")
    async def create_voucher(
        self, reward_id: str, *, customer_id: str, code: str | None = None, note: str | None = None
    ) -> str:
        """Create a voucher of a reward for a customer and return its id.

        `POST /rewards/{reward_id}/actions/create-voucher`.

        Args:
            reward_id: id of the reward.
            customer_id: id of the customer.
            code: code of the voucher.
            note: free text on the voucher.
        """

    @posts("postRewardCreateCustomVoucher", "/rewards/{reward_id}/actions/create-custom-voucher", unwrap="voucher_id")
    async def create_custom_voucher(
        self, reward_id: str, *, customer_id: str, value: int, code: str | None = None, note: str | None = None
    ) -> str:
        """Create a voucher with a value of its own and return its id.

        `POST /rewards/{reward_id}/actions/create-custom-voucher`.

        Off until an administrator of the project turns it on.

        Args:
            reward_id: id of the reward.
            customer_id: id of the customer.
            value: value of the voucher.
            code: code of the voucher.
            note: free text on the voucher.
        """

    @posts("postRewardSynchronizeProducts", "/rewards/{reward_id}/actions/set-products", interfaces=ENTERPRISE_ONLY)
    async def set_products(self, reward_id: str, products: Sequence[RewardProductSyncInput]) -> None:
        """Set the products of a reward in place of earlier ones (`POST /rewards/{reward_id}/actions/set-products`).

        Enterprise API only.

        Args:
            reward_id: id of the reward.
            products: the products, each with its role.
        """

    @lists("getRewardRecommendations", "/rewards/actions/reward-recommendations", "rewards", id_field="reward_id")
    def reward_recommendations(
        self,
        *,
        customer_id: str,
        partner_id: str | None = None,
        reward_type_id: str | None = None,
        **filters: Unpack[RewardFilters],
    ) -> Listing[Reward]:
        """List the rewards that fit the customer best, best first (`GET /rewards/actions/reward-recommendations`).

        It is paged but not sorted.

        Args:
            customer_id: id of the customer.
            partner_id: id of the partner.
            reward_type_id: id of the reward type.
            **filters: `name`, `store_id`, `is_valid`, `valid_from`, `valid_to`, `code`, `is_automated`, `reward_group`,
                `customer_type_id`, `without_stores`, `tag_ids`, `count`, `offset`; see `RewardFilters`.
        """

    @posts(
        "postRewardCreateSimpleReward",
        "/rewards/actions/create-simple-reward",
        unwrap="reward_id",
        interfaces=ENTERPRISE_ONLY,
    )
    async def create_simple_reward(self, simple_reward: SimpleRewardInput) -> str:
        """Create a reward with few settings and return its id (`POST /rewards/actions/create-simple-reward`).

        Enterprise API only.
        """


class RewardProperties(Resource, call="reward_properties"):
    """The properties of rewards that the project has defined."""

    @lists("getRewardProperties", "/reward-properties", "rewards_properties", id_field="property_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Property]:
        """List reward properties whose name contains `name` (`GET /reward-properties`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getRewardProperty", "/reward-properties/{reward_property_id}")
    async def get(self, reward_property_id: str) -> Property:
        """Return the reward property with this id (`GET /reward-properties/{reward_property_id}`)."""


class RewardTypes(Resource, call="reward_types"):
    """The kinds of rewards."""

    @lists("getRewardTypes", "/reward-types", id_field="reward_type_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[RewardType]:
        """List reward types whose name contains `name` (`GET /reward-types`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getRewardtype", "/reward-types/{reward_type_id}")
    async def get(self, reward_type_id: str) -> RewardType:
        """Return the reward type with this id (`GET /reward-types/{reward_type_id}`)."""
