"""Prices of product reservations: read model and inputs."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from carecloud_async.models.base import READ_ONLY, Input, LocalDatetime, Model
from carecloud_async.models.shared import PluId, PluIdInput
from carecloud_async.models.unset import UNSET, Unset

__all__ = ["ProductReservationPrice", "ProductReservationPriceIdInput", "ProductReservationPriceInput"]


@frozen(kw_only=True, repr=False)
class ProductReservationPrice(Model):
    """What the reservation of a product costs in a currency, and perhaps in one store."""

    product_reservation_price_id: str = field(metadata=READ_ONLY)
    """Id of the product reservation price."""
    reservable_product_id: str | None = None
    """Id of the reservable product."""
    plu_ids: tuple[PluId, ...] = ()
    """The product's codes in the product lists."""
    value: float | None = None
    """Amount in that currency."""
    currency_id: str | None = None
    """Id of the currency."""
    store_id: str | None = None
    """Id of the store."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the record last changed, in project-local time."""
    state: int | None = field(default=None, metadata=READ_ONLY)
    """See `RecordState`."""


@frozen(kw_only=True, repr=False)
class ProductReservationPriceInput(Input, reads=ProductReservationPrice):
    """A product reservation price to be written; the fields are those of `ProductReservationPrice`."""

    value: float
    currency_id: str
    reservable_product_id: str | Unset | None = UNSET
    plu_ids: Sequence[PluIdInput] | Unset | None = UNSET
    store_id: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class ProductReservationPriceIdInput(Input):
    """A price to be deleted."""

    product_reservation_price_id: str
    """Id of the price."""
