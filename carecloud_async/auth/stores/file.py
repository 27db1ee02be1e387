"""The store of one host: a private file that all its processes share."""

from __future__ import annotations

import errno
import logging
import math
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeGuard, TypeVar

from filelock import BaseFileLock

from carecloud_async.auth.stores.backoff import backoff_delays
from carecloud_async.auth.stores.base import StoredToken, TokenStore
from carecloud_async.auth.stores.clock_reading import ClockReading, boot_id, seconds_between
from carecloud_async.auth.stores.file_locks import FileLocks, release
from carecloud_async.auth.stores.record import from_record, life_of, to_record
from carecloud_async.auth.stores.token_file import TokenFile
from carecloud_async.errors import TokenStoreError
from carecloud_async.runtime.clock import Clock, SystemClock
from carecloud_async.runtime.threads import run_in_thread_uninterrupted

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.auth")

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_SHAPE = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, None}


class FileTokenStore(TokenStore):
    """Keeps tokens in one private file, for all processes of a host; for asyncio and trio.

    Beside the file stand its lock files (`….lock`, removed after use but for one). A link is followed, never replaced.
    One operating-system user owns the file; two users need two files. The whole file is read and rewritten each time,
    in a worker thread because of the disk's slowest moments; reads take the same lock as writes, since Windows replaces
    no file that is open.

    A record's life goes on counting while no process runs. On one boot of the host (where the system tells boots apart:
    Linux) the monotonic clock counts it, so wrong clocks and jumps do not matter; else the wall clock does.

    Args:
        path: the file; made, with its folder, on first use.
        clock: what dates the records and is slept on while another process holds a lock.
        jitter: numbers in [0, 1) that scatter the attempts at a lock.
        boot: tells this boot of the host from others; `None` from it: no way to tell.
    """

    shared = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
        boot: Callable[[], str | None] = boot_id,
    ) -> None:
        self._path = os.path.realpath(os.path.expanduser(path))
        self._clock: Clock = SystemClock() if clock is None else clock
        self._jitter = jitter
        self._boot = boot
        self._file = TokenFile(self._path)
        self._locks = FileLocks(self._path)

    def __repr__(self) -> str:
        return f"FileTokenStore({self._path!r})"

    async def load(self, key: str) -> StoredToken | None:
        """See `TokenStore.load`."""
        records = await self._alone(self._file.read)
        if key not in records:
            return None
        record = records[key]
        left = _seconds_left(record, now=self._now())
        token = from_record(record, expires_in=None if left == math.inf else left)
        if left is None or token is None:
            _log.warning("a record in the token file %s cannot be read: going on without it", self._path)
            return None
        return token if left > 0 else None

    async def save(self, key: str, token: StoredToken) -> None:
        """See `TokenStore.save`."""
        record = _dated_record(token, now=self._now())

        def put(records: dict[str, Any]) -> bool:
            records[key] = record
            return True

        await self._alone(lambda: self._change(put))

    async def discard(self, key: str, value: str) -> None:
        """See `TokenStore.discard`."""

        def drop(records: dict[str, Any]) -> bool:
            token = from_record(records.get(key), expires_in=None)
            if token is None or token.value != value:
                return False
            del records[key]
            return True

        await self._alone(lambda: self._change(drop))

    def lock(self, key: str) -> AbstractAsyncContextManager[None]:
        """See `TokenStore.lock`."""
        return self._hold(key)

    @asynccontextmanager
    async def _hold(self, key: str) -> AsyncIterator[None]:
        lock = await self._wait_for(lambda: self._locks.try_key(key), longest=0.05)
        try:
            yield
        finally:
            self._locks.give_back(lock)

    async def _alone(self, work: Callable[[], T]) -> T:
        gate = await self._wait_for(self._locks.try_gate, longest=0.01)
        try:
            with self._usable():
                return await run_in_thread_uninterrupted(work)
        finally:
            release(gate)

    async def _wait_for(self, attempt: Callable[[], BaseFileLock | None], *, longest: float) -> BaseFileLock:
        # An attempt is a few system calls, done in place: between its success and the caller's `try` nothing awaits, so
        # that no cancellation can leave a lock behind.
        for wait in backoff_delays(first=0.001, longest=longest, jitter=self._jitter):
            with self._usable():
                lock = attempt()
            if lock is not None:
                return lock
            await self._clock.sleep(wait)
        raise AssertionError("the waits have no end")

    def _change(self, change: Callable[[dict[str, Any]], bool]) -> None:
        records = self._file.read()
        if not change(records):
            return
        now = self._now()
        self._file.write({key: record for key, record in records.items() if _seconds_left(record, now=now)})

    def _now(self) -> ClockReading:
        return ClockReading(wall=self._clock.time(), monotonic=self._clock.monotonic(), boot=self._boot())

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise TokenStoreError(f"the token file {self._path!r} cannot be used: {reason}. {_fix(error)}") from error


def _fix(error: OSError) -> str:
    if error.errno in _FULL:
        return "Free some space there; the tokens saved before are untouched."
    if error.errno in _SHAPE:
        return "Give the path of a file in a folder."
    return "Give this user the right to write in its folder, or choose another path."


def _dated_record(token: StoredToken, *, now: ClockReading) -> dict[str, Any]:
    life = life_of(token)
    if life is None:
        return to_record(token)
    saved = {"wall": now.wall, "monotonic": now.monotonic, "boot": now.boot}
    return {**to_record(token), "expires_in": life, "saved": saved}


def _seconds_left(record: object, *, now: ClockReading) -> float | None:
    """Return what is left of a record's life: infinity if it does not end, `None` if the record makes no sense."""
    if not isinstance(record, dict):
        return None
    life = record.get("expires_in")
    if life is None:
        return math.inf
    saved = _moment_of(record.get("saved"))
    if saved is None or not _is_finite(life):
        return None
    return max(0.0, float(life) - seconds_between(saved, now))


def _moment_of(saved: object) -> ClockReading | None:
    if not isinstance(saved, dict):
        return None
    wall, monotonic, boot = (saved.get(name) for name in ("wall", "monotonic", "boot"))
    if not _is_finite(wall) or not _is_finite(monotonic) or not (boot is None or isinstance(boot, str)):
        return None
    return ClockReading(wall=float(wall), monotonic=float(monotonic), boot=boot)


def _is_finite(value: object) -> TypeGuard[float]:
    # No NaN passes a comparison, and an integer beyond every float is compared without being converted.
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e18 < value < 1e18
