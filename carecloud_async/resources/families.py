# pyright: reportGeneralTypeIssues=false
"""The families of the API as attributes of the client, each imported at its first use. One line is one family."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Generic, Self, TypeVar, overload

from carecloud_async._calls.call.caller import Caller

if TYPE_CHECKING:
    from carecloud_async.resources.bookings import *
    from carecloud_async.resources.cards import *
    from carecloud_async.resources.customer_settings import *
    from carecloud_async.resources.customers import *
    from carecloud_async.resources.declare import Resource
    from carecloud_async.resources.events import *
    from carecloud_async.resources.loyalty import *
    from carecloud_async.resources.messages import *
    from carecloud_async.resources.points import *
    from carecloud_async.resources.product_reservations import *
    from carecloud_async.resources.products import *
    from carecloud_async.resources.purchases import *
    from carecloud_async.resources.recommendation_engine import *
    from carecloud_async.resources.reference import *
    from carecloud_async.resources.rewards import *
    from carecloud_async.resources.segments import *
    from carecloud_async.resources.stores import *
    from carecloud_async.resources.tasks import *
    from carecloud_async.resources.tokens import *
    from carecloud_async.resources.users import *
    from carecloud_async.resources.vouchers import *
    from carecloud_async.resources.wallet import *

__all__ = ["Families", "Family", "family_modules"]

R = TypeVar("R", bound="Resource")


class Family(Generic[R]):
    """An attribute of the client that is a family, made at its first use.

    Args:
        module: its module in `carecloud_async.resources`; small families share one. The class is called as the
            attribute: `card_types` is `CardTypes`.
    """

    def __init__(self, module: str) -> None:
        self.module: str = f"carecloud_async.resources.{module}"
        self.name: str = ""
        self._attribute = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self._attribute = name.title().replace("_", ""), name

    @property
    def resource(self) -> type[R]:
        """The class, whose module is imported at the first use."""
        resource: type[R] = getattr(import_module(self.module), self.name)
        return resource

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        """What `help(CareCloud)` says of the family: the docstring of its class."""
        return self.resource.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...

    @overload
    def __get__(self, client: Families, owner: type) -> R: ...

    def __get__(self, client: Families | None, owner: type) -> Self | R:
        if client is None:
            return self
        family = self.resource(client._caller, acting=client._acting)
        vars(client)[self._attribute] = family  # found there from now on, without this descriptor
        return family


class Families:
    """Every family of the API, under its plain name."""

    if TYPE_CHECKING:

        @property
        def _caller(self) -> Caller: ...

        @property
        def _acting(self) -> bool: ...

    agreements: Family[Agreements] = Family("messages")
    """The consents that the project asks customers for."""
    audiences: Family[Audiences] = Family("messages")
    """The target groups of campaigns."""
    booking_statuses: Family[BookingStatuses] = Family("bookings")
    """The states that bookings can be in; each project defines its own."""
    booking_ticket_properties: Family[BookingTicketProperties] = Family("bookings")
    """The properties of booking tickets that the project has defined."""
    booking_tickets: Family[BookingTickets] = Family("bookings")
    """The tickets that customers book, with their time slots."""
    bookings: Family[Bookings] = Family("bookings")
    """Customers' bookings of time slots."""
    campaign_products: Family[CampaignProducts] = Family("events")
    """The products of campaigns, with their prices in stores."""
    campaigns: Family[Campaigns] = Family("events")
    """The project's marketing campaigns."""
    card_types: Family[CardTypes] = Family("cards")
    """The kinds of cards, such as a loyalty card."""
    cards: Family[Cards] = Family("cards")
    """Customers' cards, and cards that are still free."""
    communication_channels: Family[CommunicationChannels] = Family("messages")
    """The channels that reach customers, such as e-mail."""
    countries: Family[Countries] = Family("reference")
    """The countries of addresses, with their codes."""
    credit_history: Family[CreditHistory] = Family("loyalty")
    """The operations on customers' credits: earned, spent, expired."""
    credit_types: Family[CreditTypes] = Family("loyalty")
    """The kinds of credits."""
    credits: Family[Credits] = Family("loyalty")
    """The credits that customers earned."""
    currencies: Family[Currencies] = Family("reference")
    """The currencies of prices."""
    customer_address_types: Family[CustomerAddressTypes] = Family("customer_settings")
    """The kinds of customers' additional addresses."""
    customer_engagement_setups: Family[CustomerEngagementSetups] = Family("customer_settings")
    """The setups of customer engagement for applications."""
    customer_external_applications: Family[CustomerExternalApplications] = Family("customer_settings")
    """The applications that use the Customer API."""
    customer_properties: Family[CustomerProperties] = Family("customer_settings")
    """The properties of customers that the project has defined."""
    customer_relation_types: Family[CustomerRelationTypes] = Family("customer_settings")
    """The kinds of relations between customers."""
    customer_source_records: Family[CustomerSourceRecords] = Family("customer_settings")
    """The links between customers and their accounts in other systems."""
    customer_sources: Family[CustomerSources] = Family("customer_settings")
    """The systems that customers come from, such as a shop."""
    customer_types: Family[CustomerTypes] = Family("customer_settings")
    """The kinds of customers."""
    customers: Family[Customers] = Family("customers")
    """Customers; on the customer interface the one who is logged in."""
    entrances: Family[Entrances] = Family("cards")
    """Customers' entrances to resorts."""
    event_groups: Family[EventGroups] = Family("events")
    """The groups of event types."""
    event_properties: Family[EventProperties] = Family("events")
    """The properties of events that the project has defined."""
    event_types: Family[EventTypes] = Family("events")
    """The kinds of events."""
    events: Family[Events] = Family("events")
    """The marketing events of customers, such as an abandoned cart."""
    interests: Family[Interests] = Family("reference")
    """The interests that customers can have."""
    languages: Family[Languages] = Family("reference")
    """The languages of customers and texts."""
    message_templates: Family[MessageTemplates] = Family("messages")
    """The templates of messages."""
    messages: Family[Messages] = Family("messages")
    """The messages that were sent to customers; sends new ones."""
    one_time_password: Family[OneTimePassword] = Family("messages")
    """One-time passwords that are sent to customers."""
    orders: Family[Orders] = Family("reference")
    """Customers' orders."""
    partner_properties: Family[PartnerProperties] = Family("stores")
    """The properties of partners that the project has defined."""
    partners: Family[Partners] = Family("stores")
    """The partner companies of the project."""
    payment_types: Family[PaymentTypes] = Family("reference")
    """The ways to pay for a purchase."""
    point_history: Family[PointHistory] = Family("points")
    """The operations on customers' points: earned, spent, expired."""
    point_reservations: Family[PointReservations] = Family("points")
    """Points of customers that are set aside."""
    point_types: Family[PointTypes] = Family("points")
    """The kinds of points."""
    points: Family[Points] = Family("points")
    """The points that customers earned."""
    product_brands: Family[ProductBrands] = Family("products")
    """The brands of products."""
    product_groups: Family[ProductGroups] = Family("products")
    """The groups of products."""
    product_properties: Family[ProductProperties] = Family("products")
    """The properties of products that the project has defined."""
    product_reservation_external_list_types: Family[ProductReservationExternalListTypes] = Family(
        "product_reservations"
    )
    """The lists of product codes of other systems."""
    product_reservation_prices: Family[ProductReservationPrices] = Family("product_reservations")
    """What reservations of products cost."""
    product_reservation_sources: Family[ProductReservationSources] = Family("product_reservations")
    """The systems that reservations of products come from."""
    product_reservations: Family[ProductReservations] = Family("product_reservations")
    """Customers' reservations of products."""
    products: Family[Products] = Family("products")
    """The catalogue of products."""
    purchase_item_properties: Family[PurchaseItemProperties] = Family("purchases")
    """The properties of purchase items that the project has defined."""
    purchase_item_types: Family[PurchaseItemTypes] = Family("purchases")
    """The kinds of purchase items."""
    purchase_properties: Family[PurchaseProperties] = Family("purchases")
    """The properties of purchases that the project has defined."""
    purchase_types: Family[PurchaseTypes] = Family("purchases")
    """The kinds of purchases."""
    purchases: Family[Purchases] = Family("purchases")
    """Customers' purchases; calculates and sends new ones."""
    recommendation_engine: Family[RecommendationEngine] = Family("recommendation_engine")
    """Recommendations that CareCloud computes from purchases."""
    recommendations: Family[Recommendations] = Family("products")
    """Recommendations for customers."""
    reservable_products: Family[ReservableProducts] = Family("product_reservations")
    """The products that can be reserved."""
    reward_properties: Family[RewardProperties] = Family("rewards")
    """The properties of rewards that the project has defined."""
    reward_types: Family[RewardTypes] = Family("rewards")
    """The kinds of rewards."""
    rewards: Family[Rewards] = Family("rewards")
    """What customers can redeem: discounts, products, vouchers."""
    segment_groups: Family[SegmentGroups] = Family("segments")
    """The groups of segments."""
    segments: Family[Segments] = Family("segments")
    """The segments that customers are in."""
    stamper_campaigns: Family[StamperCampaigns] = Family("segments")
    """The campaigns in which customers collect stamps."""
    stamper_cards: Family[StamperCards] = Family("segments")
    """Customers' cards for stamps."""
    stamps: Family[Stamps] = Family("segments")
    """The stamps that customers collected."""
    statuses: Family[Statuses] = Family("loyalty")
    """The loyalty statuses that customers can have."""
    store_groups: Family[StoreGroups] = Family("stores")
    """The groups of stores."""
    store_properties: Family[StoreProperties] = Family("stores")
    """The properties of stores that the project has defined."""
    stores: Family[Stores] = Family("stores")
    """The stores of the project."""
    task_properties: Family[TaskProperties] = Family("tasks")
    """The properties of tasks that the project has defined."""
    task_states: Family[TaskStates] = Family("tasks")
    """The states that tasks can be in."""
    task_types: Family[TaskTypes] = Family("tasks")
    """The kinds of tasks."""
    tasks: Family[Tasks] = Family("tasks")
    """Tasks for the project's users."""
    tests: Family[Tests] = Family("reference")
    """A test of the connection."""
    third_party_recommendations: Family[ThirdPartyRecommendations] = Family("products")
    """Recommendations that another system made; CareCloud stores them."""
    tokens: Family[Tokens] = Family("tokens")
    """Device tokens of the customer interface."""
    user_roles: Family[UserRoles] = Family("users")
    """The roles of users."""
    users: Family[Users] = Family("users")
    """Users of the enterprise interface."""
    voucher_properties: Family[VoucherProperties] = Family("vouchers")
    """The properties of vouchers that the project has defined."""
    vouchers: Family[Vouchers] = Family("vouchers")
    """Customers' vouchers."""
    wallet: Family[Wallet] = Family("wallet")
    """What a customer has turned over, earned, spent and is about to lose."""


def family_modules() -> tuple[str, ...]:
    """Name the modules of all families; the module of a family imports those of its sub-resources."""
    families = (value for value in vars(Families).values() if isinstance(value, Family))
    return tuple(dict.fromkeys(family.module for family in families))
