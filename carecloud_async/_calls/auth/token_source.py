"""TokenSource: where the tokens of one identity come from: the store, which other processes share, or a login."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar
from zoneinfo import ZoneInfo

import anyio
from attrs import evolve

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.event_loops import await_uninterrupted
from carecloud_async._base.runtime.secret_text import plain_text
from carecloud_async._calls.auth.provider import AuthProvider, Login
from carecloud_async._calls.auth.secret import Secret, digest, hash_secret, resolve_secret, verify_secret
from carecloud_async._calls.auth.stores import StoredToken, TokenStore
from carecloud_async._calls.auth.token import (
    ActiveToken,
    Token,
    activate,
    is_header_safe,
    lifetime,
    valid_to_utc,
)
from carecloud_async._calls.http.network import NETWORK_PACKAGES
from carecloud_async.errors import CareCloudError, ConfigurationError, DeviceTokenConflictError, TokenStoreError

__all__ = ["StoredTokenIndex", "TokenSource"]

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.auth")

#: A stored token with a shorter remaining lifetime is not used, in seconds.
MIN_LIFETIME_LEFT = 1.0
#: How long a login that can do without the store waits for its lock, in seconds; at most half of the caller's time.
LOCK_SECONDS = 20.0
#: How long saving a new token may take after its caller was cancelled, in seconds.
SAVE_SECONDS = 5.0
#: How long the store keeps a token that does not end by time after its login, in seconds: that of a device, and of a
#: customer who is logged in on it.
KEEP_SECONDS = 90 * 24 * 3600.0
#: The number of tokens whose keys one client remembers; the records of older ones end with their time to live.
MAX_INDEXED_TOKENS = 16_384
#: A device token that had to be recreated twice within this many seconds is probably also used elsewhere.
CONFLICT_SECONDS = 60.0

_CONFLICT = (
    "the server refused this device's token twice within a minute: either another program creates tokens for the same "
    "device_id and application, or the token was logged out or revoked. In the first case share one token store "
    "(FileTokenStore, RedisTokenStore) between the processes, or give each its own device_id (all workers have the "
    "random one of a Device that was made before the fork: make the Device after the fork); otherwise try again in a "
    "minute, and if it lasts, ask the CareCloud administrator whether the application may create tokens"
)


class StoredTokenIndex:
    """The store keys of the tokens that one client has saved or loaded, by digests of the tokens.

    A session may be logged out through a view that knows only its token (`CustomerSession.resume`), while its record is
    stored under the key of the identity that logged in.
    """

    def __init__(self) -> None:
        self._keys: OrderedDict[str, str] = OrderedDict()

    def add(self, value: str, key: str) -> None:
        """Remember that the record under `key` holds the token `value`."""
        name = digest(value)
        self._keys[name] = key
        self._keys.move_to_end(name)
        if len(self._keys) > MAX_INDEXED_TOKENS:
            self._keys.popitem(last=False)

    def pop(self, value: str) -> str | None:
        """Return the key of a token's record, and forget it."""
        return self._keys.pop(digest(value), None)


