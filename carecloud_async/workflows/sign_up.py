"""Sign-up, with the checks before it, and the newsletter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from carecloud_async._base.runtime.secret_text import conceal, secret_text
from carecloud_async.errors import CareCloudError, ConfigurationError, InterfaceError
from carecloud_async.models.customer_input import AgreementInput, ConsentInput, CustomerInput
from carecloud_async.models.customer_records import PartnerRecordInput
from carecloud_async.models.customer_source import CustomerSourceInput
from carecloud_async.models.enums import AgreementValue, CustomerDataType, LoginType, RegistrationIdentifier
from carecloud_async.workflows.safe_writes import found_after

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud
    from carecloud_async.models.property_record import PropertyRecordInput

__all__ = ["SignUpCheck", "check_sign_up", "sign_up", "sign_up_for_newsletter"]


@frozen(kw_only=True)
class SignUpCheck:
    """The outcome of `check_sign_up`; `None` for what was not asked."""

    email_is_free: bool | None = None
    """Whether no customer has the e-mail address."""
    phone_is_free: bool | None = None
    """Whether no customer has the phone number."""
    password_is_valid: bool | None = None
    """Whether the password is strong enough."""
    referral_code_is_valid: bool | None = None
    """Whether the referral code exists and may be used."""

    @property
    def is_possible(self) -> bool:
        """Whether no check failed."""
        checks = (self.email_is_free, self.phone_is_free, self.password_is_valid, self.referral_code_is_valid)
        return False not in checks


async def check_sign_up(
    client: CareCloud,
    *,
    email: str | None = None,
    phone: str | None = None,
    password: str | None = None,
    referral_code: str | None = None,
) -> SignUpCheck:
    """Check the input of a sign-up form before the sign-up; one request for each argument.

    Operations: `POST /customers/actions/check-registration-ability` (on the Customer API off until an administrator
    turns it on), `POST /customers/actions/validate-customer-data`.

    Args:
        email: the e-mail address.
        phone: the phone number with its international prefix; only where numbers are unique in the project.
        referral_code: the code of the customer who recommended the project.

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
    """Create the account of a visitor who signs up, with the answers to the consents, and return the customer's id.

    If the answer is lost, an enterprise user's client verifies e-mail and password: only the account that was just
    created has both, so that this never returns another person's existing account. On the Customer API let the
    customer log in after an `OutcomeUnknownError`; it works if the account was created.

    Operations: `POST /customers`; after a lost answer `POST /customers/actions/verify-credentials`.

    Args:
        customer: the new customer, without `consents`.
        customer_source: where the customer comes from.
        password: the new password.
        consents: the answers, by the id of the consent (`client.agreements.list()`). Leave out a consent that was not
            shown; it counts as not set.
        property_records: values of the project's own properties.
        referral_code: the code of the customer who recommended the project.
        autologin: log the calling device in as the new customer: only on `client.acting_as(another device)`.

    Raises:
        BadRequestError: the server refused the customer, for example with `has_reason("already_exists")`.
        ConfigurationError: `customer` has consents of its own, or `autologin` on the client's own device.
        OutcomeUnknownError: the answer was lost, and it is not known whether the account was created.
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
    except CareCloudError as error:
        if not person.email:
            raise
        return await found_after(error, partial(_account_of, client, conceal(person.email), password))


async def _account_of(client: CareCloud, email: str, password: str) -> str | None:
    try:
        return await client.customers.verify_credentials(
            login_type=LoginType.EMAIL, login_value=email, password=password
        )
    except InterfaceError:  # the Customer API cannot verify credentials
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

    The answer has no id, so a lost one cannot be looked up. Protect the form, for example by a CAPTCHA: a visitor may
    type another person's address.

    Operation: `POST /customers/actions/newsletters-sign-up`.

    Args:
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
        partner_records=[PartnerRecordInput(partner_id=partner_id) for partner_id in partner_ids] or None,
    )
