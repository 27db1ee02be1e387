"""Where a customer's account came from: `customer_source` of `POST /customers` and the source records."""

from __future__ import annotations

from attrs import field, frozen

from carecloud_async.models.base import READ_ONLY, Input, LocalDatetime, Model
from carecloud_async.models.unset import UNSET, Unset

__all__ = ["CustomerSourceInput", "CustomerSourceRecord"]


@frozen(kw_only=True, repr=False)
class CustomerSourceRecord(Model):
    """The link between a customer and the system that the account belongs to."""

    customer_source_record_id: str = field(metadata=READ_ONLY)
    """Id of this record."""
    customer_source_id: str | None = None
    """Id of the source system."""
    customer_id: str | None = field(default=None, metadata=READ_ONLY)
    """Id of the customer."""
    external_id: str | None = None
    """The customer's id in the source system."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the record last changed, in project-local time."""


@frozen(kw_only=True, repr=False)
class CustomerSourceInput(Input, reads=CustomerSourceRecord):
    """The source of a new customer."""

    customer_source_id: str
    """Id of the source system."""
    external_id: str | Unset | None = UNSET
    """The customer's id in that system."""
