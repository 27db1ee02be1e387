"""One renewal of one identity's token: look into the store under its lock, else log in, then save."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import anyio

from carecloud_async.auth import secret_proof
from carecloud_async.auth.active_token import ActiveToken, RenewalWindows, lease
from carecloud_async.auth.login_backoff import refuses_login
from carecloud_async.auth.provider import AuthProvider, Send
from carecloud_async.auth.stores.base import StoredToken, TokenStore
from carecloud_async.auth.stores.best_effort import BestEffortStore
from carecloud_async.auth.token import Token, lifetime
from carecloud_async.errors import CareCloudError, ConfigurationError, DeviceTokenConflictError, TokenStoreError
from carecloud_async.runtime.clock import Clock

_log = logging.getLogger("carecloud_async.auth")

#: A device token that had to be recreated twice within this many seconds has another holder.
CONFLICT_SECONDS = 60.0
#: A stored token with less than this left is not worth taking, in seconds.
MIN_REST = 1.0
#: How long a token that was just obtained may take to be saved although its caller was cancelled, in seconds.
SAVE_SECONDS = 5.0


class Sender(Send, Protocol):
    """A `Send` that remembers when its last request left and what the other side's clock then showed."""

    sent_at: float
    date: datetime | None


class TokenRefresher:
    """Obtains tokens for one identity.

    Args:
        provider: the identity.
        key: its key in the store.
        store: where tokens are kept.
        sender: makes a `Sender`; one that repeats what fails, or one that tries once.
        clock: the clock.
        zone: the project's time zone.
        windows: when to renew.
    """

    def __init__(
        self,
        provider: AuthProvider,
        *,
        key: str,
        store: TokenStore,
        sender: Callable[[bool], Sender],
        clock: Clock,
        zone: ZoneInfo,
        windows: RenewalWindows,
    ) -> None:
        self.provider = provider
        self._key = key
        self._store = store if provider.device_key is not None else BestEffortStore(store)
        self._sender = sender
        self._clock = clock
        self._zone = zone
        self._windows = windows
        self._forced_at: float | None = None
        self._warned: set[str] = set()

    async def renew(self, *, rejected: str | None, current: Token | None, patient: bool) -> ActiveToken:
        """Return a token that is neither the rejected nor the current one: another process's, or a new one.

        Args:
            rejected: the token value that the server refused, if that is the reason.
            current: the token at hand, if it is still good.
            patient: whether a login that fails may be repeated.
        """
        if not self._provider_uses_store():
            return await self._obtain(rejected=rejected, previous=current, patient=patient)
        async with self._store.lock(self._key):
            stored = await self._store.load(self._key)
            if stored is not None and stored.value != rejected:
                if self._is_newer(stored, current) and await self._is_ours(stored):
                    return self._lease_stored(stored)
                current = current or Token(stored.value, customer_id=stored.customer_id)
            return await self._obtain(rejected=rejected, previous=current, patient=patient)

    async def log_in(self, *, rejected: str | None, current: Token | None) -> ActiveToken:
        """Log in now, whatever is stored: the server checks the credentials.

        Args:
            rejected: the token value that the server refused last.
            current: the last token, if there is one.
        """
        if not self._provider_uses_store():
            return await self._obtain(rejected=None, previous=current or await self.kept(), patient=True)
        async with self._store.lock(self._key):
            stored = None if current else await self._store.load(self._key)
            previous = Token(stored.value) if stored is not None and stored.value != rejected else current
            return await self._obtain(rejected=None, previous=previous, patient=True)

    async def kept(self) -> Token | None:
        """Return the token that is kept for this identity without logging in, if there is one."""
        if not self._provider_uses_store():
            return await self.provider.obtain(self._sender(False), None)
        stored = await self._store.load(self._key)
        if stored is None or not await self._is_ours(stored):
            return None
        return Token(stored.value, customer_id=stored.customer_id)

    async def log_out(self, token: Token) -> None:
        """Forget the token, so that nobody takes it up again, and revoke it at the server."""
        try:
            await self.forget(token)
        finally:
            await self.provider.revoke(self._sender(True), token)

    async def forget(self, token: Token) -> None:
        """Take the token out of the store, if it is still there."""
        if self._provider_uses_store():
            with anyio.move_on_after(SAVE_SECONDS, shield=True):
                await self._store.discard(self._key, token.value)

    def _provider_uses_store(self) -> bool:
        # What cannot be renewed is its own store: a copy could only be staler than the original.
        return self.provider.renewable

    def _is_newer(self, stored: StoredToken, current: Token | None) -> bool:
        if current is not None and stored.value == current.value:
            return False
        return stored.expires_in is None or stored.expires_in > MIN_REST

    async def _is_ours(self, stored: StoredToken) -> bool:
        secret = self.provider.secret
        return secret is None or await secret_proof.verify_secret(stored.proof, secret)

    def _lease_stored(self, stored: StoredToken) -> ActiveToken:
        token = Token(stored.value, expires_in=stored.expires_in, customer_id=stored.customer_id)
        return lease(token, seconds=stored.expires_in, start=self._clock.monotonic(), windows=self._windows)

    async def _obtain(self, *, rejected: str | None, previous: Token | None, patient: bool) -> ActiveToken:
        forced = rejected is not None and self.provider.device_key is not None
        if forced:
            self._check_conflict()
        sender = self._sender(patient)
        token = await self.provider.obtain(sender, previous)
        if not isinstance(token, Token):
            raise ConfigurationError(f"{type(self.provider).__name__}.obtain() must return a Token")
        if forced:
            self._forced_at = self._clock.monotonic()
        start, seconds = self._life(token, sender)
        # From here on the token exists at the server. Losing it to a cancellation would cost the next caller a login,
        # and a device its token.
        with anyio.move_on_after(SAVE_SECONDS, shield=True):
            await self._save(token, seconds)
        return lease(token, seconds=seconds, start=start, windows=self._windows)

    def _check_conflict(self) -> None:
        last = self._forced_at
        if last is not None and self._clock.monotonic() - last < CONFLICT_SECONDS:
            raise DeviceTokenConflictError(
                "this device's token was killed twice within a minute: something else creates tokens for the same "
                "device_id and application. Share one token store (FileTokenStore, RedisTokenStore) between the "
                "processes, or give each its own device_id"
            )

    def _life(self, token: Token, sender: Sender) -> tuple[float, float | None]:
        # `Date` may be as old as the request; what the provider measured by itself counts from now.
        dated = token.expires_in is None and sender.date is not None
        start = sender.sent_at if dated else self._clock.monotonic()
        if not token.ends:
            return start, None
        now = datetime.fromtimestamp(self._clock.time(), UTC)
        seconds, problem = lifetime(token, zone=self._zone, date=sender.date, now=now)
        if problem is not None and problem not in self._warned:
            self._warned.add(problem)
            _log.warning("token lifetime unknown: %s; taking %.0f seconds", problem, seconds)
        return start, seconds

    async def _save(self, token: Token, seconds: float | None) -> None:
        if not self._provider_uses_store():
            return
        secret = self.provider.secret
        record = StoredToken(
            value=token.value,
            expires_in=seconds,
            customer_id=token.customer_id,
            proof=None if secret is None else await secret_proof.hash_secret(secret, shared=self._store.shared),
        )
        try:
            await self._store.save(self._key, record)
        except TokenStoreError as error:
            # The token is good; only its siblings will not find it.
            _log.warning("token obtained but not saved: %s", error)


def is_refusal(error: BaseException) -> bool:
    """Tell whether a failed login says that the credentials are wrong, and not that the server is unwell."""
    status = getattr(error, "status", None) if isinstance(error, CareCloudError) else None
    return isinstance(status, int) and refuses_login(status)
