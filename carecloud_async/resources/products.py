# pyright: reportReturnType=false
"""`client.products`, `client.product_brands` and 5 more families."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Unpack

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.family import BulkWrites, Key
from carecloud_async.resources.batches import batches
from carecloud_async.resources.bulk_writing import BulkWriting
from carecloud_async.resources.declare import Paging, Resource, gets, lists

if TYPE_CHECKING:
    from carecloud_async.models import *


class Products(BulkWriting, call="products"):
    """The catalogue of products."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(
            Key(name="product_id", by_id=True),
            Key(name="external_id", filter="external_id"),
            Key(name="code", filter="code"),
        ),
        batch_updates=True,
    )

    @lists("getProducts", "/products", id_field="product_id")
    def list(
        self,
        *,
        name: str | None = None,
        code: str | None = None,
        external_id: str | None = None,
        external_type_code: str | None = None,
        tag_ids: Sequence[str] | None = None,
        partner_id: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Product]:
        """List products that match all filters (`GET /products`).

        Args:
            name: part of the name.
            code: the exact code.
            external_id: the id in another system.
            external_type_code: code of the list that the external id belongs to.
            tag_ids: any of these ids, up to 1,000.
            partner_id: id of the partner.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getProduct", "/products/{product_id}")
    async def get(self, product_id: str) -> Product:
        """Return the product with this id (`GET /products/{product_id}`)."""

    @batches("postBulkProducts", "/products/batch", interfaces=ENTERPRISE_ONLY)
    async def batch(self, products: Sequence[ProductInput], *, error_processing: int | None = None) -> None:
        """Write up to 1,000 products (`POST /products/batch`). Enterprise API only.

        `error_processing` is an `ErrorProcessing`; left out, one error undoes everything. With `KEEP_VALID` a success
        does not prove that every row was written; the `report` of a `BadRequestError` says which ones were refused.
        """

    @lists("getSubProductTags", "/products/tags", id_field="tag_id")
    def tags(self, *, name: str | None = None, text_id: str | None = None, **paging: Unpack[Paging]) -> Listing[Tag]:
        """List the tags of products by part of the `name` and by fixed `text_id` (`GET /products/tags`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class ProductBrands(BulkWriting, call="product_brands"):
    """The brands of products."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(keys=(Key(name="external_id"),))

    @lists("getProductBrands", "/product-brands", id_field="product_brand_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[ProductBrand]:
        """List product brands whose name contains `name` (`GET /product-brands`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getProductBrand", "/product-brands/{product_brand_id}")
    async def get(self, product_brand_id: str) -> ProductBrand:
        """Return the product brand with this id (`GET /product-brands/{product_brand_id}`)."""

    @batches("postBulkProductBrands", "/product-brands/batch", interfaces=ENTERPRISE_ONLY)
    async def batch(self, product_brands: Sequence[ProductBrandInput], *, error_processing: int | None = None) -> None:
        """Write up to 1,000 product brands (`POST /product-brands/batch`). Enterprise API only.

        `error_processing` is an `ErrorProcessing`; left out, one error undoes everything. With `KEEP_VALID` a success
        does not prove that every row was written; the `report` of a `BadRequestError` says which ones were refused.
        """


class ProductGroups(BulkWriting, call="product_groups"):
    """The groups of products."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(
        keys=(Key(name="external_id", filter="external_id"), Key(name="code", filter="code")), batch_updates=True
    )

    @lists("getProductGroups", "/product-groups", id_field="product_group_id")
    def list(
        self,
        *,
        name: str | None = None,
        store_id: str | None = None,
        code: str | None = None,
        external_id: str | None = None,
        partner_id: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[ProductGroup]:
        """List product groups that match all filters (`GET /product-groups`).

        Args:
            name: part of the name.
            store_id: id of the store.
            code: the exact code.
            external_id: the id in another system.
            partner_id: id of the partner.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getProductGroup", "/product-groups/{product_group_id}")
    async def get(self, product_group_id: str) -> ProductGroup:
        """Return the product group with this id (`GET /product-groups/{product_group_id}`)."""

    @batches("postBulkProductGroups", "/product-groups/batch", interfaces=ENTERPRISE_ONLY)
    async def batch(self, product_groups: Sequence[ProductGroupInput], *, error_processing: int | None = None) -> None:
        """Write up to 1,000 product groups (`POST /product-groups/batch`). Enterprise API only.

        `error_processing` is an `ErrorProcessing`; left out, one error undoes everything. With `KEEP_VALID` a success
        does not prove that every row was written; the `report` of a `BadRequestError` says which ones were refused.
        """


class ProductProperties(Resource, call="product_properties"):
    """The properties of products that the project has defined."""

    @lists("getProductProperties", "/product-properties", id_field="property_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Property]:
        """List product properties whose name contains `name` (`GET /product-properties`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getProductProperty", "/product-properties/{product_property_id}")
    async def get(self, product_property_id: str) -> Property:
        """Return the product property with this id (`GET /product-properties/{product_property_id}`)."""


class Recommendations(Resource, call="recommendations"):
    """Recommendations for customers."""

    @lists("getRecommendations", "/recommendations", id_field="recommendation_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Recommendation]:
        """List recommendations whose name contains `name` (`GET /recommendations`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getRecommendation", "/recommendations/{recommendation_id}")
    async def get(self, recommendation_id: str) -> Recommendation:
        """Return the recommendation with this id (`GET /recommendations/{recommendation_id}`)."""


class ThirdPartyRecommendations(BulkWriting, call="third_party_recommendations"):
    """Recommendations that another system made; CareCloud stores them."""

    @batches("postBulkThirdPartyRecommendations", "/third-party-recommendations/batch")
    async def batch(
        self,
        third_party_recommendations: Sequence[ThirdPartyRecommendationInput],
        *,
        error_processing: int | None = None,
    ) -> None:
        """Write up to 1,000 third party recommendations (`POST /third-party-recommendations/batch`).

        `error_processing` is an `ErrorProcessing`; left out, one error undoes everything. With `KEEP_VALID` a success
        does not prove that every row was written; the `report` of a `BadRequestError` says which ones were refused.
        """
