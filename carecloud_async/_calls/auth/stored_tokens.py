"""The tokens of one identity in the store, and where in the store a client's tokens are."""

from __future__ import annotations

import logging
from collections import OrderedDict
from contextlib import AbstractAsyncContextManager

from carecloud_async._base.runtime.event_loops import await_uninterrupted
from carecloud_async._base.runtime.secret_text import plain_text
from carecloud_async._calls.auth.provider import AuthProvider
from carecloud_async._calls.auth.secret import Secret, digest, hash_secret, resolve_secret, verify_secret
from carecloud_async._calls.auth.stores.base import BestEffortStore, StoredToken, TokenStore
from carecloud_async._calls.auth.token import Token, is_header_safe
from carecloud_async.errors import TokenStoreError

__all__ = ["DEVICE_KEEP_SECONDS", "SAVE_SECONDS", "SESSION_KEEP_SECONDS", "StoredTokenIndex", "StoredTokens"]

_log = logging.getLogger("carecloud_async.auth")

#: A stored token with a shorter remaining lifetime is not used, in seconds.
MIN_LIFETIME_LEFT = 1.0
#: How long saving a new token may take after its caller was cancelled, in seconds.
SAVE_SECONDS = 5.0
#: How long the store keeps an unused token that does not end by time, in seconds: a customer's session, and a device's
#: token. A client that is in use renews that time.
SESSION_KEEP_SECONDS = 30 * 24 * 3600.0
DEVICE_KEEP_SECONDS = 365 * 24 * 3600.0
#: The number of tokens whose keys one client remembers; the records of older ones end with their time to live.
MAX_INDEXED_TOKENS = 16_384


class StoredTokenIndex:
    """The store keys of the tokens that one client has saved or loaded, by digests of the tokens.

    A session may be logged out through a view that knows only its token (`CustomerSession.resume`), while its record is
    stored under the key of the identity that logged in.
    """

    def __init__(self) -> None:
        self._keys: OrderedDict[str, frozenset[str]] = OrderedDict()

    def add(self, value: str, key: str) -> None:
        """Remember that the record under `key` holds the token `value`."""
        name = digest(value)
        self._keys[name] = self._keys.get(name, frozenset()) | {key}
        self._keys.move_to_end(name)
        if len(self._keys) > MAX_INDEXED_TOKENS:
            self._keys.popitem(last=False)

    def pop(self, value: str) -> frozenset[str]:
        """Return the keys of a token's records, and forget them."""
        return self._keys.pop(digest(value), frozenset())


class StoredTokens:
    """The records of one identity in the store; none if its tokens are not stored.

    Args:
        provider: the identity.
        key: its key in the store.
        store: where tokens are kept.
        index: the records that this client's identities have in the store.

    Attributes:
        provider: the identity; an equal one with other settings may take its place.
    """

    def __init__(self, provider: AuthProvider, *, key: str, store: TokenStore, index: StoredTokenIndex) -> None:
        self.provider: AuthProvider = provider
        self._key = key
        self._store = store if provider.device_key is not None else BestEffortStore(store)
        self._index = index

    @property
    def keep_seconds(self) -> float:
        """How long the store keeps an unused token that does not end by time."""
        return SESSION_KEEP_SECONDS if self.provider.requires_relogin else DEVICE_KEEP_SECONDS

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Return the lock under which one process at a time logs in."""
        return self._store.lock(self._key)

    async def load(self) -> StoredToken | None:
        """Return the record, which renews its time to live; `None` if there is none that can be used."""
        stored = await self._store.load(self._key)
        if stored is not None and not is_header_safe(stored.value):
            _log.warning("the token store holds a token that no header can carry: going on without it")
            return None
        return stored

    async def is_usable(self, stored: StoredToken, *, current: Token | None) -> bool:
        """Return whether a stored token is not the current one, lasts long enough, and is of the same credentials."""
        if current is not None and stored.value == current.value:
            return False
        # In this form, a NaN counts as ended, since it fails every comparison.
        lasts = stored.expires_in is None or stored.expires_in > MIN_LIFETIME_LEFT
        return lasts and await self.is_ours(stored)

    async def is_ours(self, stored: StoredToken) -> bool:
        """Return whether a record was made with the identity's present secret; false if it cannot be fetched."""
        if self.provider.secret is None:
            return True
        secret = await self._fetch_secret(self.provider.secret)
        return secret is not None and await verify_secret(stored.secret_hash, secret)

    def note(self, value: str) -> None:
        """Remember that the record holds this token."""
        self._index.add(value, self._key)

    async def save(self, token: Token, seconds: float | None) -> None:
        """Store a token. A store that fails is logged: the token is valid, but other processes will not find it.

        Args:
            seconds: its lifetime; `None` if it does not end by time.
        """
        provider = self.provider
        if not provider.stored:
            return
        secret_hash = None
        if provider.secret is not None:
            secret = await self._fetch_secret(provider.secret)
            if secret is None:
                return
            secret_hash = await hash_secret(secret, shared=self._store.shared)
        record = StoredToken(
            value=token.value,
            expires_in=seconds,
            customer_id=token.customer_id,
            secret_hash=secret_hash,
            keep_for=self.keep_seconds if seconds is None else None,
        )
        self.note(token.value)
        try:
            await self._store.save(self._key, record)
        except TokenStoreError as error:
            _log.warning("token obtained but not saved: %s", error)

    async def _fetch_secret(self, secret: Secret) -> str | None:
        try:
            return await resolve_secret(secret)
        except Exception as error:  # noqa: BLE001  (the user's code; a login that needs the secret raises its error)
            _log.warning("the token store is not used: fetching the password failed with %s", type(error).__name__)
            return None

    async def discard(self, token: Token) -> None:
        """Discard the records of a token, under whichever identity of this client they were saved."""
        keys = self._index.pop(token.value)
        if self.provider.stored:
            keys |= {self._key}

        async def discard() -> None:
            for key in keys:
                await self._store.discard(key, plain_text(token.value))

        await await_uninterrupted(discard, seconds=SAVE_SECONDS)
