"""Stores: read models, inputs, changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from decimal import Decimal
from typing import TypedDict

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import API_NAME, PERSONAL, READ_ONLY, Input, LocalDatetime, Model, Updatable
from carecloud_async.models.customer import Address
from carecloud_async.models.customer_input import AddressChanges, AddressInput
from carecloud_async.models.input_fields import by_digits


@frozen(kw_only=True, repr=False)
class GpsCoordinates(Model):
    """A position."""

    gps_longitude: float | None = None
    """Longitude in degrees."""
    gps_latitude: float | None = None
    """Latitude in degrees."""


@frozen(kw_only=True, repr=False)
class TimeInterval(Model):
    """An interval of a day."""

    from_: time | None = field(default=None, metadata=API_NAME("from"))
    """When it opens."""
    to: time | None = None
    """When it closes."""


@frozen(kw_only=True, repr=False)
class OpeningDay(Model):
    """The opening hours of one day of the week."""

    day_id: str | None = None
    """Day of the week, such as `MON`."""
    time_intervals: tuple[TimeInterval, ...] = ()
    """When it is open."""


@frozen(kw_only=True, repr=False)
class Store(Updatable):
    """A store."""

    store_id: str = field(metadata=READ_ONLY)
    store_code: str | None = None
    """Code of the store."""
    name: str | None = None
    store_address: Address = Address()
    """Postal address."""
    contact_email: str | None = None
    """E-mail address of the store."""
    manager_name: str | None = field(default=None, metadata=PERSONAL)
    phone_number: str | None = None
    """Number with the international prefix."""
    partner_id: str | None = None
    system_id: str | None = None
    """Id of the store in another system."""
    gps_coordinates: GpsCoordinates = GpsCoordinates()
    """Where it is."""
    url_address: str | None = None
    """Web address."""
    opening: tuple[OpeningDay, ...] = ()
    """The opening hours."""
    image_urls: tuple[str, ...] = field(default=(), metadata=READ_ONLY)
    visibility_for_customer: int | None = field(default=None, metadata=READ_ONLY)
    """Visibility to customers: 0 invisible, 1 visible (`Visibility`)."""
    short_description: str | None = None
    """Short description."""
    description: str | None = None
    registration_id: str | None = None
    """Registration number of the company."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class StoreGroupRecord(Model):
    """The membership of a store in a group."""

    store_group_record_id: str = field(metadata=READ_ONLY)
    store_id: str | None = None
    store_group_id: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class StoreGroup(Model):
    """A group of stores."""

    store_group_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class Partner(Model):
    """A partner company."""

    partner_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    address: Address = Address()
    """Postal address."""
    registration_id: str | None = None
    """Registration number of the company."""
    vat_id: str | None = None
    """VAT number of the company."""
    email: str | None = None
    phone: str | None = None
    """Number with the international prefix, without `+`."""
    state: int | None = None


@frozen(kw_only=True, repr=False)
class GpsCoordinatesInput(Input, reads=GpsCoordinates):
    """A position to be written; the fields are those of `GpsCoordinates`."""

    gps_longitude: float | Decimal = field(eq=by_digits)
    gps_latitude: float | Decimal = field(eq=by_digits)


@frozen(kw_only=True, repr=False)
class TimeIntervalInput(Input, reads=TimeInterval):
    """A time interval to be written; the fields are those of `TimeInterval`."""

    from_: time | str = field(metadata=API_NAME("from"))
    to: time | str


@frozen(kw_only=True, repr=False)
class OpeningDayInput(Input, reads=OpeningDay):
    """An opening day to be written; the fields are those of `OpeningDay`."""

    day_id: str
    time_intervals: Sequence[TimeIntervalInput]


@frozen(kw_only=True, repr=False)
class StoreInput(Input, reads=Store):
    """A store to be written; the fields are those of `Store`."""

    store_code: str
    name: str
    partner_id: str
    system_id: str
    store_address: AddressInput | Unset | None = UNSET
    contact_email: str | Unset | None = UNSET
    manager_name: str | Unset | None = UNSET
    phone_number: str | Unset | None = UNSET
    gps_coordinates: GpsCoordinatesInput | Unset | None = UNSET
    url_address: str | Unset | None = UNSET
    opening: Sequence[OpeningDayInput] | Unset | None = UNSET
    short_description: str | Unset | None = UNSET
    description: str | Unset | None = UNSET
    registration_id: str | Unset | None = UNSET


class GpsCoordinatesChanges(TypedDict, total=False):
    """Parts of `GpsCoordinates` to change."""

    gps_longitude: float | Decimal
    gps_latitude: float | Decimal


TimeIntervalChanges = TypedDict("TimeIntervalChanges", {"from": "time | str", "to": "time | str"}, total=False)
"""Parts of `TimeInterval` to change."""


class OpeningDayChanges(TypedDict, total=False):
    """Parts of `OpeningDay` to change."""

    day_id: str
    time_intervals: Sequence[TimeIntervalChanges | TimeIntervalInput]


class StoreChanges(TypedDict, total=False):
    """Parts of `Store` to change."""

    store_code: str
    name: str
    store_address: AddressChanges | AddressInput | None
    contact_email: str | None
    manager_name: str | None
    phone_number: str | None
    partner_id: str
    system_id: str
    gps_coordinates: GpsCoordinatesChanges | GpsCoordinatesInput | None
    url_address: str | None
    opening: Sequence[OpeningDayChanges | OpeningDayInput] | None
    short_description: str | None
    description: str | None
    registration_id: str | None
