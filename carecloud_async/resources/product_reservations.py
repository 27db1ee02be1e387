# pyright: reportReturnType=false
"""`client.product_reservations`, `client.product_reservation_prices` and 3 more families."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.resources.batches import batches, check_rows, reporting
from carecloud_async.resources.bulk_writing import BulkWriting
from carecloud_async.resources.declare import Paging, Resource, deletes, gets, lists, posts

if TYPE_CHECKING:
    from carecloud_async.models import *


class ProductReservations(BulkWriting, call="product_reservations"):
    """Customers' reservations of products."""

    @lists("getProductReservations", "/product-reservations", id_field="product_reservation_id")
    def list(
        self,
        *,
        customer_id: str | None = None,
        store_id: str | None = None,
        reservation_state: int | None = None,
        external_reservation_list_type_id: str | None = None,
        external_reservation_code: str | None = None,
        include_reservation_progress_history: bool | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[ProductReservation]:
        """List product reservations that match all filters (`GET /product-reservations`).

        Args:
            customer_id: id of the customer.
            store_id: id of the store.
            reservation_state: see `ReservationState`.
            external_reservation_list_type_id: id of the external reservation list type.
            external_reservation_code: code of the reservation in another system.
            include_reservation_progress_history: whether the history of the progress is included.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @posts("postProductReservation", "/product-reservations", unwrap="product_reservation_id")
    async def create(self, product_reservation: ProductReservationInput) -> str:
        """Create a product reservation and return its id (`POST /product-reservations`)."""

    @gets("getProductReservation", "/product-reservations/{product_reservation_id}")
    async def get(self, product_reservation_id: str) -> ProductReservation:
        """Return the product reservation with this id (`GET /product-reservations/{product_reservation_id}`)."""

    @posts(
        "postProductReservationCancel",
        "/product-reservations/{product_reservation_id}/actions/cancel-reservation",
        path_params_in_body=("product_reservation_id",),
    )
    async def cancel_reservation(self, product_reservation_id: str) -> None:
        """Cancel one (`POST /product-reservations/{product_reservation_id}/actions/cancel-reservation`)."""

    @posts("postProductReservationChangeState", "/product-reservations/actions/change-reservation-state")
    async def change_reservation_state(self, *, product_reservation_id: str, state: int) -> None:
        """Set a `ReservationState` (`POST /product-reservations/actions/change-reservation-state`)."""

    @posts(
        "postProductReservationSetExternalReservationCode",
        "/product-reservations/actions/set-product-reservation-external-codes",
    )
    async def set_product_reservation_external_codes(
        self, *, product_reservation_id: str, external_reservation_codes: Sequence[ExternalCodeInput]
    ) -> None:
        """Set the codes of other systems: one of a type replaces that type's; codes of other types stay.

        `POST /product-reservations/actions/set-product-reservation-external-codes`.

        Args:
            product_reservation_id: id of the product reservation.
            external_reservation_codes: codes of the reservation in other systems.
        """


class ProductReservationSources(Resource, call="product_reservation_sources"):
    """The systems that reservations of products come from."""

    @lists("getProductReservationSources", "/product-reservation-sources", id_field="product_reservation_source_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[ProductReservationSource]:
        """List product reservation sources (`GET /product-reservation-sources`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getProductReservationSource", "/product-reservation-sources/{product_reservation_source_id}")
    async def get(self, product_reservation_source_id: str) -> ProductReservationSource:
        """Return one (`GET /product-reservation-sources/{product_reservation_source_id}`)."""


class ProductReservationExternalListTypes(Resource, call="product_reservation_external_list_types"):
    """The lists of product codes of other systems."""

    @lists(
        "getProductReservationExternalListTypes",
        "/product-reservation-external-list-types",
        id_field="product_reservation_external_list_type_id",
    )
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[ProductReservationExternalListType]:
        """List those whose name contains `name` (`GET /product-reservation-external-list-types`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets(
        "getProductReservationExternalListType",
        "/product-reservation-external-list-types/{product_reservation_external_list_type_id}",
    )
    async def get(self, product_reservation_external_list_type_id: str) -> ProductReservationExternalListType:
        """Return one (`GET /product-reservation-external-list-types/{product_reservation_external_list_type_id}`)."""


class ReservableProducts(Resource, call="reservable_products"):
    """The products that can be reserved."""

    @lists("getReservableProducts", "/reservable-products", id_field="product_id")
    def list(
        self,
        *,
        name: str | None = None,
        code: str | None = None,
        store_id: str | None = None,
        tag_ids: Sequence[str] | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Product]:
        """List reservable products that match all filters (`GET /reservable-products`).

        Args:
            name: part of the name.
            code: the exact code.
            store_id: id of the store.
            tag_ids: any of these ids, up to 1,000.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getReservableProduct", "/reservable-products/{reservable_product_id}")
    async def get(self, reservable_product_id: str) -> Product:
        """Return the reservable product with this id (`GET /reservable-products/{reservable_product_id}`)."""

    @lists(
        "postReservableProductsSearch",
        "/reservable-products/actions/search-reservable-products",
        "search_results",
        id_field="resource_id",
        method="POST",
    )
    def search_reservable_products(self, *, search_string: str, **paging: Unpack[Paging]) -> Listing[SearchResult]:
        """Search for the text `search_string` (`POST /reservable-products/actions/search-reservable-products`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class ProductReservationPrices(BulkWriting, call="product_reservation_prices"):
    """What reservations of products cost."""

    @lists("getProductReservationPrices", "/product-reservation-prices", id_field="product_reservation_price_id")
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
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getProductReservationPrice", "/product-reservation-prices/{product_reservation_price_id}")
    async def get(self, product_reservation_price_id: str) -> ProductReservationPrice:
        """Return the product reservation price (`GET /product-reservation-prices/{product_reservation_price_id}`)."""

    @batches("postBulkProductReservationPrices", "/product-reservation-prices/batch", interfaces=ENTERPRISE_ONLY)
    async def batch(
        self, product_reservation_prices: Sequence[ProductReservationPriceInput], *, error_processing: int | None = None
    ) -> None:
        """Write up to 1,000 prices (`POST /product-reservation-prices/batch`). Enterprise API only.

        `error_processing` is an `ErrorProcessing`; left out, one error undoes everything. With `KEEP_VALID` a success
        does not prove that every row was written; the `report` of a `BadRequestError` says which ones were refused.
        """

    @reporting
    @deletes(
        "postBulkDeleteProductReservationPrices",
        "/product-reservation-prices/batch",
        interfaces=ENTERPRISE_ONLY,
        check=check_rows,
        has_body=True,
    )
    async def delete_batch(
        self,
        product_reservation_prices: Sequence[ProductReservationPriceIdInput],
        *,
        error_processing: int | None = None,
    ) -> None:
        """Delete up to 1,000 prices (`DELETE /product-reservation-prices/batch`). Enterprise API only.

        `error_processing` is an `ErrorProcessing`; left out, one error undoes everything. With `KEEP_VALID` a success
        does not prove that every row was written; the `report` of a `BadRequestError` says which ones were refused.
        """
