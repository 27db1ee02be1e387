# pyright: reportReturnType=false
"""`client.countries`, `client.currencies` and 5 more families."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from carecloud_async._lists.listings.listing import Listing
from carecloud_async.resources.bulk_writing import BulkWriting
from carecloud_async.resources.declare import Paging, Resource, gets, lists, posts

if TYPE_CHECKING:
    from carecloud_async.models import *


class Countries(Resource, call="countries"):
    """The countries of addresses, with their codes."""

    @lists("getCountries", "/countries", id_field="country_id")
    def list(
        self, *, country_id: str | None = None, country_name: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[Country]:
        """List countries by ISO code (`country_id`) and part of the `country_name` (`GET /countries`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class Currencies(Resource, call="currencies"):
    """The currencies of prices."""

    @lists("getCurrencies", "/currencies", id_field="currency_id")
    def list(
        self, *, currency_name: str | None = None, currency_code: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[Currency]:
        """List currencies by part of the `currency_name` and by ISO `currency_code` (`GET /currencies`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getCurrency", "/currencies/{currency_id}")
    async def get(self, currency_id: str) -> Currency:
        """Return the currency with this id (`GET /currencies/{currency_id}`)."""


class Languages(Resource, call="languages"):
    """The languages of customers and texts."""

    @lists("getLanguages", "/languages", id_field="language_id", paged=False, authorized=False)
    def list(self, *, language_list_type: str | None = None, default_language: bool | None = None) -> Listing[Language]:
        """List a `LanguageListType`, or its `default_language` alone (`GET /languages`). Needs no token."""


class PaymentTypes(Resource, call="payment_types"):
    """The ways to pay for a purchase."""

    @lists("getPaymentTypes", "/payment-types", id_field="payment_type_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[PaymentType]:
        """List payment types (`GET /payment-types`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getPaymentType", "/payment-types/{payment_type_id}")
    async def get(self, payment_type_id: str) -> PaymentType:
        """Return the payment type with this id (`GET /payment-types/{payment_type_id}`)."""


class Tests(Resource, call="tests"):
    """A test of the connection."""

    @gets("getTestsConnection", "/tests/connection", unwrap="test_string", authorized=False)
    async def connection(self, *, test_string: str | None = None) -> str:
        """Return `test_string` reversed: whether the API can be reached (`GET /tests/connection`).

        Needs no token.
        """


class Orders(BulkWriting, call="orders"):
    """Customers' orders."""

    @lists("getOrders", "/orders", id_field="order_id")
    def list(
        self, *, customer_id: str | None = None, state: int | None = None, **paging: Unpack[Paging]
    ) -> Listing[Order]:
        """List orders by customer and `RecordState` (`GET /orders`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @posts("postOrder", "/orders", unwrap="order_id")
    async def create(self, order: OrderInput) -> str:
        """Create an order and return its id (`POST /orders`)."""

    @gets("getOrder", "/orders/{order_id}")
    async def get(self, order_id: str) -> Order:
        """Return the order with this id (`GET /orders/{order_id}`)."""


class Interests(Resource, call="interests"):
    """The interests that customers can have."""

    @lists("getInterests", "/interests", id_field="interest_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Interest]:
        """List interests whose name contains `name` (`GET /interests`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getInterest", "/interests/{interest_id}")
    async def get(self, interest_id: str) -> Interest:
        """Return the interest with this id (`GET /interests/{interest_id}`)."""
