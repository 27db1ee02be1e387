"""Rewards: read models, inputs."""

from __future__ import annotations

from datetime import time
from enum import IntEnum, StrEnum

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import READ_ONLY, Input, LocalDatetime, Model
from carecloud_async.models.products import Product, ProductBrand, ProductGroup
from carecloud_async.models.property_record import PropertyRecord
from carecloud_async.models.shared import PluIdInput, Tag
from carecloud_async.models.stores import Store


class RewardGroup(IntEnum):
    """Values of `Reward.reward_group`."""

    PARTY_TIME = 0
    CATALOG = 1
    CAMPAIGN = 2
    SIMPLE = 4
    GIFT = 5


class RelationTarget(StrEnum):
    """What a condition or bonus of a reward is about."""

    PRODUCT = "product"
    PRODUCT_GROUP = "product_group"
    PRODUCT_BRAND = "product_brand"


class RewardProductRelationType(StrEnum):
    """The role of a product in a reward."""

    CONDITION = "condition"
    BONUS = "bonus"


class RewardProductRole(IntEnum):
    """The role of a product in a reward, as a number."""

    CONDITION = 0
    BONUS = 1


@frozen(kw_only=True, repr=False)
class _RewardProductRelation(Model):
    """What a reward asks of products in the cart, or gives on them."""

    related_to: str | None = None
    """What it is about: `product`, `product_group`, `product_brand` (`RelationTarget`)."""
    count: int | None = None
    """How many the cart must hold, or the bonus takes."""
    min_price: float | None = None
    """Lowest price that counts."""
    max_price: float | None = None
    """Highest price that counts."""


@frozen(kw_only=True, repr=False)
class RewardProductRelationCondition(_RewardProductRelation):
    """What a reward asks of the products in the cart."""


@frozen(kw_only=True, repr=False)
class RewardProductRelationBonus(_RewardProductRelation):
    """What a reward gives on products."""


@frozen(kw_only=True, repr=False)
class Reward(Model):
    """What customers can redeem: a discount, a product, a voucher."""

    reward_id: str = field(metadata=READ_ONLY)
    code: str | None = None
    name: str | None = None
    note: str | None = None
    subtitle: str | None = None
    """Subtitle."""
    points_cost: float | None = None
    """Price in points."""
    valid_time_from: time | None = None
    """Time of day from which it may be used."""
    valid_time_to: time | None = None
    """Time of day until which it may be used."""
    reward_group: int | None = None
    """Group of the reward: 0 party time, 1 catalog, 2 campaign, 4 simple, 5 gift (`RewardGroup`)."""
    reward_type_id: str | None = field(default=None, metadata=READ_ONLY)
    store_list: tuple[Store, ...] = ()
    """Stores where it may be used."""
    additional_properties: tuple[PropertyRecord, ...] = ()
    priority: int | None = None
    """1 is the highest, 9 the lowest."""
    image_urls: tuple[str, ...] = field(default=(), metadata=READ_ONLY)
    reward_external_url: str | None = field(default=None, metadata=READ_ONLY)
    """URL with more about the reward."""
    has_product_condition: bool | None = field(default=None, metadata=READ_ONLY)
    """Whether it has a condition on products."""
    has_group_condition: bool | None = field(default=None, metadata=READ_ONLY)
    """Whether it has a condition on product groups."""
    has_brand_condition: bool | None = field(default=None, metadata=READ_ONLY)
    """Whether it has a condition on product brands."""
    has_product_bonus: bool | None = field(default=None, metadata=READ_ONLY)
    """Whether it has a bonus on products."""
    has_group_bonus: bool | None = None
    """Whether it has a bonus on product groups."""
    has_brand_bonus: bool | None = field(default=None, metadata=READ_ONLY)
    """Whether it has a bonus on product brands."""
    reward_product_relation_conditions: tuple[RewardProductRelationCondition, ...] = field(
        default=(), metadata=READ_ONLY
    )
    """What the reward asks of products."""
    reward_product_relation_bonuses: tuple[RewardProductRelationBonus, ...] = field(default=(), metadata=READ_ONLY)
    """What the reward gives on products."""
    is_automated: bool | None = None
    """Whether it is applied automatically."""
    tags: tuple[Tag, ...] = field(default=(), metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class RewardProduct(Product):
    """A product of a reward, with its relation."""

    minimum_number_of_products: int | None = field(default=None, metadata=READ_ONLY)
    """Deprecated; see the conditions of the reward."""
    reward_product_relation_types: tuple[str, ...] = field(default=(), metadata=READ_ONLY)
    """How reward and product are related: `condition` or `bonus`."""


@frozen(kw_only=True, repr=False)
class RewardProductGroup(ProductGroup):
    """A product group of a reward, with its relation."""

    reward_product_relation_types: tuple[str, ...] = field(default=(), metadata=READ_ONLY)
    """How reward and group are related: `condition` or `bonus`."""


@frozen(kw_only=True, repr=False)
class RewardProductBrand(ProductBrand):
    """A product brand of a reward, with its relation."""

    reward_product_relation_types: tuple[str, ...] = field(default=(), metadata=READ_ONLY)
    """How reward and brand are related: `condition` or `bonus`."""


@frozen(kw_only=True, repr=False)
class RewardType(Model):
    """A kind of reward."""

    reward_type_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class RewardProductSyncInput(Input):
    """A product to be tied to a reward."""

    reward_product_relation_type: int
    """Role of the product: 0 condition, 1 bonus (`RewardProductRole`)."""
    product_id: str | Unset | None = UNSET
    plu_id: PluIdInput | Unset | None = UNSET
    """Id of the product in the product list."""
