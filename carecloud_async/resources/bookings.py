# pyright: reportReturnType=false
"""`client.bookings`, `client.booking_tickets`, `client.booking_ticket_properties`, `client.booking_statuses`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar, Unpack

from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.family import BulkWrites, Key
from carecloud_async.resources.declare import Paging, Resource, SubResource, deletes, gets, lists, posts, puts
from carecloud_async.resources.updating import Updating

if TYPE_CHECKING:
    from carecloud_async.models import *


class Bookings(Updating["BookingChanges", "Booking"], call="bookings"):
    """Customers' bookings of time slots."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(keys=(Key(name="booking_id", by_id=True),))

    @lists("getBookings", "/bookings", id_field="booking_id")
    def list(
        self,
        *,
        customer_id: str | None = None,
        booking_status: str | None = None,
        booking_statuses: Sequence[str] | None = None,
        add_booking_items: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Booking]:
        """List bookings that match all filters (`GET /bookings`).

        Args:
            customer_id: id of the customer.
            booking_status: id of the status; the API prefers `booking_statuses`.
            booking_statuses: any of these statuses, up to 1,000.
            add_booking_items: see `BookingItemsDetail`.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @posts("postBooking", "/bookings", unwrap="booking_id")
    async def create(self, booking: BookingInput) -> str:
        """Create a booking and return its id (`POST /bookings`)."""

    @gets("getBooking", "/bookings/{booking_id}")
    async def get(self, booking_id: str) -> Booking:
        """Return the booking with this id (`GET /bookings/{booking_id}`)."""

    @puts("putBooking", "/bookings/{booking_id}")
    async def replace(self, booking_id: str, booking: BookingUpdateInput) -> None:
        """Replace what can be changed of a booking (`PUT /bookings/{booking_id}`): customer, status and data.

        Args:
            booking_id: the booking.
            booking: the new values; those of the three that are omitted are deleted.
        """

    @deletes("deleteBooking", "/bookings/{booking_id}")
    async def delete(self, booking_id: str) -> None:
        """Delete the booking with this id (`DELETE /bookings/{booking_id}`)."""

    @posts("postBookingBusyTimes", "/bookings/actions/average-booking-busy-times", safe_to_repeat=True)
    async def average_booking_busy_times(
        self,
        *,
        booking_date: date | str,
        time_period: str,
        booking_ticket_id: str | None = None,
        booking_property_id: str | None = None,
        booking_property_value: str | None = None,
    ) -> BookingBusyTimes:
        """Return how busy bookings are over a period (`POST /bookings/actions/average-booking-busy-times`).

        The period and the filters decide which past bookings are averaged. It only reads, and may be repeated.

        Args:
            booking_date: the day in question.
            time_period: the period to look at; see `TimePeriod`.
            booking_ticket_id: only this ticket; all of them if left out.
            booking_property_id: id of a property of tickets, to filter by; ignored without the value.
            booking_property_value: value of that property; ignored without the id.
        """


class BookingTicketTimeSlots(Resource, call="booking_tickets.time_slots"):
    """The time slots of one booking ticket."""

    @lists("getSubBookingTicketsTimeSlots", "/booking-tickets/{booking_ticket_id}/time-slots", id_field="time_slot_id")
    def list(
        self,
        *,
        free_only: bool | None = None,
        time_from: datetime | str | None = None,
        time_to: datetime | str | None = None,
        booking_ticket_property_id: str | None = None,
        booking_ticket_property_value: str | None = None,
        customer_id: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[TimeSlot]:
        """List time slots of the booking ticket (`GET /booking-tickets/{booking_ticket_id}/time-slots`).

        Args:
            free_only: only those with places left.
            time_from: from this time on.
            time_to: until this time.
            booking_ticket_property_id: id of a property of tickets, to filter by; ignored without the value.
            booking_ticket_property_value: value of that property; ignored without the id.
            customer_id: id of the customer.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """


class BookingTickets(Resource, call="booking_tickets"):
    """The tickets that customers book, with their time slots."""

    time_slots: SubResource[BookingTicketTimeSlots] = SubResource(BookingTicketTimeSlots)

    @lists("getBookingTickets", "/booking-tickets", id_field="ticket_id")
    def list(
        self,
        *,
        customer_id: str | None = None,
        valid_from: datetime | str | None = None,
        valid_to: datetime | str | None = None,
        valid_only: bool | None = None,
        booking_ticket_property_id: str | None = None,
        booking_ticket_property_value: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[BookingTicket]:
        """List booking tickets that match all filters (`GET /booking-tickets`).

        Args:
            customer_id: id of the customer.
            valid_from: start of the validity to look for.
            valid_to: end of the validity to look for.
            valid_only: only those valid now.
            booking_ticket_property_id: id of a property of tickets, to filter by; ignored without the value.
            booking_ticket_property_value: value of that property; ignored without the id.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getBookingTicket", "/booking-tickets/{booking_ticket_id}")
    async def get(self, booking_ticket_id: str) -> BookingTicket:
        """Return the booking ticket with this id (`GET /booking-tickets/{booking_ticket_id}`)."""


class BookingTicketProperties(Resource, call="booking_ticket_properties"):
    """The properties of booking tickets that the project has defined."""

    @lists("getBookingTicketProperties", "/booking-ticket-properties", id_field="property_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Property]:
        """List booking ticket properties whose name contains `name` (`GET /booking-ticket-properties`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getBookingTicketProperty", "/booking-ticket-properties/{booking_ticket_property_id}")
    async def get(self, booking_ticket_property_id: str) -> Property:
        """Return the booking ticket property (`GET /booking-ticket-properties/{booking_ticket_property_id}`)."""


class BookingStatuses(Resource, call="booking_statuses"):
    """The states that bookings can be in; each project defines its own."""

    @lists("getBookingStatuses", "/booking-statuses", id_field="booking_status_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[BookingStatus]:
        """List booking statuses (`GET /booking-statuses`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getBookingStatus", "/booking-statuses/{booking_status_id}")
    async def get(self, booking_status_id: str) -> BookingStatus:
        """Return the booking status with this id (`GET /booking-statuses/{booking_status_id}`)."""
