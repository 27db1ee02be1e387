"""Identities of the customer interface: the device of an app, and customers who are logged in on its token.

A customer logs in by password, social network or authentication token, or an earlier login is resumed.
"""

from __future__ import annotations

import secrets
from abc import abstractmethod
from typing import Any

from attrs import asdict, evolve, field, frozen
from attrs.converters import optional

from carecloud_async._base.codec import Malformed
from carecloud_async._base.codec.answers import list_of
from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.secret_text import conceal_body, secret_text
from carecloud_async._calls.auth.provider import AuthProvider, Send, digest, require_instance, session_over
from carecloud_async._calls.auth.secret import masked, require_text
from carecloud_async._calls.auth.token import Token, read_text, read_token_value
from carecloud_async.errors import AuthenticationError, ConfigurationError, ResponseError

__all__ = [
    "AuthenticationTokenSession",
    "CustomerSession",
    "Device",
    "DeviceSetup",
    "DeviceToken",
    "ResumedSession",
    "SocialNetworkSession",
]

DEVICE_EXAMPLE = 'Device(device_id="…", device_system="…", device_name="…", device_type="…")'
SETUP_EXAMPLE = 'DeviceSetup(language_id="cs", allowed_gps=False, allowed_notifications=False)'


class _RandomId(str):
    """A generated device id. It is lost when the process ends."""

    __slots__ = ()


def _device_id(value: str | None) -> str:
    return _RandomId(secrets.token_hex(16)) if value is None else value


@frozen(kw_only=True)
class Device:
    """The device an installation runs on (`POST /tokens`).

    Attributes:
        device_id: its unique id, not shown in reprs; `None` makes a random one, whose tokens the token store does not
            keep unless `DeviceToken(remember=True)` says so. One device id serves one identity at a time: a new token
            for the same device and application invalidates the old one.
        device_system: the operating system, such as `Linux`.
        device_name: a name for display, not shown in reprs: phones are often called after their owners.
        device_type: the product line, such as `web`.
    """

    device_id: str = field(default=None, converter=_device_id, validator=require_text, repr=masked)
    device_system: str = field(validator=require_text)
    device_name: str = field(validator=require_text, repr=masked)
    device_type: str = field(validator=require_text)


@frozen(kw_only=True)
class DeviceSetup:
    """The permissions and the language of an installation (`POST /tokens`, `PUT /tokens/{token_id}`).

    Attributes:
        language_id: ISO 639-1 code.
        allowed_gps: whether it may track the position.
        allowed_notifications: whether it may show notifications.
    """

    language_id: str = field(validator=require_text)
    allowed_gps: bool
    allowed_notifications: bool


@frozen(kw_only=True)
class DeviceToken(AuthProvider):
    """An installation of a mobile app, portal or kiosk, with no customer logged in (`POST /tokens`).

    Attributes:
        external_application_id: the id of the external application, from the CareCloud administrator.
        device: what the installation runs on; the token belongs to it.
        setup: language and permissions.
        push_token: the push notification token, if there is one.
        remember: whether the token store keeps the tokens of this installation and of the customers who log in on it.
            Default: true for an explicit device id, false for a random one, because stored sessions cannot be found
            without the id.
    """

    external_application_id: str = field(validator=require_text)
    device: Device = field(validator=require_instance(Device, example=DEVICE_EXAMPLE))
    setup: DeviceSetup = field(validator=require_instance(DeviceSetup, example=SETUP_EXAMPLE))
    push_token: str | None = field(default=None, converter=optional(secret_text), repr=masked)
    remember: bool | None = None

    @property
    def interface(self) -> Interface:
        """The customer interface."""
        return Interface.CUSTOMER

    @property
    def application_id(self) -> str:
        """The external application."""
        return self.external_application_id

    @property
    def identity_key(self) -> str:
        """See `AuthProvider.identity_key`."""
        return digest("device", self.external_application_id, self.device.device_id)

    @property
    def device_key(self) -> str:
        """The application and device, which one identity uses at a time."""
        return self.identity_key

    @property
    def stored(self) -> bool:
        """See `AuthProvider.stored`, and `remember`."""
        return not isinstance(self.device.device_id, _RandomId) if self.remember is None else self.remember

    async def obtain(self, send: Send, previous: Token | None) -> Token:
        """Create the device token; see `AuthProvider.obtain`."""
        return previous or await self.create(send)

    async def create(self, send: Send) -> Token:
        """Create a new token, which invalidates the old one (`POST /tokens`)."""
        body = {"device": asdict(self.device), "external_application_id": self.external_application_id, **self._setup()}
        body = conceal_body(body)  # phones are often called after their owners
        data = await send("POST", "/tokens", json=body)
        return Token(read_token_value(data, "token_id", where="the response to POST /tokens"))

    def _setup(self) -> dict[str, Any]:
        setup: dict[str, Any] = {"setup": asdict(self.setup)}
        if self.push_token is not None:
            setup["push_token"] = self.push_token
        return setup


