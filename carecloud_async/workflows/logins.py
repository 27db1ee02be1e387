"""Sign-up with the checks before it, the newsletter, the check for a shop's own login page, and forgotten passwords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from carecloud_async._base.codec.answers import NO_SUCH_INTERFACE
from carecloud_async._base.runtime.secret_text import conceal, secret_text
from carecloud_async._calls.auth.secret import masked
from carecloud_async._lists.listings.look_ups import look_up
from carecloud_async.errors import (
    ApiError,
    BadRequestError,
    CareCloudError,
    ConfigurationError,
    ConflictError,
    InterfaceError,
)
from carecloud_async.models.customer_input import AgreementInput, ConsentInput, CustomerInput
from carecloud_async.models.customer_records import PartnerRecordInput
from carecloud_async.models.customer_source import CustomerSourceInput, SocialNetworkCredentialsInput
from carecloud_async.models.enums import (
    AgreementValue,
    ChannelNumber,
    CustomerDataType,
    LoginType,
    RegistrationIdentifier,
)
from carecloud_async.models.messages import MessageInput, MessageParameterInput
from carecloud_async.workflows.safe_writes import found_after

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud
    from carecloud_async.models.property_record import PropertyRecordInput

__all__ = [
    "HandoverToken",
    "LoginCase",
    "LoginCheck",
    "PasswordLogin",
    "SignUpCheck",
    "check_login",
    "check_sign_up",
    "send_password_link",
    "send_password_setup",
    "set_password",
    "sign_up",
    "sign_up_for_newsletter",
]


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


#: Statuses with which projects refuse wrong credentials; a malformed request is another error.
_WRONG = frozenset({400, 401, 403, 404})
_MALFORMED = frozenset({"required", "empty", "not_allowed_value"})


@frozen(kw_only=True)
class PasswordLogin:
    """A customer's login and password from a login page; the repr shows only the kind of login."""

    login_type: str
    """`email` or `card`; see `LoginType`."""
    login_value: str = field(repr=masked)
    """The e-mail address or card number."""
    password: str = field(repr=masked, converter=secret_text)
    """The password."""


@frozen(kw_only=True)
class HandoverToken:
    """An authentication token with which another application sends a customer; masked in the repr."""

    application_id: str
    """Id of this application, which the token was issued for."""
    token: str = field(repr=masked, converter=secret_text)
    """The token."""
    token_request_id: str = field(repr=masked)
    """Id of the request that issued it."""


class LoginCase(StrEnum):
    """The four combinations of an account in the shop and an account in CareCloud."""

    BOTH = "both"
    """Log the customer in; bring both records up to date (`sync_customer`)."""
    SHOP_ONLY = "shop_only"
    """Log the customer in, and create the customer in CareCloud (`sync_customer`)."""
    CARECLOUD_ONLY = "carecloud_only"
    """Create the shop's account from `client.customers.get(customer_id)`, then log in."""
    NEITHER = "neither"
    """Refuse; offer the sign-up and the forgotten password."""


@frozen(kw_only=True)
class LoginCheck:
    """The outcome of `check_login`."""

    case: LoginCase
    """Which of the two systems knows these credentials."""
    customer_id: str | None = None
    """Id of the customer, if CareCloud does."""


async def check_login(
    client: CareCloud,
    *,
    credentials: PasswordLogin | SocialNetworkCredentialsInput | HandoverToken,
    shop_knows: bool,
) -> LoginCheck:
    """Return which of the two, your shop and CareCloud, knows these credentials. It logs no customer in.

    A 400, 401, 403 or 404 of the verification counts as credentials that CareCloud does not know, since projects differ
    in how they refuse. An enterprise user without the right to verify looks the same: try it once with good ones.

    Operations (Enterprise API only): `POST /customers/actions/verify-credentials`,
    `…/verify-social-network-credentials` or `…/verify-auth-token`, as the credentials are.

    Args:
        client: the client, of an enterprise user.
        credentials: what the customer showed.
        shop_knows: whether your own system verified the same customer.

    Raises:
        BadRequestError: the credentials are malformed: something is empty, or the kind of login does not exist.
        InterfaceError: the client is not an enterprise user's.
        TransportError: no answer came; a `HandoverToken` may be used up.
    """
    customer_id = await _verified(client, credentials)
    if customer_id is None:
        return LoginCheck(case=LoginCase.SHOP_ONLY if shop_knows else LoginCase.NEITHER)
    case = LoginCase.BOTH if shop_knows else LoginCase.CARECLOUD_ONLY
    return LoginCheck(case=case, customer_id=customer_id)


