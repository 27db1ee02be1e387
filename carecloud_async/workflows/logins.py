"""Credentials of customers: the check for a shop's own login page, and forgotten passwords on both interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import field, frozen

from carecloud_async._base.codec.answers import NO_SUCH_INTERFACE
from carecloud_async._base.runtime.secret_text import conceal, secret_text
from carecloud_async._calls.auth.secret import masked
from carecloud_async._lists.listings.look_ups import look_up
from carecloud_async.errors import ApiError, BadRequestError, ConflictError
from carecloud_async.models.customer_source import SocialNetworkCredentialsInput
from carecloud_async.models.enums import ChannelNumber
from carecloud_async.models.messages import MessageInput, MessageParameterInput

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud

__all__ = [
    "HandoverToken",
    "LoginCase",
    "LoginCheck",
    "PasswordLogin",
    "check_login",
    "send_password_link",
    "send_password_setup",
    "set_password",
]

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
