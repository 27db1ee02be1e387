"""Where a customer's account came from: `customer_source` of `POST /customers` and the source records."""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen

from carecloud_async.models.base import READ_ONLY, Input, LocalDatetime, Model
from carecloud_async.models.unset import UNSET, Unset

__all__ = ["CustomerSourceInput", "CustomerSourceRecord"]


@frozen(kw_only=True, repr=False)
class CustomerSourceRecord(Model):
    """The link between a customer and the system that the account belongs to.

    Attributes:
        customer_source_record_id: id of this record.
        customer_source_id: id of the source system.
        customer_id: id of the customer.
        external_id: the customer's id in the source system.
        last_change: when the record last changed, in project-local time.
    """

    customer_source_record_id: str = field(metadata=READ_ONLY)
    customer_source_id: str | None = None
    customer_id: str | None = field(default=None, metadata=READ_ONLY)
    external_id: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class CustomerSourceInput(Input):
    """The source of a new customer.

    Attributes:
        customer_source_id: id of the source system.
        external_id: the customer's id in that system.
    """

    reads: ClassVar[type[Model] | None] = CustomerSourceRecord

    customer_source_id: str
    external_id: str | Unset | None = UNSET