LOGIN_TYPES = ("email", "phone", "card")
DEVICE_TOKEN_EXAMPLE = f'DeviceToken(external_application_id="…", device={DEVICE_EXAMPLE}, setup={SETUP_EXAMPLE})'

_require_device = require_instance(DeviceToken, example=DEVICE_TOKEN_EXAMPLE)


class _Session(AuthProvider):
    """The base of the identities of customers who are logged in on a device token."""

    __slots__ = ()

    requires_relogin = True

    @property
    def interface(self) -> Interface:
        """The customer interface."""
        return Interface.CUSTOMER

    async def revoke(self, send: Send, token: Token) -> None:
        """Log the customer out; the device token stays valid (`POST /tokens/{token_id}/actions/logout`)."""
        path = "/tokens/{token_id}/actions/logout"
        await send("POST", path, path_params={"token_id": token.value}, bearer=token.value)


class CustomerLogin(_Session):
    """The base of the customer identities that log in on a device token."""

    __slots__ = ()

    device: DeviceToken

    @property
    def application_id(self) -> str:
        """The external application of the device."""
        return self.device.external_application_id

    @property
    def device_key(self) -> str:
        """The device that the customer takes over."""
        return self.device.device_key

    @property
    def stored(self) -> bool:
        """See `AuthProvider.stored`: as for the device."""
        return self.device.stored

    @abstractmethod
    def login_request(self) -> tuple[str, dict[str, Any]]:
        """Return the action below `/tokens/{token_id}/actions/` and its body."""

    async def obtain(self, send: Send, previous: Token | None) -> Token:
        """Log the customer in, on the current device token if the server still accepts it."""
        if previous is not None:
            try:
                return await self._log_in(send, previous)
            except AuthenticationError as error:
                # Either the device token is dead or the customer is refused: only a new token can tell. A token that
                # still serves a customer is not replaced for a wrong password.
                if error.status != 401 or await customer_served(send, previous) is not None:
                    raise
        return await self._log_in(send, await self.device.create(send))

    async def _log_in(self, send: Send, device_token: Token) -> Token:
        action, body = self.login_request()
        data = await send(
            "POST",
            "/tokens/{token_id}/actions/" + action,
            path_params={"token_id": device_token.value},
            json=body,
            bearer=device_token.value,
        )
        return evolve(device_token, customer_id=read_text(data, "customer_id", where="the customer login's response"))


def _known_login_type(_: Any, __: Any, value: str) -> None:
    if value not in LOGIN_TYPES:
        raise ConfigurationError(f"login_type must be one of {', '.join(LOGIN_TYPES)}")


@frozen
class CustomerSession(CustomerLogin):
    """A customer who logs in with a password (`POST /tokens/{token_id}/actions/login`).

    It renews itself: if its token expires or is revoked, the call that finds out logs in again with the password. A
    session that `resume` makes has no password, so that such a call raises `SessionExpiredError`.

    Attributes:
        device: the installation the customer uses. The login binds it: it serves this customer alone until logout.
        login_type: `email`, `phone` or `card`.
        login_value: the e-mail, phone or card number.
        password: the customer's password.
    """

    device: DeviceToken = field(validator=_require_device)
    login_type: str = field(kw_only=True, validator=_known_login_type)
    login_value: str = field(kw_only=True, converter=secret_text, validator=require_text, repr=False)
    password: str = field(kw_only=True, converter=secret_text, validator=require_text, repr=masked)

    @property
    def identity_key(self) -> str:
        """See `AuthProvider.identity_key`; the password is not part of it."""
        return digest("customer", self.device.identity_key, self.login_type, self.login_value)

    @property
    def secret(self) -> str:
        """The password, which is required to use this customer's stored session."""
        return self.password

    def login_request(self) -> tuple[str, dict[str, Any]]:
        """See `CustomerLogin.login_request`."""
        body = {"login_type": self.login_type, "login_value": self.login_value, "password": self.password}
        return "login", body

    @staticmethod
    def resume(*, token_id: str, customer_id: str | None = None) -> ResumedSession:
        """Resume an earlier login from the values that its `login()` returned."""
        return ResumedSession(token_id=token_id, customer_id=customer_id)


