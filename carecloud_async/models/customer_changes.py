"""The types of what `client.customers.update` takes: any part of a customer, `None` for null."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TypedDict

from carecloud_async.models.customer_input import (
    AddressInput,
    AgreementInput,
    ConsentInput,
    CustomAgreementInput,
    PersonalInformationInput,
)
from carecloud_async.models.property_record import PropertyRecordChanges, PropertyRecordInput
from carecloud_async.models.social_network import SocialNetworkCredentialsChanges, SocialNetworkCredentialsInput

__all__ = [
    "AddressChanges",
    "AgreementChanges",
    "ConsentChanges",
    "CustomAgreementChanges",
    "CustomerChanges",
    "PersonalInformationChanges",
]


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
