"""`client.products`, `client.product_brands` and 5 more families."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from carecloud_async.calls.operation import ENTERPRISE_ONLY
from carecloud_async.paging.listing import Listing
from carecloud_async.resources.declare import Paging, Resource, gets, lists, posts

if TYPE_CHECKING:
    from carecloud_async.models.products import (
        Product,
        ProductBrand,
        ProductBrandInput,
        ProductGroup,
        ProductGroupInput,
        ProductInput,
        Recommendation,
        ThirdPartyRecommendationInput,
    )
    from carecloud_async.models.shared import Property, Tag


class Products(Resource, call="products"):
    """Products."""

    @lists("getProducts", "/products", "products", key="product_id")
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
        """
        ...

    @gets("getProduct", "/products/{product_id}")
    async def get(self, product_id: str) -> Product:
        """Return the product with this id (`GET /products/{product_id}`)."""
        ...

    @posts("postBulkProducts", "/products/batch", interfaces=ENTERPRISE_ONLY)
    async def batch(self, products: Sequence[ProductInput], *, error_processing: int | None = None) -> None:
        """Write up to 1,000 products (`POST /products/batch`). Enterprise API only.

        `error_processing` says what happens when a record is at fault: all is undone, or the others are written.

        Args:
            products: the products.
            error_processing: see `ErrorProcessing`; the server rolls everything back if left out.
        """
        ...

    @lists("getSubProductTags", "/products/tags", "tags", key="tag_id")
    def tags(self, *, name: str | None = None, text_id: str | None = None, **paging: Unpack[Paging]) -> Listing[Tag]:
        """List the tags of products (`GET /products/tags`).

        Args:
            name: part of the name.
            text_id: the fixed text id.
        """
        ...


class ProductBrands(Resource, call="product_brands"):
    """Product brands."""

    @lists("getProductBrands", "/product-brands", "product_brands", key="product_brand_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[ProductBrand]:
        """List product brands that match all filters (`GET /product-brands`).

        Args:
            name: part of the name.
        """
        ...

    @gets("getProductBrand", "/product-brands/{product_brand_id}")
    async def get(self, product_brand_id: str) -> ProductBrand:
        """Return the product brand with this id (`GET /product-brands/{product_brand_id}`)."""
        ...

    @posts("postBulkProductBrands", "/product-brands/batch", interfaces=ENTERPRISE_ONLY)
    async def batch(self, product_brands: Sequence[ProductBrandInput], *, error_processing: int | None = None) -> None:
        """Write up to 1,000 product brands (`POST /product-brands/batch`). Enterprise API only.

        `error_processing` says what happens when a record is at fault: all is undone, or the others are written.

        Args:
            product_brands: the brands to write.
            error_processing: see `ErrorProcessing`; the server rolls everything back if left out.
        """
        ...


class ProductGroups(Resource, call="product_groups"):
    """Product groups."""

    @lists("getProductGroups", "/product-groups", "product_groups", key="product_group_id")
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
        """
        ...

    @gets("getProductGroup", "/product-groups/{product_group_id}")
    async def get(self, product_group_id: str) -> ProductGroup:
        """Return the product group with this id (`GET /product-groups/{product_group_id}`)."""
        ...

    @posts("postBulkProductGroups", "/product-groups/batch", interfaces=ENTERPRISE_ONLY)
    async def batch(self, product_groups: Sequence[ProductGroupInput], *, error_processing: int | None = None) -> None:
        """Write up to 1,000 product groups (`POST /product-groups/batch`). Enterprise API only.

        `error_processing` says what happens when a record is at fault: all is undone, or the others are written.

        Args:
            product_groups: the groups to write.
            error_processing: see `ErrorProcessing`; the server rolls everything back if left out.
        """
        ...


class ProductProperties(Resource, call="product_properties"):
    """Product properties."""

    @lists("getProductProperties", "/product-properties", "product_properties", key="property_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Property]:
        """List product properties that match all filters (`GET /product-properties`).

        Args:
            name: part of the name.
        """
        ...

    @gets("getProductProperty", "/product-properties/{product_property_id}")
    async def get(self, product_property_id: str) -> Property:
        """Return the product property with this id (`GET /product-properties/{product_property_id}`)."""
        ...


class Recommendations(Resource, call="recommendations"):
    """Recommendations."""

    @lists("getRecommendations", "/recommendations", "recommendations", key="recommendation_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Recommendation]:
        """List recommendations that match all filters (`GET /recommendations`).

        Args:
            name: part of the name.
        """
        ...

    @gets("getRecommendation", "/recommendations/{recommendation_id}")
    async def get(self, recommendation_id: str) -> Recommendation:
        """Return the recommendation with this id (`GET /recommendations/{recommendation_id}`)."""
        ...


class ThirdPartyRecommendations(Resource, call="third_party_recommendations"):
    """Third party recommendations."""

    @posts("postBulkThirdPartyRecommendations", "/third-party-recommendations/batch")
    async def batch(
        self,
        third_party_recommendations: Sequence[ThirdPartyRecommendationInput],
        *,
        error_processing: int | None = None,
    ) -> None:
        """Write up to 1,000 third party recommendations (`POST /third-party-recommendations/batch`).

        `error_processing` says what happens when a record is at fault: all is undone, or the others are written.

        Args:
            third_party_recommendations: the recommendations to write.
            error_processing: see `ErrorProcessing`; the server rolls everything back if left out.
        """
        ...
