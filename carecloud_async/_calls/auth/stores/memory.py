"""The token store of one process: it needs no set-up and ends with the process."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from attrs import evolve, frozen

from carecloud_async._base.runtime.clock import Clock, SystemClock
from carecloud_async._calls.auth.stores.base import StoredToken, TokenStore, backoff_delays
from carecloud_async._calls.auth.stores.records import keep_for, seconds_to_live

__all__ = ["MemoryTokenStore"]

#: Between two sweeps of ended records at least this many are saved, or as many as the last sweep left: the cost of a
#: sweep for each save is negligible, and ended records never outnumber the others for long.
_SWEEP_EVERY = 256


@frozen
class _Record:
    token: StoredToken
    #: When the record ends, on the monotonic clock; `None`: not by time.
    deadline: float | None
    #: The seconds by which each load moves that end on; `None`: the token itself ends.
    keep_for: float | None


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
        self._records: dict[str, _Record] = {}
        self._saves_to_sweep = _SWEEP_EVERY
        self._unlock_all()

    def __repr__(self) -> str:
        return f"<MemoryTokenStore: {len(self._records)} records>"

    async def load(self, key: str) -> StoredToken | None:
        """See `TokenStore.load`."""
        now = self._clock.monotonic()
        with self._guard():
            record = self._records.get(key)
            if record is None:
                return None
            if record.deadline is None:
                return record.token
            if record.deadline <= now:
                del self._records[key]
                return None
            if record.keep_for is not None:
                self._records[key] = evolve(record, deadline=now + record.keep_for)
                return record.token
        return evolve(record.token, expires_in=record.deadline - now)

    async def save(self, key: str, token: StoredToken) -> None:
        """See `TokenStore.save`."""
        now = self._clock.monotonic()
        seconds = seconds_to_live(token)
        with self._guard():
            self._records[key] = _Record(token, None if seconds is None else now + seconds, keep_for(token))
            self._saves_to_sweep -= 1
            if self._saves_to_sweep <= 0:
                self._sweep(now)

    async def discard(self, key: str, value: str) -> None:
        """See `TokenStore.discard`."""
        with self._guard():
            record = self._records.get(key)
            if record is not None and record.token.value == value:
                del self._records[key]

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        """See `TokenStore.lock`."""
        # Polling, because a waiter may be in another event loop or thread than the holder: no event of one async
        # library wakes them all.
        for wait in backoff_delays(first=0.002, longest=0.02, jitter=self._jitter):
            if self._take(key):
                break
            await self._clock.sleep(wait)
        try:
            yield
        finally:
            with self._guard():
                self._locked_keys.discard(key)

    def _take(self, key: str) -> bool:
        with self._guard():
            if key in self._locked_keys:
                return False
            self._locked_keys.add(key)
            return True

    def _guard(self) -> threading.Lock:
        # Never held across an await. A fork copies the state of locks, which may be held by threads the child lacks.
        if self._pid != os.getpid():
            self._unlock_all()
        return self._lock

    def _unlock_all(self) -> None:
        self._lock = threading.Lock()
        self._locked_keys: set[str] = set()
        self._pid = os.getpid()

    def _sweep(self, now: float) -> None:
        ended = [key for key, record in self._records.items() if record.deadline is not None and record.deadline <= now]
        for key in ended:
            del self._records[key]
        self._saves_to_sweep = max(_SWEEP_EVERY, len(self._records))
