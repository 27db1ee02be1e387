"""IdentityRegistry: which token manager serves whom on one client, and that no device serves two.

Managers in use are found through the views that hold them. Idle ones are kept for a while and then let go; they come
back from the token store.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakValueDictionary

from attrs import define

from carecloud_async.auth.manager import TokenManager
from carecloud_async.auth.provider import AuthProvider
from carecloud_async.errors import ConfigurationError

#: How many idle identities keep their token at hand.
IDLE_MANAGERS = 1024


@define(eq=False, weakref_slot=True)
class IdentityHandle:
    """A view's hold on its identity. While one view has it, the identity owns its device.

    Attributes:
        manager: the identity's tokens.
        key: the identity within this client.
        device_key: the device it owns, if any.
        identity_key: the provider's own key.
    """

    manager: TokenManager
    key: str
    device_key: str | None
    identity_key: str


class IdentityRegistry:
    """The identities of one client.

    Args:
        make_manager: makes the manager of an identity that is not at hand.
    """

    def __init__(self, make_manager: Callable[[AuthProvider], TokenManager]) -> None:
        self._make_manager = make_manager
        self._salt = secrets.token_bytes(16)
        self._seats: WeakValueDictionary[str, IdentityHandle] = WeakValueDictionary()
        self._devices: WeakValueDictionary[str, IdentityHandle] = WeakValueDictionary()
        self._idle: OrderedDict[str, TokenManager] = OrderedDict()

    def seat(self, provider: AuthProvider) -> IdentityHandle:
        """Return the seat of an identity, the same one for equal identities in use.

        Raises:
            ConfigurationError: the identity's device already serves another one.
        """
        key = self._key(provider)
        self._check_device(provider)
        seat = self._seats.get(key)
        if seat is None:
            manager = self._idle.get(key) or self._make_manager(provider)
            seat = IdentityHandle(manager, key, provider.device_key, provider.identity_key)
            self._seats[key] = seat
        if seat.device_key is not None:
            self._devices[seat.device_key] = seat
        seat.manager.adopt(provider)
        self._keep(key, seat.manager)
        return seat

    def claim(self, seat: IdentityHandle) -> None:
        """Take the device again, for an identity that logs in after a logout.

        Raises:
            ConfigurationError: the device serves another one by now.
        """
        if seat.device_key is not None:
            self._check_device(seat.manager.provider)
            self._devices[seat.device_key] = seat

    def release(self, seat: IdentityHandle) -> None:
        """Free the device of an identity that was logged out."""
        if seat.device_key is not None and self._devices.get(seat.device_key) is seat:
            del self._devices[seat.device_key]

    def _key(self, provider: AuthProvider) -> str:
        # Equal identities with different secrets must not share a token: one of them may be a guess.
        if provider.secret is None:
            return provider.identity_key
        mark = hmac.new(self._salt, provider.secret.encode(), hashlib.sha256).hexdigest()[:16]
        return f"{provider.identity_key}:{mark}"

    def _check_device(self, provider: AuthProvider) -> None:
        if provider.device_key is None:
            return
        holder = self._devices.get(provider.device_key)
        if holder is not None and holder.identity_key != provider.identity_key:
            raise ConfigurationError(
                "this device already serves another identity of this client, and a login would take its token over: "
                "give each customer and each installation its own device_id (Device(device_id=None, …) makes a random "
                "one), or log the other one out first"
            )

    def _keep(self, key: str, manager: TokenManager) -> None:
        self._idle[key] = manager
        self._idle.move_to_end(key)
        if len(self._idle) > IDLE_MANAGERS:
            self._idle.popitem(last=False)
