"""IdentityRegistry: the tokens of each identity of one client; no device may serve two identities.

Those in use are found through the views that hold them. Idle ones are kept for a while and then dropped; their
tokens come back from the token store, where the identity is stored.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from weakref import WeakValueDictionary

from attrs import frozen

from carecloud_async._calls.auth.provider import AuthProvider
from carecloud_async._calls.auth.secret import keyed_digest
from carecloud_async._calls.auth.tokens import Tokens
from carecloud_async.errors import ConfigurationError

#: The default number of identities, in use or idle, that keep their token in memory.
MAX_SESSIONS = 1024


@frozen(eq=False)
class IdentityHandle:
    """Shared by the views of one identity: as long as one of them lives, the identity owns its device.

    Attributes:
        tokens: the identity's tokens.
        device_key: the device it owns, if any.
        identity_key: the provider's own key.
    """

    tokens: Tokens
    device_key: str | None
    identity_key: str


class IdentityRegistry:
    """The identities of one client.

    Args:
        make_tokens: makes the tokens of an identity.
        max_sessions: how many identities keep their token; the least recently used idle ones are dropped first.
    """

    def __init__(self, make_tokens: Callable[[AuthProvider], Tokens], *, max_sessions: int = MAX_SESSIONS) -> None:
        self._make_tokens = make_tokens
        self._max_sessions = max_sessions
        self._handles: WeakValueDictionary[Hashable, IdentityHandle] = WeakValueDictionary()
        self._device_owners: WeakValueDictionary[str, IdentityHandle] = WeakValueDictionary()
        #: Those of idle identities too, most recently used last.
        self._tokens: OrderedDict[Hashable, Tokens] = OrderedDict()

    def acquire(self, provider: AuthProvider) -> IdentityHandle:
        """Return the handle of an identity, the same one for equal identities in use whose session has not ended.

        Raises:
            ConfigurationError: the identity's device already serves another one.
        """
        self._check_device(provider.device_key, provider.identity_key)
        key = self._key(provider)
        handle = self._handles.get(key)
        if handle is None or _is_over(handle.tokens):
            tokens = self._tokens.get(key)
            if tokens is None or _is_over(tokens):
                tokens = self._make_tokens(provider)
            handle = self._handles[key] = IdentityHandle(tokens, provider.device_key, provider.identity_key)
        self.claim(handle)
        handle.tokens.adopt(provider)
        self._tokens[key] = handle.tokens
        self._tokens.move_to_end(key)
        if len(self._tokens) > self._max_sessions:
            self._tokens.popitem(last=False)
        return handle

    def claim(self, handle: IdentityHandle) -> None:
        """Make an identity the owner of its device; again, when it logs in after a logout.

        Raises:
            ConfigurationError: the device serves another one.
        """
        self._check_device(handle.device_key, handle.identity_key)
        if handle.device_key is not None:
            self._device_owners[handle.device_key] = handle

    def release(self, handle: IdentityHandle) -> None:
        """Free the device of an identity that was logged out."""
        if handle.device_key is not None and self._device_owners.get(handle.device_key) is handle:
            del self._device_owners[handle.device_key]

    def _check_device(self, device_key: str | None, identity_key: str) -> None:
        owner = None if device_key is None else self._device_owners.get(device_key)
        if owner is not None and owner.identity_key != identity_key:
            raise ConfigurationError(
                "this device already serves another identity of this client, and a login would take its token over: "
                "give each customer and each installation its own device_id (Device(device_id=None, …) makes a random "
                "one), or log the other one out first"
            )

    @staticmethod
    def _key(provider: AuthProvider) -> Hashable:
        # Equal identities with different secrets must not share a token: one of them may be a guess. Two callables may
        # return different secrets.
        secret = provider.secret
        if isinstance(secret, str):
            return provider.identity_key, keyed_digest(secret)
        return provider.identity_key, _hashable(secret)


def _is_over(tokens: Tokens) -> bool:
    """Return whether a resumed session has ended for the views that have it.

    The customer may log in again on the same token: a session that is resumed after that is another.
    """
    return tokens.ended and not tokens.provider.renewable


def _hashable(fetch: Hashable) -> Hashable:
    try:
        hash(fetch)
    except TypeError:
        return id(fetch)  # the tokens keep the object, so that no other one gets its id
    return fetch
