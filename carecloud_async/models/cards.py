"""Cards: read models, inputs, changes."""

from __future__ import annotations

from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import TypedDict

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import PERSONAL, READ_ONLY, Input, LocalDatetime, Model, Updatable


class CardFileType(StrEnum):
    """Files that a digital card comes in."""

    PNG = "png"
    QR_PNG = "qr-png"
    WALLET = "wallet"


class PosSystem(IntEnum):
    """Systems that sell entrances."""

    EPOS = 3
    SKIDATA = 6
    AXESS = 9
    BASE = 11


class EntranceType(IntEnum):
    """Values of `Entrance.entrance_type_id`."""

    SEASON = 0
    ONE_DAY = 1
    MULTIPLE_DAYS = 2


class EntranceState(IntEnum):
    """Values of `Entrance.state`."""

    CANCELLED = 0
    ACTIVE = 1


@frozen(kw_only=True, repr=False)
class Card(Updatable):
    """A card of a customer."""

    card_id: str = field(metadata=READ_ONLY)
    customer_id: str | None = None
    card_type_id: str | None = None
    card_number: str | None = field(default=None, metadata=PERSONAL)
    """Number of the card."""
    secondary_card_number: str | None = field(default=None, metadata=PERSONAL)
    """Second number of the card."""
    valid_from: LocalDatetime | None = None
    valid_to: LocalDatetime | None = None
    store_id: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = None
    """State: 0 blocked, 1 active (`BlockableState`)."""


@frozen(kw_only=True, repr=False)
class CardType(Updatable):
    """A kind of card."""

    card_type_id: str = field(metadata=READ_ONLY)
    text_id: str | None = field(default=None, metadata=READ_ONLY)
    name: str | None = None
    prefix: str | None = None
    """Prefix of the card numbers."""


@frozen(kw_only=True, repr=False)
class IsicCardValidation(Model):
    """Whether an ISIC card is valid and free."""

    valid_isic: bool | None = field(default=None, metadata=READ_ONLY)
    """Whether the ISIC card is valid."""
    is_free_to_use: bool | None = field(default=None, metadata=READ_ONLY)
    """Whether the card is free to use."""


@frozen(kw_only=True, repr=False)
class Entrance(Updatable):
    """An entrance to a resort."""

    entrance_id: str
    pos_id: int | None = None
    """System that sold the entrance: 3 epos, 6 skidata, 9 axess, 11 base (`PosSystem`)."""
    name: str | None = field(default=None, metadata=READ_ONLY)
    customer_id: str | None = field(default=None, metadata=READ_ONLY)
    resort_name: str | None = field(default=None, metadata=READ_ONLY)
    customer_category_name: str | None = field(default=None, metadata=READ_ONLY)
    """Name of the customer's category."""
    external_order_id: str | None = field(default=None, metadata=READ_ONLY)
    external_entrance_id: str | None = field(default=None, metadata=READ_ONLY)
    external_turnstile_permission_id: str | None = field(default=None, metadata=READ_ONLY)
    entrance_type_id: int | None = None
    """Kind of entrance: 0 season, 1 one day, 2 multiple days (`EntranceType`)."""
    order_item_id: str | None = field(default=None, metadata=READ_ONLY)
    card_id: str | None = field(default=None, metadata=READ_ONLY)
    created_at: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    cancelled_at: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When it was canceled, in project-local time."""
    charged_price: float | None = field(default=None, metadata=READ_ONLY)
    """Price charged at the till."""
    product_ids: str | None = field(default=None, metadata=READ_ONLY)
    """Ids of the products, as one text."""
    charge_date: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the entrance is charged at the till, in project-local time."""
    valid_from: date | None = field(default=None, metadata=READ_ONLY)
    valid_to: date | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = None
    """State: 0 cancelled, 1 active (`EntranceState`)."""


@frozen(kw_only=True, repr=False)
class EntrancesOverview(Model):
    """Numbers of entrances in an interval."""

    active_entrances: int | None = None
    """Entrances that customers can use in the interval."""
    canceled_entrances: int | None = None
    """Entrances canceled in the interval."""
    deactivated_entrances: int | None = None
    """Entrances deactivated in the interval, in CareCloud only."""
    sold_entrances: int | None = None
    """Entrances sold in the interval."""


@frozen(kw_only=True, repr=False)
class EntranceCustomerStats(Model):
    """How a customer used entrances in an interval."""

    distance: float | None = None
    """Kilometres skied in the interval."""
    elevation: float | None = None
    """Metres of elevation gained in the interval."""
    skier_days: int | None = None
    """Days with an entrance in the interval."""
    ski_achievement_text_id: str | None = None
    """Fixed text id of the ski achievement."""


@frozen(kw_only=True, repr=False)
class CardInput(Input, reads=Card):
    """A card to be written; the fields are those of `Card`."""

    card_type_id: str
    card_number: str
    state: int
    customer_id: str | Unset | None = UNSET
    secondary_card_number: str | Unset | None = UNSET
    valid_from: datetime | str | Unset | None = UNSET
    valid_to: datetime | str | Unset | None = UNSET
    store_id: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class CardTypeInput(Input, reads=CardType):
    """A card type to be written; the fields are those of `CardType`."""

    name: str
    prefix: str


@frozen(kw_only=True, repr=False)
class EntranceInput(Input, reads=Entrance):
    """An entrance to be written; the fields are those of `Entrance`."""

    entrance_id: str
    pos_id: int
    state: int
    entrance_type_id: int | Unset | None = UNSET


class CardChanges(TypedDict, total=False):
    """Parts of `Card` to change."""

    customer_id: str | None
    card_type_id: str
    card_number: str
    secondary_card_number: str | None
    valid_from: datetime | str | None
    valid_to: datetime | str | None
    store_id: str | None
    state: int


class CardTypeChanges(TypedDict, total=False):
    """Parts of `CardType` to change."""

    name: str
    prefix: str


class EntranceChanges(TypedDict, total=False):
    """Parts of `Entrance` to change."""

    entrance_id: str
    pos_id: int
    entrance_type_id: int | None
    state: int
