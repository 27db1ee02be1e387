"""The store of one host: a private folder that all its processes share."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import math
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from carecloud_async._base.runtime.clock import Clock, SystemClock, boot_id
from carecloud_async._base.runtime.secret_text import secret_text
from carecloud_async._base.runtime.threads import ThreadLimit, run_in_thread
from carecloud_async._calls.auth.stores.base import StoredToken, TokenStore, backoff_delays
from carecloud_async._calls.auth.stores.record_folder import RecordFolder, resolve
from carecloud_async._calls.auth.stores.records import (
    ClockReading,
    dated_record,
    from_record,
    lifetime_left,
    seconds_unused,
)
from carecloud_async.errors import TokenStoreError

__all__ = ["FileTokenStore"]

_log = logging.getLogger("carecloud_async.auth")


class FileLocks:
    """One gate for the folder as a whole and one lock for each key, all freed by the system when their holder dies.

    Every attempt returns at once, so that the caller waits in its own way. Each one uses a lock object
    of its own: two tasks or threads of one process exclude each other just as two processes do.

    Lock files of keys are removed after use. That is safe only because every attempt at a key, and every removal,
    happens inside the gate: otherwise a process could open a file, have it removed, and lock an invisible file.

    Args:
        folder: the store's folder; no other user can write in it, because filelock follows links.
    """

    def __init__(self, folder: RecordFolder) -> None:
        self._folder = folder

    def try_gate(self) -> BaseFileLock | None:
        """Return the gate, held, or `None` while another has it.

        Raises:
            OSError: the folder cannot be made or written, or belongs to another user.
            TokenStoreError: the file system cannot lock.
        """
        self._folder.prepare()
        return _try(os.path.join(self._folder.path, "gate.lock"))

    def try_key(self, key: str) -> BaseFileLock | None:
        """Return the lock of `key`, held, or `None` while another has it or the gate.

        Raises:
            OSError: the folder cannot be made or written, or belongs to another user.
            TokenStoreError: the file system cannot lock.
        """
        gate = self.try_gate()
        if gate is None:
            return None
        try:
            digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
            return _try(os.path.join(self._folder.path, f"{digest[:24]}.lock"))
        finally:
            release(gate)

    def give_back(self, lock: BaseFileLock) -> None:
        """Release the lock of a key, and remove its file unless the gate happens to be taken."""
        gate = None
        with contextlib.suppress(OSError, TokenStoreError):
            gate = self.try_gate()
        if gate is None:
            release(lock)
            return
        with contextlib.suppress(OSError):  # Windows removes no open file; there filelock does it by itself
            os.unlink(lock.lock_file)
        release(lock)
        release(gate)


def release(lock: BaseFileLock) -> None:
    """Release `lock`; a failure is only a warning, since the protected work is done."""
    try:
        lock.release()
    except OSError as error:
        _log.warning("the lock %s could not be released: %s", lock.lock_file, error.strerror)


def _try(path: str) -> BaseFileLock | None:
    lock = FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    except NotImplementedError:
        raise _cannot_lock(path) from None
    # On systems without locks, filelock uses one that outlives a killed holder, which is not acceptable here.
    if isinstance(lock, SoftFileLock):
        lock.release()
        raise _cannot_lock(path)
    return lock


def _cannot_lock(path: str) -> TokenStoreError:
    folder = os.path.dirname(path)
    return TokenStoreError(f"the file system of {folder!r} cannot lock files: keep the token store on a local disk")


T = TypeVar("T")

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_SHAPE = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EINVAL, None}
#: A load renews a record's time to live once this part of it has passed, so that not every load writes.
_RENEW_PART = 0.1
#: A separate limit: the gate is held while a thread is waited for, and other processes wait for the gate.
_THREADS = ThreadLimit("token files", 40)


class FileTokenStore(TokenStore):
    """Keeps tokens in one private folder, for all processes of a host; for asyncio and trio.

    The folder `<path>.d` (0700) holds one file for each record (0600) and the lock files. A save
    writes one record, in a worker thread because a disk can be slow, and deletes a few that have ended; reads
    take the same lock as writes, since Windows replaces no file that is open.

    One operating-system user owns the folder; two users need two paths. A folder or a file of another user is refused,
    and none in the folder is opened through a link.

    A record's time also counts while no process runs. Within one boot of the host (on Linux, which has an id for each
    boot) the monotonic clock counts it, so wrong clocks and jumps do not matter; otherwise the wall clock does.

    Args:
        path: names the folder, which is made on first use. If it is a link, the link's target names it.
        clock: dates the records and is slept on while another process holds a lock.
        jitter: numbers in [0, 1) that scatter the attempts at a lock.
        boot: returns an id of this boot of the host, or `None` if the system has none.
    """

    shared: bool = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
        boot: Callable[[], str | None] = boot_id,
    ) -> None:
        self._path = resolve(path)
        self._clock: Clock = SystemClock() if clock is None else clock
        self._jitter = jitter
        self._boot = boot
        self._folder = RecordFolder(f"{self._path}.d", choose=jitter)
        self._locks = FileLocks(self._folder)
        self._turn = ThreadLimit(f"token store {self._path}", 1)

    def __repr__(self) -> str:
        return f"FileTokenStore({self._path!r})"

    async def load(self, key: str) -> StoredToken | None:
        """See `TokenStore.load`."""
        return await self._alone(lambda: self._load(key))

    async def save(self, key: str, token: StoredToken) -> None:
        """See `TokenStore.save`."""
        await self._alone(lambda: self._save(key, token))

    async def discard(self, key: str, value: str) -> None:
        """See `TokenStore.discard`."""
        value = secret_text(value)  # it must not be in a frame if the store fails
        await self._alone(lambda: self._discard(key, value))

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        """See `TokenStore.lock`."""
        lock = await self._wait_for(lambda: self._locks.try_key(key), longest=0.05)
        try:
            yield
        finally:
            self._locks.give_back(lock)

    async def _alone(self, work: Callable[[], T]) -> T:
        # One task of each event loop competes with other processes: hundreds that did would hold each other up.
        async with self._turn.limiter():
            gate = await self._wait_for(self._locks.try_gate, longest=0.01)
            try:
                with self._usable():
                    return await run_in_thread(work, limit=_THREADS)
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

    def _load(self, key: str) -> StoredToken | None:
        record, now = self._folder.read(key), self._now()
        if record is None:
            return None
        left = lifetime_left(record, now=now)
        token = from_record(record, expires_in=None if left == math.inf else left)
        if left is None or token is None:
            _log.warning("a record in the token store %s cannot be read: going on without it", self._path)
            return None
        if left <= 0:
            return None
        if token.keep_for is not None and (seconds_unused(record, now=now) or 0.0) > token.keep_for * _RENEW_PART:
            self._renew(key, record, token, now=now)
        return token

    def _renew(self, key: str, record: dict[str, Any], token: StoredToken, *, now: ClockReading) -> None:
        try:
            # Fields that a newer version of this SDK has added to the record are kept.
            self._folder.write(key, {**record, **dated_record(token, now=now)})
        except OSError as error:  # a full disk; the token is good, and the next load tries again
            reason = error.strerror or type(error).__name__
            _log.warning("the token store %s cannot renew how long a record is kept: %s", self._path, reason)

    def _save(self, key: str, token: StoredToken) -> None:
        self._folder.write(key, dated_record(token, now=self._now()))
        self._folder.sweep(self._has_ended)

    def _discard(self, key: str, value: str) -> None:
        token = from_record(self._folder.read(key), expires_in=None)
        if token is not None and token.value == value:
            self._folder.remove(key)

    def _has_ended(self, record: Any) -> bool:
        left = lifetime_left(record, now=self._now())
        return left is None or left <= 0

    def _now(self) -> ClockReading:
        return ClockReading(wall=self._clock.time(), monotonic=self._clock.monotonic(), boot=self._boot())

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise TokenStoreError(f"the token store {self._path!r} cannot be used: {reason}. {_fix(error)}") from error


def _fix(error: OSError) -> str:
    if error.errno in _FULL:
        return "Free some space there; the tokens saved before are untouched."
    if error.errno == errno.ELOOP:
        return "Give a path in a folder that no other user can write to."
    if error.errno in _SHAPE:
        return "Give the path of a file in a folder."
    return "Give this user the right to write in its folder, or choose another path."
