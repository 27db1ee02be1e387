"""The families of the API as attributes of the client, each imported at its first use. One line is one family."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from carecloud_async.calls.caller import Caller

if TYPE_CHECKING:
    from carecloud_async.resources.bookings import Bookings, BookingStatuses, BookingTicketProperties, BookingTickets
    from carecloud_async.resources.cards import Cards, CardTypes, Entrances
    from carecloud_async.resources.customer_settings import (
        CustomerAddressTypes,
        CustomerEngagementSetups,
        CustomerExternalApplications,
        CustomerProperties,
        CustomerRelationTypes,
        CustomerSourceRecords,
        CustomerSources,
        CustomerTypes,
    )
    from carecloud_async.resources.customers import Customers
    from carecloud_async.resources.declare import Resource
    from carecloud_async.resources.events import (
        CampaignProducts,
        Campaigns,
        EventGroups,
        EventProperties,
        Events,
        EventTypes,
    )
    from carecloud_async.resources.loyalty import CreditHistory, Credits, CreditTypes, Statuses
    from carecloud_async.resources.messages import (
        Agreements,
        Audiences,
        CommunicationChannels,
        Messages,
        MessageTemplates,
        OneTimePassword,
    )
    from carecloud_async.resources.points import PointHistory, PointReservations, Points, PointTypes
    from carecloud_async.resources.product_reservation_prices import ProductReservationPrices
    from carecloud_async.resources.product_reservations import (
        ProductReservationExternalListTypes,
        ProductReservations,
        ProductReservationSources,
        ReservableProducts,
    )
    from carecloud_async.resources.products import (
        ProductBrands,
        ProductGroups,
        ProductProperties,
        Products,
        Recommendations,
        ThirdPartyRecommendations,
    )
    from carecloud_async.resources.purchases import (
        PurchaseItemProperties,
        PurchaseItemTypes,
        PurchaseProperties,
        Purchases,
        PurchaseTypes,
    )
    from carecloud_async.resources.recommendation_engine import RecommendationEngine
    from carecloud_async.resources.reference import (
        Countries,
        Currencies,
        Interests,
        Languages,
        Orders,
        PaymentTypes,
        Tests,
    )
    from carecloud_async.resources.rewards import RewardProperties, Rewards, RewardTypes
    from carecloud_async.resources.segments import SegmentGroups, Segments, StamperCampaigns, StamperCards, Stamps
    from carecloud_async.resources.stores import PartnerProperties, Partners, StoreGroups, StoreProperties, Stores
    from carecloud_async.resources.tasks import TaskProperties, Tasks, TaskStates, TaskTypes
    from carecloud_async.resources.tokens import Tokens
    from carecloud_async.resources.users import UserRoles, Users
    from carecloud_async.resources.vouchers import VoucherProperties, Vouchers
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

    agreements: Family[Agreements] = Family("messages", "Agreements")
    """Agreements."""
    audiences: Family[Audiences] = Family("messages", "Audiences")
    """Audiences."""
    booking_statuses: Family[BookingStatuses] = Family("bookings", "BookingStatuses")
    """Booking statuses."""
    booking_ticket_properties: Family[BookingTicketProperties] = Family("bookings", "BookingTicketProperties")
    """Booking ticket properties."""
    booking_tickets: Family[BookingTickets] = Family("bookings", "BookingTickets")
    """Booking tickets."""
    bookings: Family[Bookings] = Family("bookings", "Bookings")
    """Bookings."""
    campaign_products: Family[CampaignProducts] = Family("events", "CampaignProducts")
    """Campaign products."""
    campaigns: Family[Campaigns] = Family("events", "Campaigns")
    """Campaigns."""
    card_types: Family[CardTypes] = Family("cards", "CardTypes")
    """Card types."""
    cards: Family[Cards] = Family("cards", "Cards")
    """Cards."""
    communication_channels: Family[CommunicationChannels] = Family("messages", "CommunicationChannels")
    """Communication channels."""
    countries: Family[Countries] = Family("reference", "Countries")
    """Countries."""
    credit_history: Family[CreditHistory] = Family("loyalty", "CreditHistory")
    """Credit history."""
    credit_types: Family[CreditTypes] = Family("loyalty", "CreditTypes")
    """Credit types."""
    credits: Family[Credits] = Family("loyalty", "Credits")
    """Credits."""
    currencies: Family[Currencies] = Family("reference", "Currencies")
    """Currencies."""
    customer_address_types: Family[CustomerAddressTypes] = Family("customer_settings", "CustomerAddressTypes")
    """Customer address types."""
    customer_engagement_setups: Family[CustomerEngagementSetups] = Family(
        "customer_settings", "CustomerEngagementSetups"
    )
    """Customer engagement setups."""
    customer_external_applications: Family[CustomerExternalApplications] = Family(
        "customer_settings", "CustomerExternalApplications"
    )
    """Customer external applications."""
    customer_properties: Family[CustomerProperties] = Family("customer_settings", "CustomerProperties")
    """Customer properties."""
    customer_relation_types: Family[CustomerRelationTypes] = Family("customer_settings", "CustomerRelationTypes")
    """Customer relation types."""
    customer_source_records: Family[CustomerSourceRecords] = Family("customer_settings", "CustomerSourceRecords")
    """Customer source records."""
    customer_sources: Family[CustomerSources] = Family("customer_settings", "CustomerSources")
    """Customer sources."""
    customer_types: Family[CustomerTypes] = Family("customer_settings", "CustomerTypes")
    """Customer types."""
    customers: Family[Customers] = Family("customers", "Customers")
    """Customers; on the customer interface the one who is logged in."""
    entrances: Family[Entrances] = Family("cards", "Entrances")
    """Entrances."""
    event_groups: Family[EventGroups] = Family("events", "EventGroups")
    """Event groups."""
    event_properties: Family[EventProperties] = Family("events", "EventProperties")
    """Event properties."""
    event_types: Family[EventTypes] = Family("events", "EventTypes")
    """Event types."""
    events: Family[Events] = Family("events", "Events")
    """Events."""
    interests: Family[Interests] = Family("reference", "Interests")
    """Interests."""
    languages: Family[Languages] = Family("reference", "Languages")
    """Languages."""
    message_templates: Family[MessageTemplates] = Family("messages", "MessageTemplates")
    """Message templates."""
    messages: Family[Messages] = Family("messages", "Messages")
    """Messages."""
    one_time_password: Family[OneTimePassword] = Family("messages", "OneTimePassword")
    """One time password."""
    orders: Family[Orders] = Family("reference", "Orders")
    """Orders."""
    partner_properties: Family[PartnerProperties] = Family("stores", "PartnerProperties")
    """Partner properties."""
    partners: Family[Partners] = Family("stores", "Partners")
    """Partners."""
    payment_types: Family[PaymentTypes] = Family("reference", "PaymentTypes")
    """Payment types."""
    point_history: Family[PointHistory] = Family("points", "PointHistory")
    """Point history."""
    point_reservations: Family[PointReservations] = Family("points", "PointReservations")
    """Point reservations."""
    point_types: Family[PointTypes] = Family("points", "PointTypes")
    """Point types."""
    points: Family[Points] = Family("points", "Points")
    """Points."""
    product_brands: Family[ProductBrands] = Family("products", "ProductBrands")
    """Product brands."""
    product_groups: Family[ProductGroups] = Family("products", "ProductGroups")
    """Product groups."""
    product_properties: Family[ProductProperties] = Family("products", "ProductProperties")
    """Product properties."""
    product_reservation_external_list_types: Family[ProductReservationExternalListTypes] = Family(
        "product_reservations", "ProductReservationExternalListTypes"
    )
    """Product reservation external list types."""
    product_reservation_prices: Family[ProductReservationPrices] = Family(
        "product_reservation_prices", "ProductReservationPrices"
    )
    """Product reservation prices."""
    product_reservation_sources: Family[ProductReservationSources] = Family(
        "product_reservations", "ProductReservationSources"
    )
    """Product reservation sources."""
    product_reservations: Family[ProductReservations] = Family("product_reservations", "ProductReservations")
    """Product reservations."""
    products: Family[Products] = Family("products", "Products")
    """Products."""
    purchase_item_properties: Family[PurchaseItemProperties] = Family("purchases", "PurchaseItemProperties")
    """Purchase item properties."""
    purchase_item_types: Family[PurchaseItemTypes] = Family("purchases", "PurchaseItemTypes")
    """Purchase item types."""
    purchase_properties: Family[PurchaseProperties] = Family("purchases", "PurchaseProperties")
    """Purchase properties."""
    purchase_types: Family[PurchaseTypes] = Family("purchases", "PurchaseTypes")
    """Purchase types."""
    purchases: Family[Purchases] = Family("purchases", "Purchases")
    """Purchases."""
    recommendation_engine: Family[RecommendationEngine] = Family("recommendation_engine", "RecommendationEngine")
    """Recommendation engine."""
    recommendations: Family[Recommendations] = Family("products", "Recommendations")
    """Recommendations."""
    reservable_products: Family[ReservableProducts] = Family("product_reservations", "ReservableProducts")
    """Reservable products."""
    reward_properties: Family[RewardProperties] = Family("rewards", "RewardProperties")
    """Reward properties."""
    reward_types: Family[RewardTypes] = Family("rewards", "RewardTypes")
    """Reward types."""
    rewards: Family[Rewards] = Family("rewards", "Rewards")
    """Rewards."""
    segment_groups: Family[SegmentGroups] = Family("segments", "SegmentGroups")
    """Segment groups."""
    segments: Family[Segments] = Family("segments", "Segments")
    """Segments."""
    stamper_campaigns: Family[StamperCampaigns] = Family("segments", "StamperCampaigns")
    """Stamper campaigns."""
    stamper_cards: Family[StamperCards] = Family("segments", "StamperCards")
    """Stamper cards."""
    stamps: Family[Stamps] = Family("segments", "Stamps")
    """Stamps."""
    statuses: Family[Statuses] = Family("loyalty", "Statuses")
    """Statuses."""
    store_groups: Family[StoreGroups] = Family("stores", "StoreGroups")
    """Store groups."""
    store_properties: Family[StoreProperties] = Family("stores", "StoreProperties")
    """Store properties."""
    stores: Family[Stores] = Family("stores", "Stores")
    """Stores."""
    task_properties: Family[TaskProperties] = Family("tasks", "TaskProperties")
    """Task properties."""
    task_states: Family[TaskStates] = Family("tasks", "TaskStates")
    """Task states."""
    task_types: Family[TaskTypes] = Family("tasks", "TaskTypes")
    """Task types."""
    tasks: Family[Tasks] = Family("tasks", "Tasks")
    """Tasks."""
    tests: Family[Tests] = Family("reference", "Tests")
    """Tests."""
    third_party_recommendations: Family[ThirdPartyRecommendations] = Family("products", "ThirdPartyRecommendations")
    """Third party recommendations."""
    tokens: Family[Tokens] = Family("tokens", "Tokens")
    """Device tokens of the customer interface."""
    user_roles: Family[UserRoles] = Family("users", "UserRoles")
    """User roles."""
    users: Family[Users] = Family("users", "Users")
    """Users of the enterprise interface."""
    voucher_properties: Family[VoucherProperties] = Family("vouchers", "VoucherProperties")
    """Voucher properties."""
    vouchers: Family[Vouchers] = Family("vouchers", "Vouchers")
    """Vouchers."""
    wallet: Family[Wallet] = Family("wallet", "Wallet")
    """Wallet."""


def family_modules() -> tuple[str, ...]:
    """Name the modules of all families; the module of a family imports those of its sub-resources."""
    families = (value for value in vars(Families).values() if isinstance(value, Family))
    return tuple(dict.fromkeys(family.module for family in families))
