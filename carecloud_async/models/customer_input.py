"""A customer as it is written: `POST /customers` and `PUT /customers/{customer_id}`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import ClassVar

from attrs import field, frozen

from carecloud_async.models.base import SECRET, Input, Model
from carecloud_async.models.customer import (
    Address,
    Agreement,
    Consent,
    CustomAgreement,
    Customer,
    PersonalInformation,
)
from carecloud_async.models.property_record import PropertyRecordInput
from carecloud_async.models.social_network import SocialNetworkCredentialsInput
from carecloud_async.models.unset import UNSET, Unset

__all__ = [
    "AddressInput",
    "AgreementInput",
    "ConsentInput",
    "CustomAgreementInput",
    "CustomerInput",
    "CustomerUpdateInput",
    "PersonalInformationInput",
]


def _day(value: date | str | Unset | None) -> date | str | Unset | None:
    """Take the day of a datetime, which is a date to Python but not to the API."""
    return value.date() if isinstance(value, datetime) else value


@frozen(kw_only=True, repr=False)
class AddressInput(Input):
    """A postal address; the fields are those of `Address`."""

    reads: ClassVar[type[Model] | None] = Address

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
class CustomAgreementInput(Input):
    """One project-defined consent in the older structure; the fields are those of `CustomAgreement`."""

    reads: ClassVar[type[Model] | None] = CustomAgreement

    agreement_id: str
    agreement_value: int


@frozen(kw_only=True, repr=False)
class AgreementInput(Input):
    """Consents in the older structure, ignored by the API beside `consents`; the fields are those of `Agreement`."""

    reads: ClassVar[type[Model] | None] = Agreement

    agreement_gtc: int | Unset | None = UNSET
    agreement_profiling: int | Unset | None = UNSET
    agreement_marketing_communication: int | Unset | None = UNSET
    custom_agreements: Sequence[CustomAgreementInput] | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class ConsentInput(Input):
    """A customer's answer to one consent.

    Attributes:
        consent_id: id of the consent.
        consent_value: see `AgreementValue`.
    """

    reads: ClassVar[type[Model] | None] = Consent

    consent_id: str
    consent_value: int


@frozen(kw_only=True, repr=False)
class PersonalInformationInput(Input):
    """Who a customer is; the fields are those of `PersonalInformation` without the photo.

    Attributes:
        language_id: ISO 639-1 code of the customer's language; the API requires it.
        birthdate: a `date` or `YYYY-MM-DD`.
        salutation: made up by the API if left out.
        store_id: can be changed later but not removed.
    """

    reads: ClassVar[type[Model] | None] = PersonalInformation

    language_id: str
    salutation: str | Unset | None = UNSET
    gender: int | Unset | None = UNSET
    first_name: str | Unset | None = UNSET
    last_name: str | Unset | None = UNSET
    pre_nominals: str | Unset | None = UNSET
    post_nominals: str | Unset | None = UNSET
    birthdate: date | str | Unset | None = field(default=UNSET, converter=_day)
    email: str | Unset | None = UNSET
    phone: str | Unset | None = UNSET
    store_id: str | Unset | None = UNSET
    address: AddressInput | Unset | None = UNSET
    agreement: AgreementInput | Unset | None = UNSET
    consents: Sequence[ConsentInput] | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class CustomerInput(Input):
    """A customer to be created or replaced.

    Attributes:
        personal_information: who the customer is.
    """

    reads: ClassVar[type[Model] | None] = Customer

    personal_information: PersonalInformationInput


@frozen(kw_only=True, repr=False)
class CustomerUpdateInput(Input):
    """Every name that an update of a customer may hold: the record's own, and what stands beside it in the PUT.

    Attributes:
        personal_information: who the customer is.
        password: a new password; masked in the repr.
        social_network_credentials: credentials at a social network.
        property_records: values of properties.
    """

    reads: ClassVar[type[Model] | None] = Customer

    personal_information: PersonalInformationInput | Unset = UNSET
    password: str | Unset | None = field(default=UNSET, metadata=SECRET)
    social_network_credentials: SocialNetworkCredentialsInput | Unset | None = UNSET
    property_records: Sequence[PropertyRecordInput] | Unset | None = UNSET
