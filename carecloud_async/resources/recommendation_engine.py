"""`client.recommendation_engine`: products for a customer or a cart, by POSTs that only read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from carecloud_async.paging.listing import Listing
from carecloud_async.resources.declare import Resource, lists

if TYPE_CHECKING:
    from carecloud_async.models import RecommendedProduct

__all__ = ["ProductRecommendationEngine", "RecommendationEngine", "ShoppingCartRecommendationEngine"]


class ProductRecommendationEngine(Resource, call="recommendation_engine.product"):
    """Recommendations for a customer."""

    @lists(
        "postRecommendationProductEliminate",
        "/recommendation-engine/product/actions/eliminate",
        "recommended_products_list",
        key="product_id",
        method="POST",
        paged=False,
        safe_to_repeat=True,
    )
    def eliminate(
        self, *, customer_id: str, product_id_list: Sequence[str] | None = None
    ) -> Listing[RecommendedProduct]:
        """Keep of some products those that suit a customer; perhaps none.

        `POST /recommendation-engine/product/actions/eliminate`. Reading only: it may be repeated.

        Args:
            customer_id: the customer whose purchases are looked at.
            product_id_list: ids of the products to choose from.
        """
        ...

    @lists(
        "postRecommendationProductOrder",
        "/recommendation-engine/product/actions/order",
        "recommended_products_list",
        key="product_id",
        method="POST",
        paged=False,
        safe_to_repeat=True,
    )
    def order(
        self, *, customer_id: str, product_id_list: Sequence[str] | None = None, count: int | None = None
    ) -> Listing[RecommendedProduct]:
        """Put products into the order in which they suit a customer, best first.

        `POST /recommendation-engine/product/actions/order`. Reading only: it may be repeated.

        Args:
            customer_id: the customer whose purchases are looked at.
            product_id_list: ids of the products to choose from.
            count: how many products to return at most.
        """
        ...

    @lists(
        "postRecommendationProductCombine",
        "/recommendation-engine/product/actions/combine",
        "recommended_products_list",
        key="product_id",
        method="POST",
        paged=False,
        safe_to_repeat=True,
    )
    def combine(
        self, *, customer_id: str, product_id_list: Sequence[str] | None = None, count: int | None = None
    ) -> Listing[RecommendedProduct]:
        """Keep of some products those that suit a customer, and fill up with the best of all others.

        `POST /recommendation-engine/product/actions/combine`. Reading only: it may be repeated.

        Args:
            customer_id: the customer whose purchases are looked at.
            product_id_list: ids of the products to choose from.
            count: how many products to return at most.
        """
        ...


class ShoppingCartRecommendationEngine(Resource, call="recommendation_engine.shopping_cart"):
    """Recommendations for what is in a cart."""

    @lists(
        "postRecommendationCartEliminate",
        "/recommendation-engine/shopping-cart/actions/eliminate",
        "recommended_products_list",
        key="product_id",
        method="POST",
        paged=False,
        safe_to_repeat=True,
    )
    def eliminate(
        self,
        *,
        customer_id: str,
        cart_product_ids: Sequence[str] | None = None,
        product_id_list: Sequence[str] | None = None,
    ) -> Listing[RecommendedProduct]:
        """Keep of some products those that suit a cart; perhaps none.

        `POST /recommendation-engine/shopping-cart/actions/eliminate`. Reading only: it may be repeated.

        Args:
            customer_id: the customer whose purchases are looked at.
            cart_product_ids: ids of the products in the cart.
            product_id_list: ids of the products to choose from.
        """
        ...

    @lists(
        "postRecommendationCartOrder",
        "/recommendation-engine/shopping-cart/actions/order",
        "recommended_products_list",
        key="product_id",
        method="POST",
        paged=False,
        safe_to_repeat=True,
    )
    def order(
        self, *, cart_product_ids: Sequence[str], product_id_list: Sequence[str] | None = None, count: int | None = None
    ) -> Listing[RecommendedProduct]:
        """Put products into the order in which they suit a cart, best first.

        `POST /recommendation-engine/shopping-cart/actions/order`. Reading only: it may be repeated.

        Args:
            cart_product_ids: ids of the products in the cart.
            product_id_list: ids of the products to choose from.
            count: how many products to return at most.
        """
        ...

    @lists(
        "postRecommendationCartCombine",
        "/recommendation-engine/shopping-cart/actions/combine",
        "recommended_products_list",
        key="product_id",
        method="POST",
        paged=False,
        safe_to_repeat=True,
    )
    def combine(
        self,
        *,
        customer_id: str,
        cart_product_ids: Sequence[str] | None = None,
        product_id_list: Sequence[str] | None = None,
        count: int | None = None,
    ) -> Listing[RecommendedProduct]:
        """Keep of some products those that suit a cart, and fill up with the best of all others.

        `POST /recommendation-engine/shopping-cart/actions/combine`. Reading only: it may be repeated.

        Args:
            customer_id: the customer whose purchases are looked at.
            cart_product_ids: ids of the products in the cart.
            product_id_list: ids of the products to choose from.
            count: how many products to return at most.
        """
        ...


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
