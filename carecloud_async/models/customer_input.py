"""A customer as it is written: `POST /customers`, `PUT /customers/{customer_id}`, `client.customers.update`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TypedDict

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import SECRET, Input
from carecloud_async.models.customer import Address, Agreement, Consent, CustomAgreement, Customer, PersonalInformation
from carecloud_async.models.customer_source import SocialNetworkCredentialsChanges, SocialNetworkCredentialsInput
from carecloud_async.models.property_record import PropertyRecordChanges, PropertyRecordInput

__all__ = [
    "AddressChanges",
    "AddressInput",
    "AgreementChanges",
    "AgreementInput",
    "ConsentChanges",
    "ConsentInput",
    "CustomAgreementChanges",
    "CustomAgreementInput",
    "CustomerChanges",
    "CustomerInput",
    "CustomerUpdateInput",
    "PersonalInformationChanges",
    "PersonalInformationInput",
]


@frozen(kw_only=True, repr=False)
class AddressInput(Input, reads=Address):
    """A postal address; the fields are those of `Address`."""

    address1: str | Unset | None = UNSET
    address2: str | Unset | None = UNSET
    address3: str | Unset | None = UNSET
    address4: str | Unset | None = UNSET
    address5: str | Unset | None = UNSET
    address6: str | Unset | None = UNSET
    address7: str | Unset | None = UNSET
    zip: str | Unset | None = UNSET
    city: str | Unset | None = UNSET
    country_code: str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class CustomAgreementInput(Input, reads=CustomAgreement):
    """One project-defined consent in the older structure; the fields are those of `CustomAgreement`."""

    agreement_id: str
    agreement_value: int


@frozen(kw_only=True, repr=False)
class AgreementInput(Input, reads=Agreement):
    """Consents in the older structure, ignored if `consents` are sent; the fields are those of `Agreement`."""

    agreement_gtc: int | Unset | None = UNSET
    agreement_profiling: int | Unset | None = UNSET
    agreement_marketing_communication: int | Unset | None = UNSET
    custom_agreements: Sequence[CustomAgreementInput] | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class ConsentInput(Input, reads=Consent):
    """A customer's answer to one consent; the fields are those of `Consent`."""

    consent_id: str
    consent_value: int


@frozen(kw_only=True, repr=False)
class PersonalInformationInput(Input, reads=PersonalInformation):
    """Who a customer is; the fields are those of `PersonalInformation` without the photo."""

    language_id: str
    """ISO 639-1 code of the customer's language; the API requires it."""
    salutation: str | Unset | None = UNSET
    """Made up by the API if left out."""
    gender: int | Unset | None = UNSET
    first_name: str | Unset | None = UNSET
    last_name: str | Unset | None = UNSET
    pre_nominals: str | Unset | None = UNSET
    post_nominals: str | Unset | None = UNSET
    birthdate: date | str | Unset | None = UNSET
    """A `date`, `YYYY-MM-DD` or `DD.MM.YYYY`."""
    email: str | Unset | None = UNSET
    phone: str | Unset | None = UNSET
    store_id: str | Unset | None = UNSET
    """Can be changed later but not removed."""
    address: AddressInput | Unset | None = UNSET
    agreement: AgreementInput | Unset | None = UNSET
    consents: Sequence[ConsentInput] | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class CustomerInput(Input, reads=Customer):
    """A customer to be created or replaced."""

    personal_information: PersonalInformationInput
    """Who the customer is."""


@frozen(kw_only=True, repr=False)
class CustomerUpdateInput(Input, reads=Customer):
    """Every field that an update of a customer may name: those of the record, and the others of the PUT's body."""

    personal_information: PersonalInformationInput | Unset = UNSET
    """Who the customer is."""
    password: str | Unset | None = field(default=UNSET, metadata=SECRET)
    """A new password; masked in the repr."""
    social_network_credentials: SocialNetworkCredentialsInput | Unset | None = UNSET
    """Credentials at a social network."""
    property_records: Sequence[PropertyRecordInput] | Unset | None = UNSET
    """Values of properties."""


class AddressChanges(TypedDict, total=False):
    """Parts of `Address` to change."""

    address1: str | None
    address2: str | None
    address3: str | None
    address4: str | None
    address5: str | None
    address6: str | None
    address7: str | None
    zip: str | None
    city: str | None
    country_code: str | None


class CustomAgreementChanges(TypedDict, total=False):
    """One element of `custom_agreements`; the list is replaced whole."""

    agreement_id: str
    agreement_value: int


class AgreementChanges(TypedDict, total=False):
    """Parts of `Agreement` to change."""

    agreement_gtc: int | None
    agreement_profiling: int | None
    agreement_marketing_communication: int | None
    custom_agreements: Sequence[CustomAgreementChanges | CustomAgreementInput] | None


class ConsentChanges(TypedDict, total=False):
    """One element of `consents`; the list is replaced whole."""

    consent_id: str
    consent_value: int


class PersonalInformationChanges(TypedDict, total=False):
    """Parts of `PersonalInformation` to change; dates as `date` or as the API's text."""

    salutation: str | None
    gender: int | None
    first_name: str | None
    last_name: str | None
    pre_nominals: str | None
    post_nominals: str | None
    birthdate: date | str | None
    email: str | None
    phone: str | None
    language_id: str
    store_id: str | None
    address: AddressChanges | AddressInput | None
    agreement: AgreementChanges | AgreementInput | None
    consents: Sequence[ConsentChanges | ConsentInput] | None


class CustomerChanges(TypedDict, total=False):
    """Parts of a customer to change; what is not named stays as the server has it.

    `password`, `social_network_credentials` and `property_records` are never read back, so they are sent only if named.
    """

    personal_information: PersonalInformationChanges | PersonalInformationInput
    password: str | None
    social_network_credentials: SocialNetworkCredentialsChanges | SocialNetworkCredentialsInput | None
    property_records: Sequence[PropertyRecordChanges | PropertyRecordInput] | None
