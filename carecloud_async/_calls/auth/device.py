"""DeviceToken: an app installation, identified by its device."""

from __future__ import annotations

import os
import secrets
from typing import Any

from attrs import asdict, field, frozen

from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.secret_text import conceal_body
from carecloud_async._calls.auth.provider import AuthProvider, Send, digest, require_instance
from carecloud_async._calls.auth.secret import masked, optional_secret_text, require_text
from carecloud_async._calls.auth.token import Token, read_token_value
from carecloud_async.errors import AuthenticationError, CareCloudError

__all__ = ["Device", "DeviceSetup", "DeviceToken"]

DEVICE_EXAMPLE = 'Device(device_id="…", device_system="…", device_name="…", device_type="…")'
SETUP_EXAMPLE = 'DeviceSetup(language_id="cs", allowed_gps=False, allowed_notifications=False)'


class _RandomId(str):
    """A generated device id, which only the process that drew it and those forked from it can know.

    Attributes:
        process: the process that drew it.
    """

    __slots__ = ("process",)
    process: int

    @property
    def is_shared(self) -> bool:
        """Whether this process was forked from the one that drew it, so that its other children have it too."""
        return self.process != os.getpid()


def _device_id(value: str | None) -> str:
    if value is not None:
        return value
    drawn = _RandomId(secrets.token_hex(16))
    drawn.process = os.getpid()
    return drawn


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
    push_token: str | None = field(default=None, converter=optional_secret_text, repr=masked)
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
    def device_is_shared(self) -> bool:
        """See `AuthProvider.device_is_shared`: false for an id of this process alone that no token store keeps."""
        drawn = self.device.device_id
        return self.stored or not isinstance(drawn, _RandomId) or drawn.is_shared

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

    async def has_lost(self, send: Send, token: Token) -> bool:
        """Return whether the server calls a token dead that `create` has just made; false if it does not say.

        The token's own setup is written to it again (`PUT /tokens/{token_id}`): no read needs only a device.
        """
        path_params = {"token_id": token.value}
        try:
            await send("PUT", "/tokens/{token_id}", json=self._setup(), path_params=path_params, bearer=token.value)
        except CareCloudError as error:
            return isinstance(error, AuthenticationError) and error.status == 401
        return False

    def _setup(self) -> dict[str, Any]:
        setup: dict[str, Any] = {"setup": asdict(self.setup)}
        if self.push_token is not None:
            setup["push_token"] = self.push_token
        return setup
