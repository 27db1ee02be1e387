"""Customer records: read models, inputs, changes."""

from __future__ import annotations

from typing import TypedDict

from attrs import field, frozen

from carecloud_async.models.base import PERSONAL, READ_ONLY, Input, LocalDatetime, Model, Updatable
from carecloud_async.models.customer import Address
from carecloud_async.models.customer_input import AddressChanges, AddressInput


@frozen(kw_only=True, repr=False)
class Interest(Model):
    """An interest that customers can have."""

    interest_id: str = field(metadata=READ_ONLY)
    name: str | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class InterestRecord(Model):
    """An interest of a customer."""

    interest_record_id: str = field(metadata=READ_ONLY)
    interest_id: str | None = None
    customer_id: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class AdditionalAddress(Updatable):
    """A further address of a customer."""

    additional_address_id: str = field(metadata=READ_ONLY)
    address_type: str | None = None
    """Id of the kind of address; set on additional addresses only."""
    address: Address = Address()
    """Postal address."""


@frozen(kw_only=True, repr=False)
class RelatedCustomer(Model):
    """A relation between two customers."""

    customer_relation_id: str = field(metadata=READ_ONLY)
    related_customer_id: str | None = None
    """Id of the other customer."""
    short_name: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)
    """Short name of the customer."""
    customer_relation_type_id: str | None = None
    is_leading: bool | None = None
    """Whether the related customer leads the relation."""
    valid_from: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the relation begins."""
    valid_to: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the relation ends."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class Referral(Model):
    """A code with which a customer refers others."""

    referral_id: str = field(metadata=READ_ONLY)
    code: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)
    customer_id: str | None = field(default=None, metadata=READ_ONLY)
    referral_campaign_id: str | None = field(default=None, metadata=READ_ONLY)
    valid_to: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class PartnerRecord(Model):
    """A partner of a customer."""

    partner_record_id: str = field(metadata=READ_ONLY)
    partner_id: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class CustomerResult(Model):
    """A customer whom a search found."""

    customer_id: str | None = field(default=None, metadata=READ_ONLY)
    match: int | None = field(default=None, metadata=READ_ONLY)
    """How well it matches, in percent."""


@frozen(kw_only=True, repr=False)
class CustomerSearchResult(Model):
    """What a search for customers found."""

    strict: tuple[CustomerResult, ...] = ()
    """Results that match in full."""


@frozen(kw_only=True, repr=False)
class CustomerAddressType(Model):
    """A kind of address."""

    address_type_id: str = field(metadata=READ_ONLY)
    name: str | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class CustomerEngagementSetup(Model):
    """The setup of customer engagement for an application."""

    setup_id: str = field(metadata=READ_ONLY)
    setup: str | None = field(default=None, metadata=READ_ONLY)
    """The setup."""
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class ExternalApplication(Model):
    """An application that uses the API."""

    external_application_id: str
    """Id of the application."""
    text_id: str | None = field(default=None, metadata=READ_ONLY)
    name: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class CustomerRelationType(Model):
    """A kind of relation between customers."""

    customer_relation_type_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class CustomerSource(Model):
    """A system that customers come from."""

    customer_source_id: str
    name: str | None = None
    customer_source_text_id: str | None = field(default=None, metadata=READ_ONLY)
    """Fixed text id of the customer source, the same in all languages."""
    state: int | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class CustomerType(Model):
    """A kind of customer."""

    type_id: str = field(metadata=READ_ONLY)
    name: str | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class InterestRecordInput(Input, reads=InterestRecord):
    """An interest record to be written; the fields are those of `InterestRecord`."""

    interest_id: str
    customer_id: str


@frozen(kw_only=True, repr=False)
class AdditionalAddressInput(Input, reads=AdditionalAddress):
    """An additional address to be written; the fields are those of `AdditionalAddress`."""

    address_type: str
    address: AddressInput


@frozen(kw_only=True, repr=False)
class RelatedCustomerInput(Input, reads=RelatedCustomer):
    """A related customer to be written; the fields are those of `RelatedCustomer`."""

    related_customer_id: str
    customer_relation_type_id: str
    is_leading: bool


@frozen(kw_only=True, repr=False)
class PartnerRecordInput(Input, reads=PartnerRecord):
    """A partner record to be written; the fields are those of `PartnerRecord`."""

    partner_id: str


class InterestRecordChanges(TypedDict, total=False):
    """Parts of `InterestRecord` to change."""

    interest_id: str
    customer_id: str


class AdditionalAddressChanges(TypedDict, total=False):
    """Parts of `AdditionalAddress` to change."""

    address_type: str
    address: AddressChanges | AddressInput
