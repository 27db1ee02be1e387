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
    audiences: Family[Audiences] = Family("messages")
    booking_statuses: Family[BookingStatuses] = Family("bookings")
    booking_ticket_properties: Family[BookingTicketProperties] = Family("bookings")
    booking_tickets: Family[BookingTickets] = Family("bookings")
    bookings: Family[Bookings] = Family("bookings")
    campaign_products: Family[CampaignProducts] = Family("events")
    campaigns: Family[Campaigns] = Family("events")
    card_types: Family[CardTypes] = Family("cards")
    cards: Family[Cards] = Family("cards")
    communication_channels: Family[CommunicationChannels] = Family("messages")
    countries: Family[Countries] = Family("reference")
    credit_history: Family[CreditHistory] = Family("loyalty")
    credit_types: Family[CreditTypes] = Family("loyalty")
    credits: Family[Credits] = Family("loyalty")
    currencies: Family[Currencies] = Family("reference")
    customer_address_types: Family[CustomerAddressTypes] = Family("customer_settings")
    customer_engagement_setups: Family[CustomerEngagementSetups] = Family("customer_settings")
    customer_external_applications: Family[CustomerExternalApplications] = Family("customer_settings")
    customer_properties: Family[CustomerProperties] = Family("customer_settings")
    customer_relation_types: Family[CustomerRelationTypes] = Family("customer_settings")
    customer_source_records: Family[CustomerSourceRecords] = Family("customer_settings")
    customer_sources: Family[CustomerSources] = Family("customer_settings")
    customer_types: Family[CustomerTypes] = Family("customer_settings")
    customers: Family[Customers] = Family("customers")
    entrances: Family[Entrances] = Family("cards")
    event_groups: Family[EventGroups] = Family("events")
    event_properties: Family[EventProperties] = Family("events")
    event_types: Family[EventTypes] = Family("events")
    events: Family[Events] = Family("events")
    interests: Family[Interests] = Family("reference")
    languages: Family[Languages] = Family("reference")
    message_templates: Family[MessageTemplates] = Family("messages")
    messages: Family[Messages] = Family("messages")
    one_time_password: Family[OneTimePassword] = Family("messages")
    orders: Family[Orders] = Family("reference")
    partner_properties: Family[PartnerProperties] = Family("stores")
    partners: Family[Partners] = Family("stores")
    payment_types: Family[PaymentTypes] = Family("reference")
    point_history: Family[PointHistory] = Family("points")
    point_reservations: Family[PointReservations] = Family("points")
    point_types: Family[PointTypes] = Family("points")
    points: Family[Points] = Family("points")
    product_brands: Family[ProductBrands] = Family("products")
    product_groups: Family[ProductGroups] = Family("products")
    product_properties: Family[ProductProperties] = Family("products")
    product_reservation_external_list_types: Family[ProductReservationExternalListTypes] = Family(
        "product_reservations"
    )
    product_reservation_prices: Family[ProductReservationPrices] = Family("product_reservations")
    product_reservation_sources: Family[ProductReservationSources] = Family("product_reservations")
    product_reservations: Family[ProductReservations] = Family("product_reservations")
    products: Family[Products] = Family("products")
    purchase_item_properties: Family[PurchaseItemProperties] = Family("purchases")
    purchase_item_types: Family[PurchaseItemTypes] = Family("purchases")
    purchase_properties: Family[PurchaseProperties] = Family("purchases")
    purchase_types: Family[PurchaseTypes] = Family("purchases")
    purchases: Family[Purchases] = Family("purchases")
    recommendation_engine: Family[RecommendationEngine] = Family("recommendation_engine")
    recommendations: Family[Recommendations] = Family("products")
    reservable_products: Family[ReservableProducts] = Family("product_reservations")
    reward_properties: Family[RewardProperties] = Family("rewards")
    reward_types: Family[RewardTypes] = Family("rewards")
    rewards: Family[Rewards] = Family("rewards")
    segment_groups: Family[SegmentGroups] = Family("segments")
    segments: Family[Segments] = Family("segments")
    stamper_campaigns: Family[StamperCampaigns] = Family("segments")
    stamper_cards: Family[StamperCards] = Family("segments")
    stamps: Family[Stamps] = Family("segments")
    statuses: Family[Statuses] = Family("loyalty")
    store_groups: Family[StoreGroups] = Family("stores")
    store_properties: Family[StoreProperties] = Family("stores")
    stores: Family[Stores] = Family("stores")
    task_properties: Family[TaskProperties] = Family("tasks")
    task_states: Family[TaskStates] = Family("tasks")
    task_types: Family[TaskTypes] = Family("tasks")
    tasks: Family[Tasks] = Family("tasks")
    tests: Family[Tests] = Family("reference")
    third_party_recommendations: Family[ThirdPartyRecommendations] = Family("products")
    tokens: Family[Tokens] = Family("tokens")
    user_roles: Family[UserRoles] = Family("users")
    users: Family[Users] = Family("users")
    voucher_properties: Family[VoucherProperties] = Family("vouchers")
    vouchers: Family[Vouchers] = Family("vouchers")
    wallet: Family[Wallet] = Family("wallet")


def family_modules() -> tuple[str, ...]:
    """Name the modules of all families; the module of a family imports those of its sub-resources."""
    families = (value for value in vars(Families).values() if isinstance(value, Family))
    return tuple(dict.fromkeys(family.module for family in families))
