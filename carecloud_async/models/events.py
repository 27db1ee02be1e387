"""Events: read models, inputs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async._base.codec.json_text import JsonValue
from carecloud_async.models.base import READ_ONLY, Input, LocalDatetime, Model
from carecloud_async.models.customer_source import CustomerSourceInput
from carecloud_async.models.input_fields import by_digits
from carecloud_async.models.property_record import PropertyRecord


class CustomerIdentifierType(StrEnum):
    """What names the customer of an event, if not the id."""

    EMAIL = "email"
    PHONE = "phone"
    EXTERNAL_ID = "external_id"


class DiscountValueType(IntEnum):
    """What the value of a campaign product is."""

    PERCENTAGE = 1
    FINAL_PRICE = 2


class DisplayPlace(StrEnum):
    """Where a campaign product is shown."""

    WEB = "web"
    CASH_DESK = "cash desk"
    API = "api"


@frozen(kw_only=True, repr=False)
class Event(Model):
    """A marketing event."""

    event_id: str = field(metadata=READ_ONLY)
    event_type_id: str | None = None
    customer_id: str | None = None
    external_id: str | None = None
    """Id of the event in another system."""
    data: JsonValue = None
    """Data of its own, as JSON."""
    created_at: LocalDatetime | None = None
    secondary_external_id: str | None = None
    """A second id, for events that share the first."""
    state: int | None = field(default=None, metadata=READ_ONLY)
    property_records: tuple[PropertyRecord, ...] = field(default=(), metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class EventGroup(Model):
    """A group of event types."""

    event_group_id: str
    name: str | None = None
    text_id: str | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class EventType(Model):
    """A kind of event."""

    event_type_id: str
    event_group_id: str | None = None
    event_group_text_id: str | None = field(default=None, metadata=READ_ONLY)
    """Fixed text id of the event group."""
    name: str | None = None
    text_id: str | None = field(default=None, metadata=READ_ONLY)
    icon_name: str | None = None
    """Name of the icon (Google Fonts Icons)."""
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class Campaign(Model):
    """A campaign."""

    campaign_id: str = field(metadata=READ_ONLY)
    idcampaign: str | None = field(default=None, metadata=READ_ONLY)
    """Deprecated; see `campaign_id`."""
    external_id: str | None = None
    """Id of the campaign in another system."""
    parent_id: str | None = None
    """Id of the campaign above."""
    name: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class CampaignPresentationData(Model):
    """The texts and images of a campaign product."""

    name: str | None = None
    """Name that is shown."""
    subtitle: str | None = None
    """Subtitle."""
    note: str | None = None
    description: str | None = None
    """Description that is shown."""
    image_url: str | None = None
    """Address of the image."""


@frozen(kw_only=True, repr=False)
class CampaignProduct(Model):
    """A product of a campaign."""

    campaign_product_id: str = field(metadata=READ_ONLY)
    product_id: str | None = None
    currency_id: str | None = None
    campaign_id: str | None = None
    value: float | None = None
    """Percentage or price, as `value_type_id` says."""
    value_type_id: int | None = None
    """What the value is: 1 percentage, 2 final price (`DiscountValueType`)."""
    valid_from: LocalDatetime | None = None
    valid_to: LocalDatetime | None = None
    display_in: tuple[str, ...] = ()
    """Where it is shown; see `DisplayPlace`."""
    type_id: str | None = None
    presentation_data: CampaignPresentationData = CampaignPresentationData()
    """How it is shown."""
    campaign_product_property_records: tuple[PropertyRecord, ...] = field(default=(), metadata=READ_ONLY)
    """Values of the campaign product's properties."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)
    """State: 0 blocked, 1 active (`BlockableState`)."""


@frozen(kw_only=True, repr=False)
class CampaignProductStoreRecord(Model):
    """A store of a campaign product."""

    campaign_product_store_record_id: str = field(metadata=READ_ONLY)
    store_id: str | None = None
    campaign_product_id: str | None = None


@frozen(kw_only=True, repr=False)
class EventInput(Input, reads=Event):
    """A marketing event to be recorded; other fields are those of `Event`."""

    event_type_id: str
    external_id: str
    customer_id: str | Unset | None = UNSET
    customer_identifier_type: str | Unset | None = UNSET
    """What names the customer: `email`, `phone`, `external_id` (`CustomerIdentifierType`)."""
    customer_identifier_value: str | CustomerSourceInput | Unset | None = UNSET
    """Value of that identifier."""
    data: JsonValue | Unset = UNSET
    created_at: datetime | str | Unset | None = UNSET
    secondary_external_id: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class CampaignInput(Input, reads=Campaign):
    """A campaign to be written; the fields are those of `Campaign`."""

    name: str
    external_id: str | Unset | None = UNSET
    parent_id: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class CampaignPresentationDataInput(Input, reads=CampaignPresentationData):
    """The texts and images of a campaign product to be written; the fields are those of `CampaignPresentationData`."""

    name: str
    subtitle: str | Unset | None = UNSET
    note: str | Unset | None = UNSET
    description: str | Unset | None = UNSET
    image_url: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class CampaignProductInput(Input, reads=CampaignProduct):
    """A campaign product to be written; the fields are those of `CampaignProduct`."""

    product_id: str
    currency_id: str
    campaign_id: str
    value: float | Decimal = field(eq=by_digits)
    value_type_id: int
    valid_from: datetime | str
    valid_to: datetime | str
    type_id: str
    presentation_data: CampaignPresentationDataInput
    display_in: Sequence[str] | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class CampaignProductStoreRecordInput(Input, reads=CampaignProductStoreRecord):
    """A campaign product store record to be written; the fields are those of `CampaignProductStoreRecord`."""

    store_id: str
    campaign_product_id: str
