"""A customer as it is written: `POST /customers` and `PUT /customers/{customer_id}`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from attrs import field, frozen

from carecloud_async.models.base import SECRET, Input
from carecloud_async.models.customer import Address, Agreement, Consent, CustomAgreement, Customer, PersonalInformation
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
    """Consents in the older structure, ignored by the API beside `consents`; the fields are those of `Agreement`."""

    agreement_gtc: int | Unset | None = UNSET
    agreement_profiling: int | Unset | None = UNSET
    agreement_marketing_communication: int | Unset | None = UNSET
    custom_agreements: Sequence[CustomAgreementInput] | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class ConsentInput(Input, reads=Consent):
    """A customer's answer to one consent."""

    consent_id: str
    """Id of the consent."""
    consent_value: int
    """See `AgreementValue`."""


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
    birthdate: date | str | Unset | None = field(default=UNSET, converter=_day)
    """A `date` or `YYYY-MM-DD`."""
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
    """Every name that an update of a customer may hold: the record's own, and what stands beside it in the PUT."""

    personal_information: PersonalInformationInput | Unset = UNSET
    """Who the customer is."""
    password: str | Unset | None = field(default=UNSET, metadata=SECRET)
    """A new password; masked in the repr."""
    social_network_credentials: SocialNetworkCredentialsInput | Unset | None = UNSET
    """Credentials at a social network."""
    property_records: Sequence[PropertyRecordInput] | Unset | None = UNSET
    """Values of properties."""
