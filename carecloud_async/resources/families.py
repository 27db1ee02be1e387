"""The families of the API as attributes of the client, each imported at its first use. One line is one family."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from carecloud_async.calls.caller import Caller

if TYPE_CHECKING:
    from carecloud_async.resources.bookings import Bookings, BookingStatuses, BookingTicketProperties, BookingTickets
    from carecloud_async.resources.customers import Customers
    from carecloud_async.resources.declare import Resource
    from carecloud_async.resources.product_reservation_prices import ProductReservationPrices
    from carecloud_async.resources.recommendation_engine import RecommendationEngine
    from carecloud_async.resources.tokens import Tokens
    from carecloud_async.resources.users import Users
    from carecloud_async.resources.wallet import Wallet

__all__ = ["Families", "Family", "family_modules"]

R = TypeVar("R", bound="Resource")


class Family(Generic[R]):
    """An attribute of the client that is a family.

    Args:
        module: its module in `carecloud_async.resources`; small families share one.
        name: the name of its class.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module = f"carecloud_async.resources.{module}"
        self.name = name
        self._cls: Any = None

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...

    @overload
    def __get__(self, client: Families, owner: type) -> R: ...

    def __get__(self, client: Families | None, owner: type) -> Self | R:
        if client is None:
            return self
        if self._cls is None:
            self._cls = getattr(import_module(self.module), self.name)
        family: R = self._cls(client._caller, acting=client._acting)
        return family


class Families:
    """Every family of the API, under its plain name."""

    if TYPE_CHECKING:

        @property
        def _caller(self) -> Caller: ...

        @property
        def _acting(self) -> bool: ...

    booking_statuses: Family[BookingStatuses] = Family("bookings", "BookingStatuses")
    """States that bookings can be in."""
    booking_ticket_properties: Family[BookingTicketProperties] = Family("bookings", "BookingTicketProperties")
    """Properties of booking tickets."""
    booking_tickets: Family[BookingTickets] = Family("bookings", "BookingTickets")
    """Tickets that time slots are booked for."""
    bookings: Family[Bookings] = Family("bookings", "Bookings")
    """Reservations of time slots."""
    customers: Family[Customers] = Family("customers", "Customers")
    """Customers; on the customer interface the one who is logged in."""
    product_reservation_prices: Family[ProductReservationPrices] = Family(
        "product_reservation_prices", "ProductReservationPrices"
    )
    """What reservations of products cost."""
    recommendation_engine: Family[RecommendationEngine] = Family("recommendation_engine", "RecommendationEngine")
    """Products for a customer or a cart."""
    tokens: Family[Tokens] = Family("tokens", "Tokens")
    """Device tokens of the customer interface."""
    users: Family[Users] = Family("users", "Users")
    """Users of the enterprise interface."""
    wallet: Family[Wallet] = Family("wallet", "Wallet")
    """A customer's turnover, points and credits."""


def family_modules() -> tuple[str, ...]:
    """Name the modules of all families; the module of a family imports those of its sub-resources."""
    families = (value for value in vars(Families).values() if isinstance(value, Family))
    return tuple(dict.fromkeys(family.module for family in families))