class TokenSource:
    """The tokens of one identity: its record in the store, if its tokens are stored, and its logins.

    An identity without a device can always log in again: then a failure of the store is logged, and causes a login. A
    store that has failed under its lock is not asked again under that lock, so that one that does not answer costs a
    login its timeout once.

    Args:
        provider: the identity.
        key: its key in the store.
        store: where tokens are kept.
        index: the records that this client's identities have in the store.
        begin_login: makes what sends the requests of one login; the argument says whether failures are retried by the
            client's policy.
        zone: the project's time zone.

    Attributes:
        provider: the identity; an equal one with other settings may take its place.
        replaced_at: when a login last replaced a refused token, on the monotonic clock.
    """

    def __init__(
        self,
        provider: AuthProvider,
        *,
        key: str,
        store: TokenStore,
        index: StoredTokenIndex,
        begin_login: Callable[[bool], Login],
        clock: Clock,
        zone: ZoneInfo,
    ) -> None:
        self.provider: AuthProvider = provider
        self._key = key
        self._store = store
        self._index = index
        self._begin_login = begin_login
        self._clock = clock
        self._zone = zone
        self._of_device = provider.device_key is not None
        self._store_failed = False
        self.replaced_at: float = -math.inf
        self._warned: set[str] = set()

    async def obtain(self, *, current: Token | None, rejected: str | None, forced: bool, patient: bool) -> ActiveToken:
        """Return another token than the rejected and the current one: that of another process, or of a login.

        Args:
            current: the last token that the server has not refused, if any.
            rejected: the value that the server refused last, if that is the reason.
            forced: whether to log in although there is a token, so that the server checks the credentials.
            patient: whether a login that fails may be repeated.
        """
        async with self._lock():
            stored = await self._load()
            if stored is not None and stored.value == rejected:
                stored = None
            if not forced and stored is not None and await self._is_usable(stored, current=current):
                self._index.add(stored.value, self._key)
                token = Token(stored.value, expires_in=stored.expires_in, customer_id=stored.customer_id)
                return activate(token, seconds=stored.expires_in, start=self._clock.monotonic())
            if current is None and stored is not None:
                current = Token(stored.value, customer_id=stored.customer_id)
            if current is None and forced and not self.provider.renewable:
                current = await self.find()
            return await self._log_in(current, replaces=rejected is not None and not forced, patient=patient)

    async def find(self) -> Token | None:
        """Return the token that this identity has without a login, if any."""
        if not self.provider.renewable:
            # An identity that cannot be renewed holds its own token: a stored copy could only be older.
            return await self.provider.obtain(self._begin_login(False), None)
        stored = await self._load()
        if stored is None or not await self._is_ours(stored):
            return None
        return Token(stored.value, customer_id=stored.customer_id)

    async def log_out(self, token: Token) -> None:
        """Forget the token, so that it is not used again, and revoke it at the server."""
        try:
            await self.forget(token)
        finally:
            await self.provider.revoke(self._begin_login(True), token)

    async def forget(self, token: Token) -> None:
        """Discard the record of a token, under whichever identity of this client it was saved."""
        key = self._index.pop(token.value) or self._key
        discard = partial(self._store.discard, key, plain_text(token.value))
        await await_uninterrupted(partial(self._ask_store, discard), seconds=SAVE_SECONDS)
        self._store_failed = False

    async def _log_in(self, previous: Token | None, *, replaces: bool, patient: bool) -> ActiveToken:
        if replaces and self._of_device and self._clock.monotonic() - self.replaced_at < CONFLICT_SECONDS:
            raise DeviceTokenConflictError(_CONFLICT)
        login = self._begin_login(patient)
        token = await self._ask_provider(login, previous)
        if replaces:
            self.replaced_at = self._clock.monotonic()
        start, seconds = self._lifetime(token, login)
        end = valid_to_utc(token.valid_to, zone=self._zone, after=login.server_date)
        if end is not None:  # the answer's `Date` tells which of the two instants of an autumn hour it is
            token = evolve(token, valid_to=end)
        # From here on the token exists at the server. If a cancellation lost it, the next caller would need a login,
        # and a device would lose its token.
        await await_uninterrupted(lambda: self._save(token, seconds), seconds=SAVE_SECONDS)
        return activate(token, seconds=seconds, start=start)

    async def _ask_provider(self, login: Login, previous: Token | None) -> Token:
        name = type(self.provider).__name__
        try:
            token = await self.provider.obtain(login, previous)
        except CareCloudError:
            raise
        except Exception as error:
            if not _looks_like_transport(error):
                raise
            # Converted, because the call that waits for this login would take it for a failure of its own connection.
            raise CareCloudError(
                f"{name}: the code that fetches its credentials failed with {type(error).__name__} (the __cause__ of "
                "this error); no login was sent"
            ) from error
        if not isinstance(token, Token):
            raise ConfigurationError(f"{name}.obtain() must return a Token")
        return token

    def _lifetime(self, token: Token, login: Login) -> tuple[float, float | None]:
        """Return when the token's lifetime began, on the monotonic clock, and the seconds that it had then."""
        date = login.server_date
        # `Date` may be as old as the request; a lifetime that the provider measured itself counts from now.
        if login.sent_at is not None and date is not None and token.expires_in is None:
            start = login.sent_at
        else:
            start = self._clock.monotonic()
        if not token.ends:
            return start, None
        now = datetime.fromtimestamp(self._clock.time(), UTC)
        seconds, problem = lifetime(token, zone=self._zone, date=date, now=now)
        if problem is not None and problem not in self._warned:
            self._warned.add(problem)
            _log.warning("token lifetime unknown: %s; taking %.0f seconds", problem, seconds)
        return start, seconds

    @asynccontextmanager
    async def _lock(self) -> AsyncIterator[None]:
        """Hold the store's lock, under which one process at a time logs in."""
        async with AsyncExitStack() as stack:
            if self.provider.stored:
                await self._ask_store(partial(self._enter_lock, stack))
            try:
                yield
            finally:
                self._store_failed = False

    async def _enter_lock(self, stack: AsyncExitStack) -> None:
        left = anyio.current_effective_deadline() - anyio.current_time()
        # A process that was stopped, or whose event loop is blocked, may hold it without end.
        seconds = math.inf if self._of_device else min(LOCK_SECONDS, left / 2)
        with anyio.move_on_after(seconds) as scope:
            await stack.enter_async_context(self._store.lock(self._key))
        if scope.cancelled_caught:
            raise TokenStoreError(f"its lock was held by another process for {seconds:g} seconds")

    async def _ask_store(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Ask the store, unless it has failed under this lock; `None` if it fails and the identity can do without."""
        if self._store_failed:
            return None
        try:
            return await work()
        except TokenStoreError as error:
            if self._of_device:
                raise
            self._store_failed = True
            _log.warning("token store unusable, logging in without it: %s", error)
            return None

    async def _load(self) -> StoredToken | None:
        """Return the record; `None` if there is none that can be used."""
        if not self.provider.stored:
            return None
        stored = await self._ask_store(partial(self._store.load, self._key))
        if stored is not None and not is_header_safe(stored.value):
            _log.warning("the token store holds a token that no header can carry: going on without it")
            return None
        return stored

    async def _is_usable(self, stored: StoredToken, *, current: Token | None) -> bool:
        """Return whether a stored token is not the current one, lasts long enough, and is of the same credentials."""
        if current is not None and stored.value == current.value:
            return False
        # In this form, a NaN counts as ended, since it fails every comparison.
        lasts = stored.expires_in is None or stored.expires_in > MIN_LIFETIME_LEFT
        return lasts and await self._is_ours(stored)

    async def _is_ours(self, stored: StoredToken) -> bool:
        """Return whether a record was made with the identity's present secret; false if it cannot be fetched."""
        if self.provider.secret is None:
            return True
        secret = await _fetch(self.provider.secret)
        return secret is not None and await verify_secret(stored.secret_hash, secret)

    async def _save(self, token: Token, seconds: float | None) -> None:
        """Store a token. A store that fails is logged: the token is valid, but other processes will not find it.

        Args:
            seconds: its lifetime; `None` if it does not end by time.
        """
        provider, secret_hash = self.provider, None
        if not provider.stored:
            return
        if provider.secret is not None:
            secret = await _fetch(provider.secret)
            if secret is None:
                return
            secret_hash = await hash_secret(secret, shared=self._store.shared)
        record = StoredToken(
            value=token.value,
            expires_in=seconds,
            customer_id=token.customer_id,
            secret_hash=secret_hash,
            keep_for=KEEP_SECONDS if seconds is None else None,
        )
        self._index.add(record.value, self._key)
        if self._store_failed:
            return
        try:
            await self._store.save(self._key, record)
        except TokenStoreError as error:
            _log.warning("token obtained but not saved: %s", error)


async def _fetch(secret: Secret) -> str | None:
    try:
        return await resolve_secret(secret)
    except Exception as error:  # noqa: BLE001  (the user's code; a login that needs the secret raises its error)
        _log.warning("the token store is not used: fetching the password failed with %s", type(error).__name__)
        return None


def _looks_like_transport(error: Exception) -> bool:
    roots = {cls.__module__.partition(".")[0] for cls in type(error).__mro__}
    return isinstance(error, OSError) or bool(roots & NETWORK_PACKAGES)
