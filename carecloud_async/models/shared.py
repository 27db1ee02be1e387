"""Shared: read models, inputs."""

from __future__ import annotations

from decimal import Decimal

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import READ_ONLY, Input, LocalDatetime, Model
from carecloud_async.models.input_fields import by_digits


@frozen(kw_only=True, repr=False)
class Tag(Model):
    """A tag of products or rewards."""

    tag_id: str
    name: str | None = field(default=None, metadata=READ_ONLY)
    text_id: str | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class Utm(Model):
    """Where a customer came from, as UTM parameters."""

    utm_source: str | None = None
    """Source of the visit, such as `google`."""
    utm_medium: str | None = None
    """Medium, such as `cpc`."""
    utm_campaign: str | None = None
    """Name of the campaign."""


@frozen(kw_only=True, repr=False)
class PluId(Model):
    """The id of a product in one product list."""

    list_code: str | None = None
    """Code of the product list."""
    code: str | None = None
    """Code of the product in that list."""


@frozen(kw_only=True, repr=False)
class Price(Model):
    """A price in one currency."""

    currency_id: str | None = None
    value: float | None = None
    """Amount in that currency."""


@frozen(kw_only=True, repr=False)
class PropertyItem(Model):
    """A value that a property can have."""

    id: str | None = field(default=None, metadata=READ_ONLY)
    """Id of the item."""
    name: str | None = None
    resource_record_id: str | None = None
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class Property(Model):
    """A property that the project has defined."""

    property_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    description: str | None = None
    data_type: str | None = None
    """Data type of the property's values."""
    items: tuple[PropertyItem, ...] = ()
    """The possible values."""
    is_required: bool | None = None
    """Whether a record must have it."""
    is_unique: bool | None = None
    """Whether no two records may have the same value."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class Country(Model):
    """A country."""

    country_id: str
    """ISO code of the country."""
    name: str | None = None
    state: int | None = None


@frozen(kw_only=True, repr=False)
class Currency(Model):
    """A currency."""

    currency_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    code: str | None = None


@frozen(kw_only=True, repr=False)
class Language(Model):
    """A language."""

    language_id: str = field(metadata=READ_ONLY)
    """ISO 639-1 code of the language."""
    state: int | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class PaymentType(Model):
    """A way to pay."""

    payment_type_id: str = field(metadata=READ_ONLY)
    name: str | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class TagInput(Input, reads=Tag):
    """A tag to be written; the fields are those of `Tag`."""

    tag_id: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class UtmInput(Input, reads=Utm):
    """UTM parameters to be written; the fields are those of `Utm`."""

    utm_source: str | Unset | None = UNSET
    utm_medium: str | Unset | None = UNSET
    utm_campaign: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class PluIdInput(Input, reads=PluId):
    """A PLU id to be written; the fields are those of `PluId`."""

    list_code: str
    code: str


@frozen(kw_only=True, repr=False)
class PriceInput(Input, reads=Price):
    """A price to be written; the fields are those of `Price`."""

    currency_id: str
    value: float | Decimal = field(eq=by_digits)
