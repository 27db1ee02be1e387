"""A customer as the API gives it: `GET /customers` and `GET /customers/{customer_id}`."""

from __future__ import annotations

from datetime import date

from attrs import field, frozen

from carecloud_async.models.base import READ_ONLY, LocalDatetime, Model

__all__ = ["Address", "Agreement", "Consent", "CustomAgreement", "Customer", "PersonalInformation"]


@frozen(kw_only=True, repr=False)
class Address(Model):
    """A postal address.

    Attributes:
        address1: street.
        address2: street number (land registry number).
        address3: house number.
        address4, address5, address6, address7: further lines, whose use each project decides.
        zip: postal code.
        city: town.
        country_code: ISO code of the country, such as `cz`.
    """

    address1: str | None = None
    address2: str | None = None
    address3: str | None = None
    address4: str | None = None
    address5: str | None = None
    address6: str | None = None
    address7: str | None = None
    zip: str | None = None
    city: str | None = None
    country_code: str | None = None


@frozen(kw_only=True, repr=False)
class CustomAgreement(Model):
    """One project-defined consent in the older `agreement` structure.

    Attributes:
        agreement_id: id of the consent.
        agreement_value: see `AgreementValue`.
    """

    agreement_id: str | None = None
    agreement_value: int | None = None


@frozen(kw_only=True, repr=False)
class Agreement(Model):
    """A customer's consents in the older structure; the API now prefers `PersonalInformation.consents`.

    Attributes:
        agreement_gtc: processing of personal data; see `AgreementValue`.
        agreement_profiling: profiling; see `AgreementValue`.
        agreement_marketing_communication: marketing; see `AgreementValue`.
        custom_agreements: the project's own consents.
    """

    agreement_gtc: int | None = None
    agreement_profiling: int | None = None
    agreement_marketing_communication: int | None = None
    custom_agreements: tuple[CustomAgreement, ...] = ()


@frozen(kw_only=True, repr=False)
class Consent(Model):
    """A customer's answer to one consent.

    Attributes:
        consent_id: id of the consent.
        consent_value: see `AgreementValue`.
        last_change: when the answer last changed, in project-local time.
    """

    consent_id: str | None = None
    consent_value: int | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


_NO_ADDRESS = Address()
_NO_AGREEMENT = Agreement()


@frozen(kw_only=True, repr=False)
class PersonalInformation(Model):
    """Who a customer is and how to reach them.

    Attributes:
        salutation: how the customer is addressed.
        gender: see `Gender`.
        first_name: given name.
        last_name: family name.
        pre_nominals: titles before the name.
        post_nominals: titles after the name.
        birthdate: day of birth; `None` also where the server holds no readable date.
        email: e-mail address.
        phone: number with the international prefix, without `+`, such as `420123456789`.
        language_id: ISO 639-1 code of the customer's language.
        store_id: id of the store of registration.
        photo_url: where the photo is, for customers that have one.
        address: postal address, empty if unknown.
        agreement: consents in the older structure, empty if unknown.
        consents: consents in the present structure.
    """

    salutation: str | None = None
    gender: int | None = None
    first_name: str | None = None
    last_name: str | None = None
    pre_nominals: str | None = None
    post_nominals: str | None = None
    birthdate: date | None = None
    email: str | None = None
    phone: str | None = None
    language_id: str | None = None
    store_id: str | None = None
    photo_url: str | None = field(default=None, metadata=READ_ONLY)
    address: Address = _NO_ADDRESS
    agreement: Agreement = _NO_AGREEMENT
    consents: tuple[Consent, ...] = ()


_NOBODY = PersonalInformation()


@frozen(kw_only=True, repr=False)
class Customer(Model):
    """A customer. Timestamps are in project-local time, without an offset.

    Attributes:
        customer_id: id of the customer.
        personal_information: who the customer is, empty if unknown.
        doi_email: when the e-mail address was confirmed (double opt-in).
        doi_phone: when the phone number was confirmed (double opt-in).
        last_change: when the record last changed.
        state: see `CustomerState`.
    """

    customer_id: str = field(metadata=READ_ONLY)
    personal_information: PersonalInformation = _NOBODY
    doi_email: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    doi_phone: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)
