"""Customers by the id that another system gave them: find, synchronise, link; sign-up and newsletter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from attrs import evolve, frozen

from carecloud_async.errors import (
    BadRequestError,
    ConfigurationError,
    ConflictError,
    InterfaceError,
    OutcomeUnknownError,
)
from carecloud_async.models.customer_input import AgreementInput, ConsentInput, CustomerInput
from carecloud_async.models.customer_records import PartnerRecordInput
from carecloud_async.models.customer_source import CustomerSourceInput
from carecloud_async.models.enums import AgreementValue, CustomerDataType, LoginType, RegistrationIdentifier
from carecloud_async.runtime.secret_text import conceal, secret_text
from carecloud_async.workflows.lost_answers import looked_up

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud
    from carecloud_async.models.customer_input import CustomerChanges
    from carecloud_async.models.property_record import PropertyRecordInput

__all__ = [
    "SignUpCheck",
    "SyncedCustomer",
    "check_sign_up",
    "find_customer",
    "link_customer",
    "sign_up",
    "sign_up_for_newsletter",
    "sync_customer",
]


class _SourceIds(TypedDict):
    """What names a customer of another system."""

    customer_source_id: str
    external_id: str


@frozen(kw_only=True)
class SyncedCustomer:
    """The outcome of `sync_customer`."""

    customer_id: str
    """Id of the customer."""
    created: bool
    """Whether the customer is new; else the record that was there has been updated."""


@frozen(kw_only=True)
class SignUpCheck:
    """The outcome of `check_sign_up`; what was not asked is `None`."""

    email_is_free: bool | None = None
    """Whether nobody has the e-mail address."""
    phone_is_free: bool | None = None
    """Whether nobody has the phone number."""
    password_is_valid: bool | None = None
    """Whether the password is strong enough."""
    referral_code_is_valid: bool | None = None
    """Whether the referral code exists and may be used."""

    @property
    def is_possible(self) -> bool:
        """Whether nothing that was asked speaks against the sign-up."""
        checks = (self.email_is_free, self.phone_is_free, self.password_is_valid, self.referral_code_is_valid)
        return False not in checks


async def find_customer(client: CareCloud, *, customer_source_id: str, external_id: str) -> str | None:
    """Return the CareCloud id of the customer whom another system knows by `external_id`, or `None`.

    Operation: `GET /customer-source-records`.

    Args:
        client: the client, of an enterprise user.
        customer_source_id: id of the system.
        external_id: the customer's id there.

    Raises:
        ConflictError: several customers bear this id; merge them in CareCloud first.
        ConfigurationError: an argument is empty.
    """
    records = client.customer_source_records.list(customer_source_id=customer_source_id, external_id=external_id)
    # A server that drops a filter must not make a stranger of this customer.
    found = {
        record.customer_id
        async for record in records.fresh()
        if record.external_id == external_id and record.customer_source_id == customer_source_id and record.customer_id
    }
    if len(found) > 1:
        raise ConflictError(f"{len(found)} customers bear this external id in the source: merge them in CareCloud")
    return next(iter(found), None)


async def sync_customer(
    client: CareCloud, *, customer_source_id: str, external_id: str, customer: CustomerInput
) -> SyncedCustomer:
    """Bring a customer of another system into CareCloud: update the one with this external id, or create one.

    An update changes the fields that `customer` sets and no others; lists, such as its consents, are replaced whole. A
    customer who is in CareCloud without this external id is never taken over: `link_customer` is how you say that the
    two are the same person.

    Operations: `GET /customer-source-records`, then `GET` and `PUT /customers/{customer_id}`, or `POST /customers`.

    Args:
        client: the client, of an enterprise user.
        customer_source_id: id of the system.
        external_id: the customer's id there.
        customer: the record as the system has it.

    Raises:
        BadRequestError: the server refused the record; `has_reason("already_exists")` where somebody else has the
            e-mail address.
        ConflictError: several customers bear this external id.
        NotFoundError: the external id leads to a customer who is gone.
        OutcomeUnknownError: the answer was lost and no such customer shows up yet; call again, it looks first.
    """
    ids = _SourceIds(customer_source_id=customer_source_id, external_id=external_id)
    customer_id = await find_customer(client, **ids)
    if customer_id is None:
        source = CustomerSourceInput(**ids)
        try:
            return SyncedCustomer(
                customer_id=await client.customers.create(customer, customer_source=source), created=True
            )
        except OutcomeUnknownError:
            customer_id = await looked_up(find_customer(client, **ids))
            if customer_id is None:
                raise
            return SyncedCustomer(customer_id=customer_id, created=True)
        except BadRequestError as error:
            if not error.has_reason("already_exists"):
                raise
            # Another worker may have been quicker with the same customer.
            customer_id = await looked_up(find_customer(client, **ids))
            if customer_id is None:
                raise
    changes: CustomerChanges = {"personal_information": customer.personal_information}
    await client.customers.update(customer_id, changes)
    return SyncedCustomer(customer_id=customer_id, created=False)


async def link_customer(client: CareCloud, *, customer_id: str, customer_source_id: str, external_id: str) -> None:
    """Note that another system knows this customer by `external_id`; if that is noted already, do nothing.

    Operations: `GET /customer-source-records`, `POST /customers/{customer_id}/customer-source-records`.

    Args:
        client: the client, of an enterprise user.
        customer_id: the customer.
        customer_source_id: id of the system.
        external_id: the customer's id there.

    Raises:
        ConflictError: the external id belongs to another customer; nothing was written.
        OutcomeUnknownError: the answer was lost and no such link shows up yet; call again, it looks first.
    """
    if await _is_linked(client, customer_id, customer_source_id, external_id):
        return
    source = CustomerSourceInput(customer_source_id=customer_source_id, external_id=external_id)
    try:
        await client.customers.customer_source_records(customer_id).create(source)
    except (OutcomeUnknownError, BadRequestError):
        if not await looked_up(_is_linked(client, customer_id, customer_source_id, external_id)):
            raise


async def _is_linked(client: CareCloud, customer_id: str, customer_source_id: str, external_id: str) -> bool:
    holder = await find_customer(client, customer_source_id=customer_source_id, external_id=external_id)
    if holder not in {None, customer_id}:
        raise ConflictError("the external id belongs to another customer: nothing was linked")
    return holder is not None


async def check_sign_up(
    client: CareCloud,
    *,
    email: str | None = None,
    phone: str | None = None,
    password: str | None = None,
    referral_code: str | None = None,
) -> SignUpCheck:
    """Check what a visitor has typed into a sign-up form before it is sent; one request for each argument.

    Operations: `POST /customers/actions/check-registration-ability` (on the Customer API off until an administrator
    turns it on), `POST /customers/actions/validate-customer-data`.

    Args:
        client: the client.
        email: the e-mail address.
        phone: the phone number with its international prefix; only where numbers are unique in the project.
        password: the password.
        referral_code: the code of the customer who sent this one.

    Raises:
        PermissionDeniedError: the check is off in this project.
    """
    email, phone, password = conceal(email), conceal(phone), conceal(password)

    async def is_free(kind: RegistrationIdentifier, value: str | None) -> bool | None:
        return None if value is None else await client.customers.check_registration_ability(type=kind, value=value)

    async def is_valid(kind: CustomerDataType, value: str | None) -> bool | None:
        return None if value is None else await client.customers.validate_customer_data(type=kind, value=value)

    return SignUpCheck(
        email_is_free=await is_free(RegistrationIdentifier.EMAIL, email),
        phone_is_free=await is_free(RegistrationIdentifier.PHONE, phone),
        password_is_valid=await is_valid(CustomerDataType.PASSWORD, password),
        referral_code_is_valid=await is_valid(CustomerDataType.REFERRAL_CODE, referral_code),
    )


async def sign_up(
    client: CareCloud,
    *,
    customer: CustomerInput,
    customer_source: CustomerSourceInput,
    password: str,
    consents: Mapping[str, bool],
    property_records: Sequence[PropertyRecordInput] | None = None,
    referral_code: str | None = None,
    autologin: bool = False,
) -> str:
    """Create the account of somebody who signs up, with the answers to the consents, and return the customer's id.

    If the answer is lost, an enterprise user's client verifies e-mail and password: only the account that was just
    created has both, so that nobody is handed an account that was there before. On the Customer API let the customer
    log in after an `OutcomeUnknownError`; it works if the account was created.

    Operations: `POST /customers`; after a lost answer `POST /customers/actions/verify-credentials`.

    Args:
        client: the client.
        customer: who signs up; its own `consents` must be left out.
        customer_source: where the customer comes from.
        password: the new password.
        consents: what was answered, by the id of the consent (`client.agreements.list()`). A consent that was not
            shown is left out and counts as not set.
        property_records: values of the project's own properties.
        referral_code: the code of the customer who sent this one.
        autologin: log the calling device in as the new customer: only on `client.acting_as(another device)`.

    Raises:
        BadRequestError: for example `has_reason("already_exists")`.
        ConfigurationError: `customer` has consents of its own, or `autologin` on the client's own device.
        OutcomeUnknownError: the answer was lost, and it cannot be found out whether the account was created.
    """
    password = secret_text(password)
    person = customer.personal_information
    if person.consents:
        raise ConfigurationError("name the answers in consents=, and leave them out of customer")
    answers = [
        ConsentInput(consent_id=consent_id, consent_value=AgreementValue.YES if given else AgreementValue.NO)
        for consent_id, given in consents.items()
    ]
    if answers:
        customer = evolve(customer, personal_information=evolve(person, consents=answers))
    try:
        return await client.customers.create(
            customer,
            customer_source=customer_source,
            password=password,
            property_records=property_records,
            referral_code=referral_code,
            autologin=autologin,
        )
    except OutcomeUnknownError:
        if not person.email:
            raise
        customer_id = await _account_of(client, str(person.email), password)
        if customer_id is None:
            raise
        return customer_id


async def _account_of(client: CareCloud, email: str, password: str) -> str | None:
    search = client.customers.verify_credentials(login_type=LoginType.EMAIL, login_value=email, password=password)
    try:
        return await looked_up(search)
    except InterfaceError:  # the Customer API verifies nobody
        return None


async def sign_up_for_newsletter(
    client: CareCloud,
    *,
    contact: str,
    customer_source_id: str,
    language_id: str | None = None,
    partner_ids: Sequence[str] = (),
) -> None:
    """Sign a contact up for the newsletter, with the consent to marketing; the contact need not be a customer.

    The answer names nobody, so a lost one cannot be looked up. Protect the form (a CAPTCHA): anybody may type anybody's
    address.

    Operation: `POST /customers/actions/newsletters-sign-up`.

    Args:
        client: the client.
        contact: e-mail address or phone number.
        customer_source_id: id of the customer source.
        language_id: ISO 639-1 code of the language.
        partner_ids: the partners whose newsletter it is; all that the client may see if left out.

    Raises:
        BadRequestError: the server refused the contact.
        OutcomeUnknownError: the answer was lost; signing the same contact up again is the only way to be sure.
    """
    contact = conceal(contact)
    await client.customers.newsletters_sign_up(
        contact=contact,
        customer_source_id=customer_source_id,
        agreements=AgreementInput(agreement_marketing_communication=AgreementValue.YES),
        language_id=language_id,
        partner_records=[PartnerRecordInput(partner_id=one) for one in partner_ids] or None,
    )