@frozen
class SocialNetworkSession(CustomerLogin):
    """A customer who logs in through a social network (`POST /tokens/{token_id}/actions/social-network-login`).

    Attributes:
        device: the installation the customer uses.
        social_network_id: the network's id in CareCloud.
        social_network_token: the customer's token from that network.
    """

    device: DeviceToken = field(validator=_require_device)
    social_network_id: str = field(kw_only=True, validator=require_text)
    social_network_token: str = field(kw_only=True, converter=secret_text, validator=require_text, repr=masked)

    @property
    def identity_key(self) -> str:
        """See `AuthProvider.identity_key`; customers are distinguished by the digest of the network's token."""
        return digest("social", self.device.identity_key, self.social_network_id, self.social_network_token)

    def login_request(self) -> tuple[str, dict[str, Any]]:
        """See `CustomerLogin.login_request`."""
        credentials = {
            "social_network_id": self.social_network_id,
            "social_network_token": self.social_network_token,
        }
        return "social-network-login", {"social_network_credentials": credentials}


@frozen
class AuthenticationTokenSession(CustomerLogin):
    """A customer handed over by another application (`POST /tokens/{token_id}/actions/authentication-token-login`).

    Attributes:
        device: the installation the customer uses here.
        token: the authentication token, from `GET /tokens/{token_id}/actions/auth-token` in the other application.
        token_request_id: the id of the request that issued it.
        destination_application_id: the application that it was issued for; the device's own if left out.
    """

    device: DeviceToken = field(validator=_require_device)
    token: str = field(kw_only=True, converter=secret_text, validator=require_text, repr=masked)
    token_request_id: str = field(kw_only=True, validator=require_text, repr=masked)
    destination_application_id: str | None = field(kw_only=True, default=None)

    @property
    def identity_key(self) -> str:
        """See `AuthProvider.identity_key`; customers are distinguished by the digest of the given token."""
        return digest("auth-token", self.device.identity_key, self.token_request_id, self.token)

    def login_request(self) -> tuple[str, dict[str, Any]]:
        """See `CustomerLogin.login_request`."""
        body = {
            "application_id": self.destination_application_id or self.device.external_application_id,
            "token": self.token,
            "token_request_id": self.token_request_id,
        }
        return "authentication-token-login", body


@frozen(kw_only=True)
class ResumedSession(_Session):
    """An earlier customer login; made by `CustomerSession.resume`. It cannot be renewed.

    Attributes:
        token_id: the bound device token.
        customer_id: the customer it is bound to.
    """

    renewable = False

    token_id: str = field(converter=secret_text, validator=require_text, repr=masked)
    customer_id: str | None = None

    @property
    def identity_key(self) -> str:
        """See `AuthProvider.identity_key`; the customer is part of it, since a device token may serve others later."""
        return digest("resumed", self.token_id, self.customer_id or "")

    async def obtain(self, send: Send, previous: Token | None) -> Token:
        """Return the given token without a request; with `previous` (at `login()`) ask the server whose token it is.

        Raises:
            SessionExpiredError: it is no longer bound to a customer.
        """
        if previous is None:
            return Token(self.token_id, customer_id=self.customer_id)
        customer_id = await customer_served(send, previous)
        if customer_id is None or (self.customer_id is not None and customer_id != self.customer_id):
            raise session_over()
        return Token(self.token_id, customer_id=customer_id)


async def customer_served(send: Send, token: Token) -> str | None:
    """Return the customer that a device token is bound to, or `None` if it is unbound or dead (`GET /customers`).

    Raises:
        ResponseError: the answer does not say.
    """
    try:
        data = await send("GET", "/customers", bearer=token.value)
    except AuthenticationError as error:
        if error.status in {401, 403, 404}:
            return None
        raise
    try:
        customers = list_of(data or [], "customers")
    except Malformed as error:
        raise ResponseError(f"GET /customers: {error}") from None
    return read_text(customers[0], "customer_id", where="the answer to GET /customers") if customers else None
