"""Renewals of a token: `TokenRefresher` loads one from the store or logs in, `Refresh` is what callers wait for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import anyio
from attrs import evolve

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.event_loops import await_uninterrupted
from carecloud_async._calls.auth.provider import AuthProvider, Login
from carecloud_async._calls.auth.stored_tokens import SAVE_SECONDS, StoredTokenIndex, StoredTokens
from carecloud_async._calls.auth.stores.base import StoredToken, TokenStore
from carecloud_async._calls.auth.token import ActiveToken, RenewalWindows, Token, activate, lifetime, valid_to_utc
from carecloud_async._calls.http.network import NETWORK_PACKAGES
from carecloud_async.errors import CareCloudError, ConfigurationError, DeviceTokenConflictError

_log = logging.getLogger("carecloud_async.auth")

#: The limits of a refresh while a token is still valid: in seconds, and as a part of the time that the caller has left.
EARLY_SECONDS = 5.0
EARLY_PART = 0.25
#: A device token that had to be recreated twice within this many seconds is probably also used elsewhere.
CONFLICT_SECONDS = 60.0
#: After this part of the time that the store keeps an unused token, a client in use renews that time: three failures in
#: a row lose nothing.
KEEP_ALIVE_PART = 0.25

_CONFLICT = (
    "the server refused this device's token twice within a minute: either another program creates tokens for the same "
    "device_id and application, or the token was logged out or revoked. In the first case share one token store "
    "(FileTokenStore, RedisTokenStore) between the processes, or give each its own device_id (all workers have the "
    "random one of a Device that was made before the fork: make the Device after the fork); otherwise try again in a "
    "minute"
)
#: The message for a random device, whose id no other process can know.
_REVOKED = (
    "the server refused this device's token twice within a minute, although no other process knows its random "
    "device_id: an administrator or the application's settings revoke its tokens. Try again in a minute; if it lasts, "
    "ask the CareCloud administrator whether the external application may create tokens"
)


class Refresh:
    """A refresh under way. It holds the outcome for its waiters: a token, an error, or neither if it was cancelled.

    Args:
        forced: whether it logs in even if a token is stored.
        retry: whether failures are repeated.
        rejected: the token value that is known to be refused.

    Attributes:
        done: set when it has ended.
        logins: the logins that were sent for it, as observers know them.
    """

    def __init__(self, *, forced: bool, retry: bool, rejected: str | None) -> None:
        self.forced = forced
        self.retry = retry
        self.rejected = rejected
        self.done = anyio.Event()
        self.result: ActiveToken | None = None
        self.error: Exception | None = None
        self.logins: list[object] = []
        #: The waiters in the order of their arrival, each with the end of its time.
        self._waiters: dict[anyio.Event, float] = {}

    async def wait(self) -> None:
        """Wait for the end. Without an outcome, the waiter with the most time left returns first, and takes over.

        The first to arrive has the least time left. If it took over, it would soon be cancelled too, and so would
        the next: while calls keep coming, a login that takes longer than the time between two of them would never end.
        """
        turn = anyio.Event()
        self._waiters[turn] = anyio.current_effective_deadline()
        try:
            await turn.wait()
        except BaseException:
            self._waiters.pop(turn, None)
            if self.done.is_set():
                self._wake_successor()
            raise
        self._wake_all()

    def end(self) -> None:
        """Let the waiters return."""
        self.done.set()
        if self.result is None and self.error is None:
            self._wake_successor()
        else:
            self._wake_all()

    def _wake_successor(self) -> None:
        if self._waiters:
            max(reversed(self._waiters), key=self._waiters.__getitem__).set()

    def _wake_all(self) -> None:
        waiters, self._waiters = self._waiters, {}
        for turn in waiters:
            turn.set()


def copy_for_caller(error: Exception) -> Exception:
    """Return a copy for one waiter, so that callers' tracebacks do not accumulate on one exception."""
    if not isinstance(error, CareCloudError):
        return error
    copy = error.fresh()
    copy.__cause__ = error.__cause__
    return copy


def early_seconds() -> float:
    """Return how long the running task may renew a token that is still valid, or wait for that."""
    left = anyio.current_effective_deadline() - anyio.current_time()
    return min(EARLY_SECONDS, max(left, 0.0) * EARLY_PART)


