"""Token stores: the interface, a small record for each identity and a lock for its renewal, and that of one process."""

from __future__ import annotations

import math
import os
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from typing import Any

import msgspec
from attrs import evolve, field, frozen
from attrs.converters import optional

from carecloud_async._base.runtime.clock import Clock, SystemClock, doubled
from carecloud_async._base.runtime.secret_text import plain_text, secret_text

__all__ = ["MemoryTokenStore", "StoredToken", "TokenStore"]

#: Between two sweeps of ended records at least this many are saved, or as many as the last sweep left: the cost of a
#: sweep for each save is negligible, and ended records never outnumber the others for long.
_SWEEP_EVERY = 256


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
        keep_for: seconds after which the store may drop the record of a token that does not end by time, counted like
            those of `expires_in`. `None`: no such limit.
    """

    # Plain text, which a store of a user's own can hand to any encoder.
    value: str = field(repr=_masked, converter=plain_text)
    expires_in: float | None = None
    customer_id: str | None = field(default=None, converter=optional(plain_text))
    secret_hash: str | None = field(default=None, converter=optional(plain_text), repr=_masked)
    keep_for: float | None = None

    @property
    def ends(self) -> bool:
        """Whether the token ends by time."""
        return self.expires_in is not None and self.expires_in != math.inf

    @property
    def seconds_to_live(self) -> float | None:
        """The seconds that its record lives, never negative; `None` if it does not end."""
        seconds = self.expires_in if self.ends else self.keep_for
        if seconds is None or seconds == math.inf:
            return None
        # In this form, a NaN counts as ended, since it fails every comparison.
        return seconds if seconds > 0 else 0.0

    def with_seconds_left(self, seconds: float) -> StoredToken:
        """Return the token of a record that is loaded that many seconds before its end."""
        is_kept = self.keep_for is not None and not self.ends
        return evolve(self, keep_for=seconds) if is_kept else evolve(self, expires_in=seconds)


class TokenStore(ABC):
    """Keeps tokens between calls, tasks and, if `shared`, processes.

    Keys hold the project, the interface, the application and a digest of the identity: never a secret, never an
    e-mail. Every method raises `TokenStoreError` when the store cannot be reached or used.
    """

    #: Whether other processes see what this one saves.
    shared: bool = False

    @abstractmethod
    async def load(self, key: str) -> StoredToken | None:
        """Return the record under `key`; `None` if there is none, it has ended, or it cannot be read."""

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


def backoff_delays(*, first: float, longest: float, jitter: Callable[[], float]) -> Iterator[float]:
    """Yield waits without end: doubling, bounded, and randomized so that waiters do not retry in step.

    Args:
        first: seconds of the first wait before scattering.
        longest: seconds that no wait exceeds.
        jitter: a source of numbers in [0, 1).
    """
    for times in count():
        yield doubled(first, times, longest=longest) * (0.5 + jitter() / 2)


def to_record(token: StoredToken) -> dict[str, Any]:
    """Return the fields of `token` except its lifetime, which each store counts in its own way."""
    fields = {
        "value": secret_text(token.value),  # it must not be in a frame if writing fails
        "customer_id": token.customer_id,
        "secret_hash": token.secret_hash,
        "keep_for": None if token.ends else token.seconds_to_live,
    }
    return {name: value for name, value in fields.items() if value is not None}


def from_record(record: object) -> StoredToken | None:
    """Return the token that `record` holds; `None` if it is not a record of this package."""
    try:
        return evolve(msgspec.convert(record, StoredToken))  # `evolve` runs the converters
    except msgspec.ValidationError:
        return None


class MemoryTokenStore(TokenStore):
    """Keeps tokens in this process; for asyncio and trio, several event loops and several threads.

    A forked child starts with a copy of the records and with every lock free.

    Args:
        clock: counts the lifetime of the records and is slept on while another holds a lock.
        jitter: numbers in [0, 1) that scatter the attempts at a lock.
    """

    shared: bool = False

    def __init__(self, *, clock: Clock | None = None, jitter: Callable[[], float] = random.random) -> None:
        self._clock: Clock = SystemClock() if clock is None else clock
        self._jitter = jitter
        # Each operation of a dict is atomic, so that threads need no lock of their own.
        #: With the end of each on the monotonic clock.
        self._records: dict[str, tuple[StoredToken, float]] = {}
        self._saves_to_sweep = _SWEEP_EVERY
        #: The holder of each lock, by process and key.
        self._holders: dict[tuple[int, str], object] = {}

    def __repr__(self) -> str:
        return f"<MemoryTokenStore: {len(self._records)} records>"

    async def load(self, key: str) -> StoredToken | None:
        """See `TokenStore.load`."""
        token, ends_at = self._records.get(key, (None, math.inf))
        if token is None or ends_at == math.inf:
            return token
        left = ends_at - self._clock.monotonic()
        return token.with_seconds_left(left) if left > 0 else None

    async def save(self, key: str, token: StoredToken) -> None:
        """See `TokenStore.save`."""
        now, seconds = self._clock.monotonic(), token.seconds_to_live
        self._records[key] = (token, math.inf if seconds is None else now + seconds)
        self._saves_to_sweep -= 1
        if self._saves_to_sweep <= 0:
            for ended in [key for key, (_, ends_at) in list(self._records.items()) if ends_at <= now]:
                self._records.pop(ended, None)
            self._saves_to_sweep = max(_SWEEP_EVERY, len(self._records))

    async def discard(self, key: str, value: str) -> None:
        """See `TokenStore.discard`."""
        token, _ = self._records.get(key, (None, math.inf))
        if token is not None and token.value == value:
            self._records.pop(key, None)

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        """See `TokenStore.lock`."""
        name, holder = (os.getpid(), key), object()
        # Polling, because a waiter may be in another event loop or thread than the holder: no event of one async
        # library wakes them all.
        for wait in backoff_delays(first=0.002, longest=0.02, jitter=self._jitter):
            if self._holders.setdefault(name, holder) is holder:
                break
            await self._clock.sleep(wait)
        try:
            yield
        finally:
            del self._holders[name]
