"""`client.product_reservation_prices`: read prices, write and delete them in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from carecloud_async.calls.operation import ENTERPRISE_ONLY
from carecloud_async.paging.listing import Listing
from carecloud_async.resources.declare import Paging, Resource, deletes, gets, lists, posts

if TYPE_CHECKING:
    from carecloud_async.models import (
        ProductReservationPrice,
        ProductReservationPriceIdInput,
        ProductReservationPriceInput,
    )

__all__ = ["ProductReservationPrices"]


class ProductReservationPrices(Resource, call="product_reservation_prices"):
    """What reservations of products cost."""

    @lists(
        "getProductReservationPrices",
        "/product-reservation-prices",
        "product_reservation_prices",
        key="product_reservation_price_id",
    )
    def list(
        self,
        *,
        reservable_product_id: str | Sequence[str] | None = None,
        store_id: str | None = None,
        currency_id: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[ProductReservationPrice]:
        """List product reservation prices that match all filters (`GET /product-reservation-prices`).

        Args:
            reservable_product_id: the reservable product, or several.
            store_id: id of the store.
            currency_id: id of the currency.
            **paging: see `Paging`.
        """
        ...

    @gets("getProductReservationPrice", "/product-reservation-prices/{product_reservation_price_id}")
    async def get(self, product_reservation_price_id: str) -> ProductReservationPrice:
        """Return the product reservation price with this id.

        `GET /product-reservation-prices/{product_reservation_price_id}`.
        """
        ...

    @posts("postBulkProductReservationPrices", "/product-reservation-prices/batch", interfaces=ENTERPRISE_ONLY)
    async def batch(
        self, product_reservation_prices: Sequence[ProductReservationPriceInput], *, error_processing: int | None = None
    ) -> None:
        """Write up to 1,000 product reservation prices.

        `POST /product-reservation-prices/batch`. Enterprise interface only.

        A price that exists is updated: what is left out of it stays as it is, and nothing can be cleared.

        Args:
            product_reservation_prices: the prices.
            error_processing: see `ErrorProcessing`; the server rolls everything back if left out.
        """
        ...

    @deletes(
        "postBulkDeleteProductReservationPrices",
        "/product-reservation-prices/batch",
        sends=True,
        interfaces=ENTERPRISE_ONLY,
    )
    async def delete_batch(
        self,
        product_reservation_prices: Sequence[ProductReservationPriceIdInput],
        *,
        error_processing: int | None = None,
    ) -> None:
        """Delete up to 1,000 product reservation prices.

        `DELETE /product-reservation-prices/batch`. Enterprise interface only.

        Args:
            product_reservation_prices: the prices.
            error_processing: see `ErrorProcessing`; the server rolls everything back if left out.
        """
        ...
