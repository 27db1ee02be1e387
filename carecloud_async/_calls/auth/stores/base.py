"""The interface of a token store: one small record per identity, and a lock for its renewal."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager

import anyio
from attrs import field, frozen
from attrs.converters import optional

from carecloud_async._base.runtime.secret_text import plain_text, secret_text
from carecloud_async.errors import TokenStoreError

__all__ = ["StoredToken", "TokenStore"]

_log = logging.getLogger("carecloud_async.auth")

#: How long a login that can do without the store waits for its lock, in seconds, also in several calls one after
#: another: a process that was stopped, or whose event loop is blocked, may hold it without end.
LOCK_SECONDS = 20.0


def _masked(value: object) -> str:
    return "'***'" if value else repr(value)


@frozen(kw_only=True)
class StoredToken:
    """A stored token.

    Attributes:
        value: the bearer token; never shown.
        expires_in: seconds it may still be used, counted from the moment this value was made (when saving) or loaded
            (when loading). `None`: it does not end by time (device tokens).
        customer_id: the customer that the token is bound to, if any.
        secret_hash: a slow salted hash of the secret that obtained the token, so that a holder of another secret cannot
            use it; `None` if no secret is required.
        keep_for: seconds for which the store keeps the record of a token that does not end by time, counted again from
            each save and each load; then it may drop it. `None`: no such limit.
    """

    # Plain text, which a store of a user's own can hand to any encoder.
    value: str = field(repr=_masked, converter=plain_text)
    expires_in: float | None = None
    customer_id: str | None = field(default=None, converter=optional(plain_text))
    secret_hash: str | None = field(default=None, converter=optional(plain_text), repr=_masked)
    keep_for: float | None = None


class TokenStore(ABC):
    """Keeps tokens between calls, tasks and, if `shared`, processes.

    Keys hold the project, the interface, the application and a digest of the identity: never a secret, never an
    e-mail. Every method raises `TokenStoreError` when the store cannot be reached or used.
    """

    #: Whether other processes see what this one saves.
    shared: bool = False

    @abstractmethod
    async def load(self, key: str) -> StoredToken | None:
        """Return the record under `key`; `None` if there is none, it has ended, or it cannot be read.

        Loading a record with `keep_for` renews that time.
        """

    @abstractmethod
    async def save(self, key: str, token: StoredToken) -> None:
        """Save `token` under `key`; replaces the record there atomically."""

    @abstractmethod
    async def discard(self, key: str, value: str) -> None:
        """Delete the record under `key` if it still holds the token `value`."""

    @abstractmethod
    def lock(self, key: str) -> AbstractAsyncContextManager[None]:
        """Return a lock on `key`: while it is held, no other user of this store renews that token.

        Entering it waits as long as necessary, and can be cancelled. It is not reentrant; locks on two keys are
        independent. The lock of a holder that dies is released within a bounded time.
        """

    async def aclose(self) -> None:  # noqa: B027  (optional: most stores hold nothing open)
        """Close the connections and files that this store opened; the records stay."""


class BestEffortStore(TokenStore):
    """Wraps a store so that its failures cause a login instead of failing a call.

    For identities that can always log in again (users of the enterprise interface). A store that has failed under a
    lock is not asked again under that lock: one that does not answer costs a login its timeout once.

    Args:
        store: the store.
        lock_seconds: how long its lock is waited for; see `LOCK_SECONDS`.
    """

    #: Since when the lock of a key is waited for, by one caller after another. Made when it is used: a client has a
    #: thousand of these stores, and most are those of sessions that are never stored.
    _waits_since: dict[str, float] | None = None

    def __init__(self, store: TokenStore, *, lock_seconds: float = LOCK_SECONDS) -> None:
        self._store = store
        self._lock_seconds = lock_seconds
        self.shared: bool = store.shared
        #: The keys that are locked, each with whether the store has failed since.
        self._failed: dict[str, bool] = {}

    async def load(self, key: str) -> StoredToken | None:
        """Load the record; return `None` if the store fails."""
        if not self._failed.get(key):
            with self._ignoring_failures(key):
                return await self._store.load(key)
        return None

    async def save(self, key: str, token: StoredToken) -> None:
        """Save the record; ignore a failure of the store."""
        if not self._failed.get(key):
            with self._ignoring_failures(key):
                await self._store.save(key, token)

    async def discard(self, key: str, value: str) -> None:
        """Discard the record; ignore a failure of the store."""
        value = secret_text(value)  # it must not be in a frame if the store fails
        with self._ignoring_failures(key):
            await self._store.discard(key, plain_text(value))

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        """Lock the key; continue without a lock if the store fails, or if it takes too long."""
        async with AsyncExitStack() as stack:
            self._failed[key] = False
            stack.callback(self._failed.pop, key, None)
            with self._ignoring_failures(key):
                await self._enter_lock(key, stack)
            yield

    async def _enter_lock(self, key: str, stack: AsyncExitStack) -> None:
        now = anyio.current_time()
        waits = self._waits_since = {} if self._waits_since is None else self._waits_since
        since = waits.get(key, now)
        if now - since > 2 * self._lock_seconds:  # of a caller that was cancelled long ago
            since = now
        waits[key] = since
        deadline = max(since + self._lock_seconds, now + self._lock_seconds / 20)  # each caller tries
        try:
            with anyio.CancelScope(deadline=deadline) as scope:
                await stack.enter_async_context(self._store.lock(key))
        except Exception:
            del waits[key]
            raise
        del waits[key]
        if scope.cancelled_caught:
            raise TokenStoreError(f"its lock was held by another process for {self._lock_seconds:g} seconds")

    @contextmanager
    def _ignoring_failures(self, key: str) -> Iterator[None]:
        try:
            yield
        except TokenStoreError as error:
            if key in self._failed:
                self._failed[key] = True
            _log.warning("token store unusable, logging in without it: %s", error)


def backoff_delays(*, first: float, longest: float, jitter: Callable[[], float]) -> Iterator[float]:
    """Yield waits without end: doubling, bounded, and randomized so that waiters do not retry in step.

    Args:
        first: seconds of the first wait before scattering.
        longest: seconds that no wait exceeds.
        jitter: a source of numbers in [0, 1).
    """
    wait = first
    while True:
        yield wait * (0.5 + jitter() / 2)
        wait = min(wait * 2, longest)
