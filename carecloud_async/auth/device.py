"""DeviceToken: an app installation, identified by its device."""

from __future__ import annotations

import secrets
from typing import Any

from attrs import asdict, field, frozen

from carecloud_async.auth.provider import AuthProvider, Send, digest, require_instance
from carecloud_async.auth.secret import masked, optional_secret_text, require_text
from carecloud_async.auth.token import Token, require_header_safe
from carecloud_async.errors import ResponseError
from carecloud_async.project import Interface

__all__ = ["Device", "DeviceSetup", "DeviceToken"]

DEVICE_EXAMPLE = 'Device(device_id="…", device_system="…", device_name="…", device_type="…")'
SETUP_EXAMPLE = 'DeviceSetup(language_id="cs", allowed_gps=False, allowed_notifications=False)'


class _RandomId(str):
    """A device id that this process made up: no other one can know it."""

    __slots__ = ()


def _device_id(value: str | None) -> str:
    return _RandomId(secrets.token_hex(16)) if value is None else value


def _require_device(instance: Any, attribute: Any, value: Any) -> None:
    require_instance(instance, attribute, value, kind=Device, example=DEVICE_EXAMPLE)


def _require_setup(instance: Any, attribute: Any, value: Any) -> None:
    require_instance(instance, attribute, value, kind=DeviceSetup, example=SETUP_EXAMPLE)


@frozen(kw_only=True)
class Device:
    """The device an installation runs on (`POST /tokens`).

    Attributes:
        device_id: its unique id, not shown in reprs; `None` makes a random one, whose tokens the token store does not
            keep unless `DeviceToken(remember=True)` says so. One device id serves one identity at a time: a new token
            for the same device and application kills the old one.
        device_system: the operating system.
        device_name: a name for people.
        device_type: the product line.
    """

    device_id: str = field(default=None, converter=_device_id, validator=require_text, repr=masked)
    device_system: str = field(validator=require_text)
    device_name: str = field(validator=require_text)
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
        device: the device.
        setup: language and permissions.
        push_token: the push notification token, if there is one.
        remember: whether the token store keeps the tokens of this installation and of the customers who log in on it.
            Left out: for a device id of your own, but not for a random one. A random device ends with the object that
            holds it, and no other could find its stored sessions; say `True` if you keep the object or its id.
    """

    external_application_id: str = field(validator=require_text)
    device: Device = field(validator=_require_device)
    setup: DeviceSetup = field(validator=_require_setup)
    push_token: str | None = field(default=None, converter=optional_secret_text, repr=masked)
    remember: bool | None = field(default=None, eq=False)

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
        """The application and device, which one identity holds at a time."""
        return self.identity_key

    @property
    def device_is_shared(self) -> bool:
        """See `AuthProvider.device_is_shared`: not if this process made its id up and no token store keeps it."""
        return self.stored or not isinstance(self.device.device_id, _RandomId)

    @property
    def stored(self) -> bool:
        """See `AuthProvider.stored`, and `remember`."""
        return not isinstance(self.device.device_id, _RandomId) if self.remember is None else self.remember

    async def obtain(self, send: Send, previous: Token | None) -> Token:
        """Create the device token; see `AuthProvider.obtain`."""
        return previous or await self.create(send)

    async def create(self, send: Send) -> Token:
        """Create a new token, which kills the device's last one (`POST /tokens`)."""
        body: dict[str, Any] = {
            "device": asdict(self.device),
            "setup": asdict(self.setup),
            "external_application_id": self.external_application_id,
        }
        if self.push_token is not None:
            body["push_token"] = self.push_token
        data = await send("POST", "/tokens", json=body)
        value = data.get("token_id")
        if not isinstance(value, str) or not value:
            raise ResponseError("the response to POST /tokens holds no token_id")
        return Token(require_header_safe(value, where="the response to POST /tokens"))
