"""Values of project-defined properties: read model, input and changes."""

from __future__ import annotations

from datetime import date
from typing import TypedDict

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async._base.codec.json_text import JsonValue
from carecloud_async.models.base import PERSONAL, READ_ONLY, Input, LocalDatetime, Model

__all__ = ["PropertyRecord", "PropertyRecordChanges", "PropertyRecordInput"]


@frozen(kw_only=True, repr=False)
class PropertyRecord(Model):
    """The value of one property of a record."""

    property_record_id: str = field(metadata=READ_ONLY)
    """Id of this record."""
    property_id: str | None = None
    property_name: str | None = field(default=None, metadata=READ_ONLY)
    property_value: JsonValue = field(default=None, metadata=PERSONAL)
    """Text, number, boolean, list or object, as the property's data type has it; dates are text."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the value last changed, in project-local time."""


@frozen(kw_only=True, repr=False)
class PropertyRecordInput(Input, reads=PropertyRecord):
    """A property's value to be written; other fields are those of `PropertyRecord`."""

    property_id: str
    property_value: JsonValue | date | Unset = UNSET
    """Whatever the property's data type takes; dates may be `date` or `datetime`."""


class PropertyRecordChanges(TypedDict, total=False):
    """One element of `property_records` in an update; the list is replaced whole."""

    property_id: str
    property_value: JsonValue | date
