"""Records that several families hold: properties, product codes, campaigns."""

from __future__ import annotations

from attrs import field, frozen

from carecloud_async.models.base import READ_ONLY, Input, LocalDatetime, Model
from carecloud_async.models.unset import UNSET, Unset

__all__ = ["PluId", "PluIdInput", "Property", "PropertyItem", "Utm", "UtmInput"]


@frozen(kw_only=True, repr=False)
class Utm(Model):
    """Campaign that a visit came from, as web analytics names it."""

    utm_source: str | None = None
    """Source of the visit, such as `google`."""
    utm_medium: str | None = None
    """Medium, such as `cpc`."""
    utm_campaign: str | None = None
    """Name of the campaign."""


@frozen(kw_only=True, repr=False)
class PluId(Model):
    """Code of a product in one of the project's product lists."""

    list_code: str | None = None
    """Code of the list, such as `GLOBAL`, `SKU` or `PLU`; `GLOBAL` holds every product once."""
    code: str | None = None
    """Code of the product in that list."""


@frozen(kw_only=True, repr=False)
class PropertyItem(Model):
    """One of the possible values of a property."""

    id: str | None = field(default=None, metadata=READ_ONLY)
    """Id of the value."""
    name: str | None = None
    """Name of the property item."""
    resource_record_id: str | None = None
    """Id of the resource record."""
    state: int | None = field(default=None, metadata=READ_ONLY)
    """See `RecordState`."""


@frozen(kw_only=True, repr=False)
class Property(Model):
    """A property that a project adds to a kind of record."""

    property_id: str = field(metadata=READ_ONLY)
    """Id of the property."""
    name: str | None = None
    """Name of the property."""
    description: str | None = None
    """Description of the property."""
    data_type: str | None = None
    """Type of its values: `string`, `boolean`, `integer`, `date`, `timestamp`, `float` or one of the project's own."""
    items: tuple[PropertyItem, ...] = ()
    """The possible values."""
    is_required: bool | None = None
    """Whether a record must have it."""
    is_unique: bool | None = None
    """Whether no two records may have the same value."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the record last changed, in project-local time."""
    state: int | None = field(default=None, metadata=READ_ONLY)
    """See `RecordState`."""


@frozen(kw_only=True, repr=False)
class UtmInput(Input, reads=Utm):
    """A campaign to be written; the fields are those of `Utm`."""

    utm_source: str | Unset | None = UNSET
    utm_medium: str | Unset | None = UNSET
    utm_campaign: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class PluIdInput(Input, reads=PluId):
    """A product code to be written; the fields are those of `PluId`."""

    list_code: str
    code: str
