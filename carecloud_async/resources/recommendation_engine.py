# pyright: reportReturnType=false
"""`client.recommendation_engine`: products for a customer or a cart, by POSTs that only read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from carecloud_async._lists.listings.listing import Listing
from carecloud_async.resources.declare import Resource, lists

if TYPE_CHECKING:
    from carecloud_async.models import RecommendedProduct

_recommends = partial(lists, list_key="recommended_products_list", id_field="product_id", method="POST", paged=False)


class ProductRecommendationEngine(Resource, call="recommendation_engine.product"):
    """Recommendations for a customer, whose purchases are looked at. All only read, and may be repeated.

    `product_id_list` holds the ids of the products to choose from, `count` is how many products may come.
    """

    @_recommends("postRecommendationProductEliminate", "/recommendation-engine/product/actions/eliminate")
    def eliminate(
        self, *, customer_id: str, product_id_list: Sequence[str] | None = None
    ) -> Listing[RecommendedProduct]:
        """Keep the products that suit a customer (`POST /recommendation-engine/product/actions/eliminate`)."""

    @_recommends("postRecommendationProductOrder", "/recommendation-engine/product/actions/order")
    def order(
        self, *, customer_id: str, product_id_list: Sequence[str] | None = None, count: int | None = None
    ) -> Listing[RecommendedProduct]:
        """Sort products for a customer, best first (`POST /recommendation-engine/product/actions/order`)."""

    @_recommends("postRecommendationProductCombine", "/recommendation-engine/product/actions/combine")
    def combine(
        self, *, customer_id: str, product_id_list: Sequence[str] | None = None, count: int | None = None
    ) -> Listing[RecommendedProduct]:
        """Keep those that suit a customer, add others (`POST /recommendation-engine/product/actions/combine`)."""


class ShoppingCartRecommendationEngine(Resource, call="recommendation_engine.shopping_cart"):
    """Recommendations for what is in a cart. All only read, and may be repeated.

    `cart_product_ids` are in the cart, `product_id_list` holds the ids to choose from, `count` is how many may come.
    """

    @_recommends("postRecommendationCartEliminate", "/recommendation-engine/shopping-cart/actions/eliminate")
    def eliminate(
        self,
        *,
        customer_id: str,
        cart_product_ids: Sequence[str] | None = None,
        product_id_list: Sequence[str] | None = None,
    ) -> Listing[RecommendedProduct]:
        """Keep the products that suit a cart (`POST /recommendation-engine/shopping-cart/actions/eliminate`)."""

    @_recommends("postRecommendationCartOrder", "/recommendation-engine/shopping-cart/actions/order")
    def order(
        self, *, cart_product_ids: Sequence[str], product_id_list: Sequence[str] | None = None, count: int | None = None
    ) -> Listing[RecommendedProduct]:
        """Sort products for a cart, best first (`POST /recommendation-engine/shopping-cart/actions/order`)."""

    @_recommends("postRecommendationCartCombine", "/recommendation-engine/shopping-cart/actions/combine")
    def combine(
        self,
        *,
        customer_id: str,
        cart_product_ids: Sequence[str] | None = None,
        product_id_list: Sequence[str] | None = None,
        count: int | None = None,
    ) -> Listing[RecommendedProduct]:
        """Keep those that suit a cart, add others (`POST /recommendation-engine/shopping-cart/actions/combine`)."""


class RecommendationEngine(Resource, call="recommendation_engine"):
    """Recommendations that CareCloud computes from purchases."""

    @property
    def product(self) -> ProductRecommendationEngine:
        """Recommendations for a customer."""
        return ProductRecommendationEngine(self._caller, acting=self._acting)

    @property
    def shopping_cart(self) -> ShoppingCartRecommendationEngine:
        """Recommendations for what is in a cart."""
        return ShoppingCartRecommendationEngine(self._caller, acting=self._acting)
