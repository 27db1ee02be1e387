"""Product reservations: read models, inputs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from enum import IntEnum

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import PERSONAL, READ_ONLY, Input, LocalDatetime, Model
from carecloud_async.models.input_fields import by_digits
from carecloud_async.models.shared import PluId, PluIdInput, Utm, UtmInput


class ReservationState(IntEnum):
    """Values of `ProductReservation.actual_state`."""

    CANCELLED = 0
    ENTERED = 1
    ACCEPTED = 2
    READY = 3
    DELIVERED = 4
    IN_PROGRESS = 5
    NOT_PICKED_UP = 6
    ORDERED = 7
    BEING_SOLVED = 8


@frozen(kw_only=True, repr=False)
class ExternalCode(Model):
    """A code of another system."""

    external_code_type_id: str | None = None
    value: str | None = field(default=None, metadata=PERSONAL)
    """The code itself."""


@frozen(kw_only=True, repr=False)
class ProductReservationItem(Model):
    """A product of a reservation."""

    reservable_product_id: str | None = None
    amount: float | None = None
    unit_price: float | None = None
    """Price of one."""
    vat_rate: float | None = None


@frozen(kw_only=True, repr=False)
class ProductReservationProgress(Model):
    """A step in the progress of a reservation."""

    reservation_progress_id: int | None = field(default=None, metadata=READ_ONLY)
    reservation_progress_text: str | None = field(default=None, metadata=READ_ONLY)
    """The progress as text."""
    reservation_progress_time: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the progress changed, in project-local time."""


@frozen(kw_only=True, repr=False)
class ProductReservationComment(Model):
    """A comment on a reservation."""

    comment_text: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)
    """Text of the comment."""
    comment_time: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the comment was written, in project-local time."""


@frozen(kw_only=True, repr=False)
class ProductReservation(Model):
    """A reservation of products."""

    product_reservation_id: str = field(metadata=READ_ONLY)
    customer_id: str | None = None
    store_id: str | None = None
    reservation_codes: tuple[str, ...] = field(default=(), metadata=READ_ONLY | PERSONAL)
    """Codes of the reservation in CareCloud."""
    external_reservation_codes: tuple[ExternalCode, ...] = ()
    """Codes of the reservation in other systems."""
    benefit_codes: tuple[str, ...] = field(default=(), metadata=PERSONAL)
    """Codes of the vouchers and rewards used."""
    product_reservation_source_id: str | None = None
    pickup_date: date | None = field(default=None, metadata=READ_ONLY)
    """Day of the pick-up in the store."""
    customers_note: str | None = field(default=None, metadata=PERSONAL)
    """The customer's note."""
    total_price: float | None = None
    """Price of the whole product reservation."""
    currency_id: str | None = None
    product_reservation_items: tuple[ProductReservationItem, ...] = ()
    """Reserved products."""
    external_purchase_id: str | None = None
    """Id of the purchase in the shop's own system."""
    utm: Utm = Utm()
    actual_state: int | None = field(default=None, metadata=READ_ONLY)
    """State of the reservation, a `ReservationState`."""
    reservation_progress_history: tuple[ProductReservationProgress, ...] = field(default=(), metadata=READ_ONLY)
    """Progress of the reservation, newest first."""
    comments: tuple[ProductReservationComment, ...] = field(default=(), metadata=READ_ONLY)
    """Comments, newest first."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class ProductReservationSource(Model):
    """Where reservations come from."""

    product_reservation_source_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class ProductReservationExternalListType(Model):
    """A list of codes of other systems."""

    product_reservation_external_list_type_id: str = field(metadata=READ_ONLY)
    name: str | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class ExternalCodeInput(Input, reads=ExternalCode):
    """An external code to be written; the fields are those of `ExternalCode`."""

    external_code_type_id: str
    value: str


@frozen(kw_only=True, repr=False)
class ProductReservationItemInput(Input, reads=ProductReservationItem):
    """A product reservation item to be written; the fields are those of `ProductReservationItem`."""

    reservable_product_id: str
    amount: float | Decimal = field(eq=by_digits)
    unit_price: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)
    vat_rate: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)


@frozen(kw_only=True, repr=False)
class ProductReservationInput(Input, reads=ProductReservation):
    """A product reservation to be written; the fields are those of `ProductReservation`."""

    customer_id: str
    store_id: str
    product_reservation_source_id: str
    external_reservation_codes: Sequence[ExternalCodeInput] | Unset | None = UNSET
    benefit_codes: Sequence[str] | Unset | None = UNSET
    customers_note: str | Unset | None = UNSET
    total_price: float | Decimal | Unset | None = field(default=UNSET, eq=by_digits)
    currency_id: str | Unset | None = UNSET
    product_reservation_items: Sequence[ProductReservationItemInput] | Unset | None = UNSET
    external_purchase_id: str | Unset | None = UNSET
    utm: UtmInput | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class ProductReservationPrice(Model):
    """What the reservation of a product costs in a currency, and perhaps in one store."""

    product_reservation_price_id: str = field(metadata=READ_ONLY)
    reservable_product_id: str | None = None
    plu_ids: tuple[PluId, ...] = ()
    value: float | None = None
    """Amount in that currency."""
    currency_id: str | None = None
    store_id: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class ProductReservationPriceInput(Input, reads=ProductReservationPrice):
    """A product reservation price to be written; the fields are those of `ProductReservationPrice`."""

    value: float | Decimal = field(eq=by_digits)
    currency_id: str
    reservable_product_id: str | Unset | None = UNSET
    plu_ids: Sequence[PluIdInput] | Unset | None = UNSET
    store_id: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class ProductReservationPriceIdInput(Input):
    """A price to be deleted."""

    product_reservation_price_id: str
    """Id of the price."""
