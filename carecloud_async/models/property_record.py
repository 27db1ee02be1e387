"""Values of project-defined properties: read model, input and changes."""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from attrs import field, frozen

from carecloud_async.models.base import READ_ONLY, Input, LocalDatetime, Model
from carecloud_async.models.unset import UNSET

__all__ = ["PropertyRecord", "PropertyRecordChanges", "PropertyRecordInput"]


@frozen(kw_only=True, repr=False)
class PropertyRecord(Model):
    """The value of one property of a record.

    Attributes:
        property_record_id: id of this record.
        property_id: id of the property.
        property_name: name of the property.
        property_value: text, number, boolean, list or object, as the property's data type has it; dates are text.
        last_change: when the value last changed, in project-local time.
    """

    property_record_id: str = field(metadata=READ_ONLY)
    property_id: str | None = None
    property_name: str | None = field(default=None, metadata=READ_ONLY)
    property_value: Any = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class PropertyRecordInput(Input):
    """A property's value to be written.

    Attributes:
        property_id: id of the property.
        property_value: whatever the property's data type takes; dates may be `date` or `datetime`.
    """

    reads: ClassVar[type[Model] | None] = PropertyRecord

    property_id: str
    property_value: Any = UNSET


class PropertyRecordChanges(TypedDict, total=False):
    """One element of `property_records` in an update; the list is replaced whole."""

    property_id: str
    property_value: Any