async def _verified(
    client: CareCloud, credentials: PasswordLogin | SocialNetworkCredentialsInput | HandoverToken
) -> str | None:
    try:
        match credentials:
            case PasswordLogin(login_type=kind, login_value=value, password=password):
                return await client.customers.verify_credentials(login_type=kind, login_value=value, password=password)
            case HandoverToken(application_id=application_id, token=token, token_request_id=request_id):
                return await client.customers.verify_auth_token(
                    application_id=application_id, token=token, token_request_id=request_id
                )
            case _:
                return await client.customers.verify_social_network_credentials(credentials)
    except ApiError as error:
        if _is_about_credentials(error):
            return None
        raise


def _is_about_credentials(error: ApiError) -> bool:
    # The client's own login can be refused on the way, too; its path is another one.
    if error.status not in _WRONG or "/actions/verify-" not in error.path or error.type == NO_SUCH_INTERFACE:
        return False
    return not (isinstance(error, BadRequestError) and any(map(error.has_reason, _MALFORMED)))


async def send_password_setup(client: CareCloud, *, communication_channel_id: str, recipient: str) -> None:
    """Let CareCloud send a customer the link to set a new password (Customer API).

    Show the same page after success and failure, or the form tells strangers who is a customer.

    Operation: `POST /tokens/{token_id}/actions/send-password-setup-email`, for which the project may need a scenario of
    its own.

    Args:
        client: the client, of a device.
        communication_channel_id: id of the channel (`client.communication_channels.list()`).
        recipient: the e-mail address or phone number, as the channel wants it.

    Raises:
        ApiError: the server refused, for example because it knows no such recipient.
        InterfaceError: the client is an enterprise user's: use `send_password_link`.
        OutcomeUnknownError: the answer was lost; a second message does no harm.
    """
    recipient = conceal(recipient)
    await client.tokens.send_password_setup_email(
        communication_channel_id=communication_channel_id, recipient=recipient
    )


async def send_password_link(
    client: CareCloud, *, email: str, message_template_id: str, parameters: Mapping[str, str]
) -> str | None:
    """Send a customer the link to your own page for a new password, and return the customer's id (Enterprise API).

    The page asks for the new password and calls `set_password` with the id that belongs to your link. If the look-up
    finds no customer with this address, nothing is sent and `None` is returned: show the same page, or the form tells
    strangers who is a customer. The server checks the customer's consents for the channel; the template must be one
    that needs none.

    Operations: `GET /customers`, `POST /messages/actions/send-message`.

    Args:
        client: the client, of an enterprise user.
        email: the customer's e-mail address.
        message_template_id: id of the template (`client.message_templates.list()`).
        parameters: values of the template's parameters, such as your link.

    Raises:
        ConflictError: several customers have this address; nothing was sent.
        OutcomeUnknownError: the answer was lost; a second message does no harm.
    """
    email, parameters = conceal(email.strip()), conceal(parameters)
    customers = await look_up(client.customers.list(email=email))
    # Addresses are compared as people type them.
    same = [
        customer
        for customer in customers
        if (customer.personal_information.email or "").strip().casefold() == email.casefold()
    ]
    if not same:
        return None
    if len(same) > 1:
        raise ConflictError("several customers have this e-mail address: nothing was sent; merge them in CareCloud")
    message = MessageInput(
        message_template_id=message_template_id,
        customer_id=same[0].customer_id,
        communication_channel_id=ChannelNumber.EMAIL,
        message_data=[MessageParameterInput(parameter_name=name, value=value) for name, value in parameters.items()],
    )
    await client.messages.send_message(message)
    return same[0].customer_id


async def set_password(client: CareCloud, *, customer_id: str, password: str) -> None:
    """Set a customer's password and change nothing else.

    Operations: `GET` and `PUT /customers/{customer_id}`. `check_sign_up(client, password=…)` tells beforehand whether
    the password is strong enough.

    Args:
        client: the client, of an enterprise user, or of the customer.
        customer_id: the customer.
        password: the new password.

    Raises:
        BadRequestError: the password is too weak.
        NotFoundError: there is no such customer.
    """
    password = secret_text(password)
    await client.customers.update(customer_id, {"password": password})
