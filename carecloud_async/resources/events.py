# pyright: reportReturnType=false
"""`client.events`, `client.event_groups` and 4 more families."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Unpack

from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.family import BulkWrites, Key
from carecloud_async.resources.bulk_writing import BulkWriting
from carecloud_async.resources.declare import Paging, Resource, SubResource, gets, lists, posts

if TYPE_CHECKING:
    from carecloud_async.models import *


class EventPropertyRecords(Resource, call="events.property_records"):
    """The property records of one event."""

    @lists("getSubEventProperties", "/events/{event_id}/property-records", id_field="property_record_id", paged=False)
    def list(self) -> Listing[PropertyRecord]:
        """List property records of the event (`GET /events/{event_id}/property-records`)."""


class Events(BulkWriting, call="events"):
    """The marketing events of customers, such as an abandoned cart."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(keys=(Key(name="external_id", filter="external_id"),))

    property_records: SubResource[EventPropertyRecords] = SubResource(EventPropertyRecords)

    @lists("getEvents", "/events", id_field="event_id")
    def list(
        self,
        *,
        event_type_id: str | None = None,
        customer_id: str | None = None,
        external_id: str | None = None,
        event_type_ids: Sequence[str] | None = None,
        include_property_records: bool | None = None,
        time_from: datetime | str | None = None,
        time_to: datetime | str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Event]:
        """List events that match all filters (`GET /events`).

        Args:
            event_type_id: id of the event type.
            customer_id: id of the customer.
            external_id: the id in another system.
            event_type_ids: any of these ids, up to 1,000.
            include_property_records: whether each record comes with its property records.
            time_from: from this time on.
            time_to: until this time.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @posts("postEvent", "/events", unwrap="event_id")
    async def create(self, event: EventInput, *, property_records: Sequence[PropertyRecordInput] | None = None) -> str:
        """Create an event, with `property_records` of the project's own, and return its id (`POST /events`)."""

    @gets("getEvent", "/events/{event_id}")
    async def get(self, event_id: str) -> Event:
        """Return the event with this id (`GET /events/{event_id}`)."""


class EventGroups(Resource, call="event_groups"):
    """The groups of event types."""

    @lists("getEventGroups", "/event-groups", id_field="event_group_id")
    def list(
        self, *, name: str | None = None, text_id: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[EventGroup]:
        """List event groups by part of the `name` and by fixed `text_id` (`GET /event-groups`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getEventGroup", "/event-groups/{event_group_id}")
    async def get(self, event_group_id: str) -> EventGroup:
        """Return the event group with this id (`GET /event-groups/{event_group_id}`)."""


class EventProperties(Resource, call="event_properties"):
    """The properties of events that the project has defined."""

    @lists("getEventProperties", "/event-properties", id_field="property_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Property]:
        """List event properties whose name contains `name` (`GET /event-properties`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getEventProperty", "/event-properties/{event_property_id}")
    async def get(self, event_property_id: str) -> Property:
        """Return the event property with this id (`GET /event-properties/{event_property_id}`)."""


class EventTypeEventProperties(Resource, call="event_types.event_properties"):
    """The event properties of one event type."""

    @lists("getSubEventTypeProperties", "/event-types/{event_type_id}/event-properties", id_field="property_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[Property]:
        """List event properties of the event type (`GET /event-types/{event_type_id}/event-properties`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """


class EventTypes(Resource, call="event_types"):
    """The kinds of events."""

    event_properties: SubResource[EventTypeEventProperties] = SubResource(EventTypeEventProperties)

    @lists("getEventTypes", "/event-types", id_field="event_type_id")
    def list(
        self,
        *,
        name: str | None = None,
        text_id: str | None = None,
        event_group_text_id: str | Sequence[str] | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[EventType]:
        """List event types that match all filters (`GET /event-types`).

        Args:
            name: part of the name.
            text_id: the fixed text id.
            event_group_text_id: fixed text id of the event group, or several.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getEventType", "/event-types/{event_type_id}")
    async def get(self, event_type_id: str) -> EventType:
        """Return the event type with this id (`GET /event-types/{event_type_id}`)."""


class Campaigns(BulkWriting, call="campaigns"):
    """The project's marketing campaigns."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(keys=(Key(name="external_id", filter="external_id"),))

    @lists("getCampaigns", "/campaigns", id_field="campaign_id")
    def list(
        self, *, name: str | None = None, external_id: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[Campaign]:
        """List campaigns by part of the `name` and by the `external_id` of another system (`GET /campaigns`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @posts("postCampaign", "/campaigns", unwrap="campaign_id")
    async def create(self, campaign: CampaignInput) -> str:
        """Create a campaign and return its id (`POST /campaigns`)."""

    @gets("getCampaign", "/campaigns/{campaign_id}")
    async def get(self, campaign_id: str) -> Campaign:
        """Return the campaign with this id (`GET /campaigns/{campaign_id}`)."""


class CampaignProductStoreRecords(BulkWriting, call="campaign_products.campaign_product_store_records"):
    """The campaign product store records of one campaign product."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(keys=(Key(name="store_id"),))

    @lists(
        "getCampaignProductStoreRecords",
        "/campaign-products/{campaign_product_id}/campaign-product-store-records",
        id_field="campaign_product_store_record_id",
    )
    def list(self, **paging: Unpack[Paging]) -> Listing[CampaignProductStoreRecord]:
        """List them (`GET /campaign-products/{campaign_product_id}/campaign-product-store-records`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @posts(
        "postCampaignProductStoreRecord",
        "/campaign-products/{campaign_product_id}/campaign-product-store-records",
        unwrap="campaign_product_store_record_id",
    )
    async def create(self, campaign_product_store_record: CampaignProductStoreRecordInput) -> str:
        """Create a campaign product store record and return its id.

        `POST /campaign-products/{campaign_product_id}/campaign-product-store-records`.
        """


class CampaignProducts(BulkWriting, call="campaign_products"):
    """The products of campaigns, with their prices in stores."""

    campaign_product_store_records: SubResource[CampaignProductStoreRecords] = SubResource(CampaignProductStoreRecords)

    @lists("getCampaignProducts", "/campaign-products", id_field="campaign_product_id")
    def list(
        self,
        *,
        name: str | None = None,
        code: str | None = None,
        display_in: str | None = None,
        type_id: Sequence[str] | None = None,
        store_id: str | None = None,
        value_type_id: int | None = None,
        is_valid: bool | None = None,
        valid_from: datetime | str | None = None,
        valid_to: datetime | str | None = None,
        campaign_id: str | None = None,
        include_property_records: bool | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[CampaignProduct]:
        """List campaign products that match all filters (`GET /campaign-products`).

        Args:
            name: part of the name.
            code: the exact code.
            display_in: where it is shown; see `DisplayPlace`.
            type_id: id of the kind.
            store_id: id of the store.
            value_type_id: see `DiscountValueType`.
            is_valid: `True` for valid ones only, `False` for those that are not.
            valid_from: start of the validity to look for.
            valid_to: end of the validity to look for.
            campaign_id: id of the campaign.
            include_property_records: whether each record comes with its property records.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @posts("postCampaignProduct", "/campaign-products", unwrap="campaign_product_id")
    async def create(self, campaign_product: CampaignProductInput) -> str:
        """Create a campaign product and return its id (`POST /campaign-products`)."""

    @gets("getCampaignProduct", "/campaign-products/{campaign_product_id}")
    async def get(self, campaign_product_id: str) -> CampaignProduct:
        """Return the campaign product with this id (`GET /campaign-products/{campaign_product_id}`)."""
