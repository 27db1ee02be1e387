"""Bookings: read models, inputs, changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TypedDict

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async._base.codec.json_text import JsonValue
from carecloud_async.models.base import READ_ONLY, Input, LocalDatetime, Model, Updatable
from carecloud_async.models.property_record import PropertyRecord
from carecloud_async.models.shared import Utm, UtmInput


class BookingItemsDetail(StrEnum):
    """How much of its items comes with each booking."""

    FULL = "full"
    ITEMS_ONLY = "items-only"
    NONE = "none"


class TimePeriod(StrEnum):
    """The period that busy times are given for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@frozen(kw_only=True, repr=False)
class BookingTicket(Model):
    """Ticket that time slots are booked for."""

    ticket_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    created_at: LocalDatetime | None = None
    valid_from: LocalDatetime | None = None
    valid_to: LocalDatetime | None = None
    state: int | None = None
    """State: 0 blocked, 1 active (`BlockableState`)."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class BookingItem(Model):
    """One time slot of a booking."""

    booking_item_id: str | None = None
    customer_id: str | None = None
    time_slot_id: str | None = None
    booking_ticket: BookingTicket | None = None
    """The ticket; only where `add_booking_items` asks for items."""
    valid_from: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """Start of the booked time."""
    valid_to: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """End of the booked time."""
    capacity_taken: int | None = None
    """Places taken."""
    booking_item_status: str | None = None
    """Id of the item's status; the project's default if left out. See `client.booking_statuses`."""
    additional_properties: tuple[PropertyRecord, ...] = field(default=(), metadata=READ_ONLY)
    created_at: LocalDatetime | None = None
    """When the item was booked, in project-local time."""
    state: int | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class Booking(Updatable):
    """A customer's reservation of one or more time slots."""

    booking_id: str = field(metadata=READ_ONLY)
    customer_id: str | None = None
    booking_items: tuple[BookingItem, ...] = ()
    """The booked time slots; read only where `add_booking_items` asks for them."""
    booking_status: str | None = None
    """Id of the status; the project's default if left out. See `client.booking_statuses`."""
    utm: Utm = Utm()
    data: JsonValue = None
    """Data of its own, as JSON."""
    created_at: LocalDatetime | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class TimeSlot(Model):
    """A time that a ticket can be booked for."""

    time_slot_id: str = field(metadata=READ_ONLY)
    ticket_id: str | None = field(default=None, metadata=READ_ONLY)
    valid_from: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """Start of the time slot."""
    valid_to: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """End of the time slot."""
    total_capacity: int | None = field(default=None, metadata=READ_ONLY)
    """Places in all."""
    free_capacity: int | None = field(default=None, metadata=READ_ONLY)
    """Places left."""
    state: int | None = None
    """State: 0 blocked, 1 active (`BlockableState`)."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class BookingStatus(Model):
    """A state that bookings can be in; each project defines its own."""

    booking_status_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    created_at: LocalDatetime | None = None
    state: int | None = None
    """State: 0 blocked, 1 active (`BlockableState`)."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class ChartPointData(Model):
    """One point of a chart; both values are text, as the API writes them."""

    x_axis_value: str | None = field(default=None, metadata=READ_ONLY)
    """Value on the x axis: a time in the chart's unit."""
    y_axis_value: str | None = None
    """Value on the y axis: a percentage."""


@frozen(kw_only=True, repr=False)
class BookingBusyTimes(Model):
    """How busy bookings are, as the points of a chart."""

    time_unit: str | None = field(default=None, metadata=READ_ONLY)
    """Unit of the x axis, such as `hour`."""
    chart_data: tuple[ChartPointData, ...] = ()
    """Points in the order of the x axis: the time, and the share of its slots that are taken, in percent."""


@frozen(kw_only=True, repr=False)
class BookingTicketInput(Input, reads=BookingTicket):
    """A booking ticket to be written; the fields are those of `BookingTicket`."""

    name: str
    created_at: datetime | str | Unset | None = UNSET
    valid_from: datetime | str | Unset | None = UNSET
    valid_to: datetime | str | Unset | None = UNSET
    state: int | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class BookingItemInput(Input, reads=BookingItem):
    """A booking item to be written; the fields are those of `BookingItem`."""

    time_slot_id: str
    created_at: datetime | str
    booking_item_id: str | Unset | None = UNSET
    customer_id: str | Unset | None = UNSET
    booking_ticket: BookingTicketInput | Unset | None = UNSET
    capacity_taken: int | Unset | None = UNSET
    booking_item_status: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class BookingInput(Input, reads=Booking):
    """A booking to be written; the fields are those of `Booking`."""

    booking_items: Sequence[BookingItemInput]
    created_at: datetime | str
    customer_id: str | Unset | None = UNSET
    booking_status: str | Unset | None = UNSET
    utm: UtmInput | Unset | None = UNSET
    data: JsonValue | Unset = UNSET


@frozen(kw_only=True, repr=False)
class BookingUpdateInput(Input, reads=Booking):
    """What an update of a booking may hold: `PUT /bookings/{booking_id}` takes no more."""

    customer_id: str | Unset | None = UNSET
    booking_status: str | Unset | None = UNSET
    data: JsonValue | Unset = UNSET


class BookingChanges(TypedDict, total=False):
    """Parts of `Booking` to change."""

    customer_id: str | None
    booking_status: str | None
    data: JsonValue
