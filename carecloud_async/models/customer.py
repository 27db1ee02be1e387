"""A customer as the API gives it: `GET /customers` and `GET /customers/{customer_id}`."""

from __future__ import annotations

from datetime import date

from attrs import field, frozen

from carecloud_async.models.base import PERSONAL, READ_ONLY, LocalDatetime, Model, Updatable, point_inside

__all__ = ["Address", "Agreement", "Consent", "CustomAgreement", "Customer", "PersonalInformation"]


@frozen(kw_only=True, repr=False)
class Address(Model):
    """A postal address."""

    address1: str | None = field(default=None, metadata=PERSONAL)
    """Street."""
    address2: str | None = field(default=None, metadata=PERSONAL)
    """Street number (land registry number)."""
    address3: str | None = field(default=None, metadata=PERSONAL)
    """House number."""
    address4: str | None = field(default=None, metadata=PERSONAL)
    """Further address line; each project decides its use."""
    address5: str | None = field(default=None, metadata=PERSONAL)
    """Further address line; each project decides its use."""
    address6: str | None = field(default=None, metadata=PERSONAL)
    """Further address line; each project decides its use."""
    address7: str | None = field(default=None, metadata=PERSONAL)
    """Further address line; each project decides its use."""
    zip: str | None = field(default=None, metadata=PERSONAL)
    """Postal code."""
    city: str | None = field(default=None, metadata=PERSONAL)
    """Town."""
    country_code: str | None = None
    """ISO code of the country, such as `cz`."""


@frozen(kw_only=True, repr=False)
class CustomAgreement(Model):
    """One project-defined consent in the older `agreement` structure."""

    agreement_id: str | None = None
    """Id of the consent."""
    agreement_value: int | None = None
    """The answer: 0 no, 1 yes, 2 not set (`AgreementValue`)."""


@frozen(kw_only=True, repr=False)
class Agreement(Model):
    """A customer's consents in the older structure; the API now prefers `PersonalInformation.consents`."""

    agreement_gtc: int | None = None
    """Processing of personal data; see `AgreementValue`."""
    agreement_profiling: int | None = None
    """Profiling; see `AgreementValue`."""
    agreement_marketing_communication: int | None = None
    """Marketing; see `AgreementValue`."""
    custom_agreements: tuple[CustomAgreement, ...] = ()
    """The project's own consents."""


@frozen(kw_only=True, repr=False)
class Consent(Model):
    """A customer's answer to one consent."""

    consent_id: str | None = None
    consent_value: int | None = None
    """The answer: 0 no, 1 yes, 2 not set (`AgreementValue`)."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the answer last changed, in project-local time."""


@frozen(kw_only=True, repr=False)
class PersonalInformation(Model):
    """Who a customer is and how to reach them."""

    salutation: str | None = field(default=None, metadata=PERSONAL)
    """How the customer is addressed."""
    gender: int | None = field(default=None, metadata=PERSONAL)
    """Gender: 1 male, 2 female, 3 miss, 4 private, 5 other (`Gender`)."""
    first_name: str | None = field(default=None, metadata=PERSONAL)
    """Given name."""
    last_name: str | None = field(default=None, metadata=PERSONAL)
    """Family name."""
    pre_nominals: str | None = field(default=None, metadata=PERSONAL)
    """Titles before the name."""
    post_nominals: str | None = field(default=None, metadata=PERSONAL)
    """Titles after the name."""
    birthdate: date | None = field(default=None, metadata=PERSONAL)
    """Day of birth; `None` also where the server holds no readable date."""
    email: str | None = field(default=None, metadata=PERSONAL)
    phone: str | None = field(default=None, metadata=PERSONAL)
    """Number with the international prefix, without `+`, such as `420123456789`."""
    language_id: str | None = None
    """ISO 639-1 code of the customer's language."""
    store_id: str | None = None
    """Id of the store of registration."""
    photo_url: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)
    """Where the photo is, for customers that have one."""
    address: Address = Address()
    """Postal address, empty if unknown."""
    agreement: Agreement = Agreement()
    """Consents in the older structure, empty if unknown."""
    consents: tuple[Consent, ...] = ()
    """Consents in the present structure."""


@frozen(kw_only=True, repr=False)
class Customer(Updatable):
    """A customer. Timestamps are in project-local time, without an offset."""

    customer_id: str = field(metadata=READ_ONLY)
    personal_information: PersonalInformation = PersonalInformation()
    """Who the customer is, empty if unknown."""
    doi_email: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the e-mail address was confirmed (double opt-in)."""
    doi_phone: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the phone number was confirmed (double opt-in)."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the record last changed."""
    state: int | None = field(default=None, metadata=READ_ONLY)
    """State: 0 deleted, 1 active, 2 not active (`CustomerState`)."""


point_inside(Customer, "personal_information", PersonalInformation)
