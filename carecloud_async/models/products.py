"""Products: read models, inputs."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import READ_ONLY, Input, LocalDatetime, Model
from carecloud_async.models.input_fields import by_digits
from carecloud_async.models.property_record import PropertyRecord, PropertyRecordInput
from carecloud_async.models.shared import PluId, PluIdInput, Price, PriceInput, Tag, TagInput


@frozen(kw_only=True, repr=False)
class Product(Model):
    """A product."""

    product_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    code: str | None = None
    external_id: str | None = None
    """Id of the product in another system; deprecated."""
    plu_ids: tuple[PluId, ...] = ()
    product_group_id: str | None = None
    product_brand_id: str | None = None
    partner_id: str | None = None
    prices: tuple[Price, ...] = ()
    """The prices, one a currency."""
    additional_properties: tuple[PropertyRecord, ...] = ()
    image_urls: tuple[str, ...] = field(default=(), metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)
    tags: tuple[Tag, ...] = field(default=(), metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class ProductBrand(Model):
    """A brand of products."""

    product_brand_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    external_id: str | None = None
    """Id of the product brand in another system."""


@frozen(kw_only=True, repr=False)
class ProductGroup(Model):
    """A group of products."""

    product_group_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    parent_product_group_id: str | None = None
    parent_external_id: str | None = None
    """Id of the group above in another system."""
    code: str | None = None
    external_id: str | None = None
    """Id of the product group in another system."""
    store_id: str | None = None
    partner_id: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class SearchFlag(Model):
    """What identifies a search result."""

    name: str | None = None
    """Name of the flag."""
    text_id: str | None = None
    """Fixed text id of the flag, the same in all languages."""


@frozen(kw_only=True, repr=False)
class SearchResult(Model):
    """A product that a search found."""

    resource_id: str
    search_result_string: str | None = None
    """The result as text."""
    flags: tuple[SearchFlag, ...] = ()
    """What identifies the result."""


@frozen(kw_only=True, repr=False)
class Recommendation(Model):
    """A recommendation for a customer."""

    recommendation_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    brief_description: str | None = None
    """Short description."""
    detailed_description: str | None = None
    """Long description."""
    content: str | None = None
    """Text of the recommendation."""
    picture_urls: tuple[str, ...] = ()
    """Addresses of the pictures."""
    web_url: str | None = None
    """Web address."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class ProductInput(Input, reads=Product):
    """A product of a batch; other fields are those of `Product`."""

    name: str
    plu_ids: Sequence[PluIdInput]
    code: str | Unset | None = UNSET
    product_group_id: str | Unset | None = UNSET
    product_group_external_id: str | Unset | None = UNSET
    product_brand_id: str | Unset | None = UNSET
    product_brand_external_id: str | Unset | None = UNSET
    store_id: str | Unset | None = UNSET
    partner_id: str | Unset | None = UNSET
    property_records: Sequence[PropertyRecordInput] | Unset | None = UNSET
    prices: Sequence[PriceInput] | Unset | None = UNSET
    tags: Sequence[TagInput] | Unset | None = UNSET
    state: int | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class ProductBrandInput(Input, reads=ProductBrand):
    """A product brand to be written; the fields are those of `ProductBrand`."""

    name: str
    external_id: str


@frozen(kw_only=True, repr=False)
class ProductGroupInput(Input, reads=ProductGroup):
    """A product group to be written; the fields are those of `ProductGroup`."""

    name: str
    external_id: str
    parent_product_group_id: str | Unset | None = UNSET
    parent_external_id: str | Unset | None = UNSET
    code: str | Unset | None = UNSET
    store_id: str | Unset | None = UNSET
    partner_id: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class ProductIdentificationInput(Input):
    """What identifies a product."""

    product_id: str | Unset | None = UNSET
    plu_ids: Sequence[PluIdInput] | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class ThirdPartyRecommendationInput(Input):
    """A recommendation that another system made."""

    products: Sequence[ProductIdentificationInput]
    """The products."""
    recommended_product: ProductIdentificationInput
    """Identifications of the recommended product."""
    recommendation_system_id: str
    recommendation_system_dataset_id: str
    score: float | Decimal = field(eq=by_digits)
    """The higher, the better the recommendation."""
    customer_id: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class RecommendedProduct(Model):
    """A product that the engine recommends."""

    product_id: str = field(metadata=READ_ONLY)
    plu_ids: tuple[PluId, ...] = field(default=(), metadata=READ_ONLY)