class TokenRefresher:
    """Obtains tokens for one identity: from the store, or by a login.

    Args:
        provider: the identity.
        key: its key in the store.
        store: where tokens are kept.
        index: the records that this client's identities have in the store.
        begin_login: makes what sends the requests of one login; the argument says whether failures are retried by the
            client's policy.
        zone: the project's time zone.
        windows: when to renew.
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
        windows: RenewalWindows,
    ) -> None:
        self._stored = StoredTokens(provider, key=key, store=store, index=index)
        self._begin_login = begin_login
        self._clock = clock
        self._zone = zone
        self._windows = windows
        self._recreated_at: float | None = None
        self._warned: set[str] = set()

    @property
    def provider(self) -> AuthProvider:
        """The identity; an equal one with other settings may take its place."""
        return self._stored.provider

    @provider.setter
    def provider(self, provider: AuthProvider) -> None:
        self._stored.provider = provider

    async def renew(self, *, rejected: str | None, current: Token | None, retry: bool) -> ActiveToken:
        """Return a token that is neither the rejected nor the current one: another process's, or a new one.

        A current token that does not end by time is kept: only its record's time to live is renewed.

        Args:
            rejected: the token value that the server refused, if that is the reason.
            current: the current token, if it is still valid.
            retry: whether a login that fails may be repeated.
        """
        if not self.provider.stored:
            return await self._obtain_and_save(rejected=rejected, previous=current, retry=retry)
        async with self._stored.lock():
            stored = await self._stored.load()
            keeps = current is not None and not current.ends and current.value != rejected
            if current is not None and keeps and (stored is None or stored.value == current.value):
                return await self._keep(current, stored)
            if stored is not None and stored.value != rejected:
                if await self._stored.is_usable(stored, current=current):
                    return self._activate_stored(stored)
                current = current or Token(stored.value, customer_id=stored.customer_id)
            return await self._obtain_and_save(rejected=rejected, previous=current, retry=retry)

    async def log_in(self, *, rejected: str | None, current: Token | None) -> ActiveToken:
        """Log in now, even if a token is stored: the server checks the credentials.

        Args:
            rejected: the token value that the server refused last.
            current: the last token, if there is one.
        """
        if not self.provider.stored:
            return await self._obtain_and_save(rejected=None, previous=current or await self.find_token(), retry=True)
        async with self._stored.lock():
            stored = None if current else await self._stored.load()
            previous = Token(stored.value) if stored is not None and stored.value != rejected else current
            return await self._obtain_and_save(rejected=None, previous=previous, retry=True)

    async def find_token(self) -> Token | None:
        """Return the token that this identity has without a login, if any."""
        if not self.provider.renewable:
            # An identity that cannot be renewed holds its own token: a stored copy could only be older.
            return await self.provider.obtain(self._begin_login(False), None)
        if not self.provider.stored:
            return None
        stored = await self._stored.load()
        if stored is None or not await self._stored.is_ours(stored):
            return None
        return Token(stored.value, customer_id=stored.customer_id)

    async def log_out(self, token: Token) -> None:
        """Forget the token, so that it is not used again, and revoke it at the server."""
        try:
            await self.forget(token)
        finally:
            await self.provider.revoke(self._begin_login(True), token)

    async def forget(self, token: Token) -> None:
        """Discard the records of a token, under whichever identity of this client they were saved."""
        await self._stored.discard(token)

    def _activate_stored(self, stored: StoredToken) -> ActiveToken:
        token = Token(stored.value, expires_in=stored.expires_in, customer_id=stored.customer_id)
        self._stored.note(token.value)
        active = self._activate(token, seconds=stored.expires_in, start=self._clock.monotonic())
        return evolve(active, from_store=True)

    def _activate(self, token: Token, *, seconds: float | None, start: float) -> ActiveToken:
        active = activate(token, seconds=seconds, start=start, windows=self._windows)
        if seconds is None and self.provider.stored:
            return evolve(active, renew_at=start + self._stored.keep_seconds * KEEP_ALIVE_PART)
        return active

    async def _keep(self, current: Token, stored: StoredToken | None) -> ActiveToken:
        # Loading has renewed the record's time to live already.
        if stored is None:
            await self._stored.save(current, None)
        return self._activate(current, seconds=None, start=self._clock.monotonic())

    async def _obtain_and_save(self, *, rejected: str | None, previous: Token | None, retry: bool) -> ActiveToken:
        recreates = rejected is not None and self.provider.device_key is not None
        if recreates:
            self._check_conflict()
        login = self._begin_login(retry)
        token = await self._ask_provider(login, previous)
        if recreates:
            self._recreated_at = self._clock.monotonic()
        start, seconds = self._lifetime(token, login)
        end = valid_to_utc(token.valid_to, zone=self._zone, after=login.server_date)
        if end is not None:  # the answer's `Date` tells which of the two instants of an autumn hour it is
            token = evolve(token, valid_to=end)
        # From here on the token exists at the server. If a cancellation lost it, the next caller would need a login,
        # and a device would lose its token.
        await await_uninterrupted(lambda: self._stored.save(token, seconds), seconds=SAVE_SECONDS)
        return self._activate(token, seconds=seconds, start=start)

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

    def _check_conflict(self) -> None:
        last = self._recreated_at
        if last is not None and self._clock.monotonic() - last < CONFLICT_SECONDS:
            raise DeviceTokenConflictError(_CONFLICT if self.provider.device_is_shared else _REVOKED)

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


def _looks_like_transport(error: Exception) -> bool:
    roots = {cls.__module__.partition(".")[0] for cls in type(error).__mro__}
    return isinstance(error, OSError) or bool(roots & NETWORK_PACKAGES)
