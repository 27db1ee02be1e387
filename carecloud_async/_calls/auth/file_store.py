"""The store of one host: a private folder that all its processes share."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import math
import os
import random
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from attrs import asdict, frozen
from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from carecloud_async._base.runtime.clock import Clock, SystemClock, boot_id
from carecloud_async._base.runtime.durable_files import (
    is_private,
    open_own,
    replace_file,
    require_own,
    sync_folder,
    temporary_path,
)
from carecloud_async._base.runtime.secret_text import SecretBytes, conceal, secret_text
from carecloud_async._base.runtime.threads import ThreadLimit, run_in_thread
from carecloud_async._calls.auth.stores import (
    StoredToken,
    TokenStore,
    backoff_delays,
    from_record,
    to_record,
)
from carecloud_async.errors import TokenStoreError

__all__ = ["FileTokenStore"]

_log = logging.getLogger("carecloud_async.auth")

T = TypeVar("T")

_RECORD = ".json"
_NEW = temporary_path(Path(_RECORD)).name
#: How many records each save looks at to drop those that have ended.
SWEPT_PER_SAVE = 16

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_SHAPE = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EINVAL, None}
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
        record = self._folder.read(key)
        if record is None:
            return None
        left, token = seconds_left(record, now=self._now()), from_record(record)
        if left is None or token is None:
            _log.warning("a record in the token store %s cannot be read: going on without it", self._path)
            return None
        if left == math.inf:
            return token
        return token.with_seconds_left(left) if left > 0 else None

    def _save(self, key: str, token: StoredToken) -> None:
        record = to_record(token)
        if token.ends:
            record["expires_in"] = token.seconds_to_live
        self._folder.write(key, {**record, "saved": asdict(self._now())})
        self._folder.sweep(lambda record: not seconds_left(record, now=self._now()))

    def _discard(self, key: str, value: str) -> None:
        token = from_record(self._folder.read(key))
        if token is not None and token.value == value:
            self._folder.remove(key)

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


class RecordFolder:
    """Reads and writes records; the caller holds the gate, so there is one reader or writer at a time.

    Args:
        path: the folder's path; absolute.
        choose: returns a number in [0, 1): the place in the list of files where a sweep begins.
    """

    def __init__(self, path: str, *, choose: Callable[[], float]) -> None:
        self.path: str = path
        self._choose = choose
        self._unswept: list[str] = []

    def prepare(self) -> None:
        """Make the folder, or check that it is one and this user's.

        Raises:
            OSError: it is a link, no folder, or belongs to another user.
        """
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.path, 0o700)
            status = os.lstat(self.path)
        if not stat.S_ISDIR(status.st_mode):
            raise OSError(errno.ENOTDIR, f"{self.path} is a link or a file, not a folder")
        require_own(status, self.path)
        if not is_private(status):
            os.chmod(self.path, 0o700)

    def read(self, key: str) -> Any:
        """Return the record of `key`; `None` if there is none, and an empty one if it is damaged.

        Raises:
            OSError: its file cannot be read, is a link or not a regular file, or belongs to another user.
        """
        return self._read(self._name(key))

    def write(self, key: str, record: dict[str, Any]) -> None:
        """Replace the record of `key`, whole or not at all.

        Raises:
            OSError: it cannot be written; the old one is unchanged.
        """
        content = SecretBytes(json.dumps(record, separators=(",", ":")).encode("ascii"))
        replace_file(Path(self._join(self._name(key))), content)
        sync_folder(self.path)

    def remove(self, key: str) -> None:
        """Remove the record of `key`, if there is one."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._join(self._name(key)))

    def sweep(self, has_ended: Callable[[Any], bool]) -> None:
        """Check a few records and remove those that have ended; successive calls check all of them."""
        if not self._unswept:
            names = sorted(name for name in os.listdir(self.path) if name.endswith((_RECORD, _NEW)))
            start = int(self._choose() * len(names))
            self._unswept = names[start:] + names[:start]
        for _ in range(min(SWEPT_PER_SAVE, len(self._unswept))):
            name = self._unswept.pop()
            # The caller holds the gate, so no writer is at work: a file with a temporary name is that of a killed one.
            if name.endswith(_NEW) or self._is_ended(name, has_ended):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._join(name))

    def _is_ended(self, name: str, has_ended: Callable[[Any], bool]) -> bool:
        record = self._read(name)
        return record is not None and has_ended(record)

    def _name(self, key: str) -> str:
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40] + _RECORD

    def _join(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _read(self, name: str) -> Any:
        path = self._join(name)
        try:
            with open_own(path) as file:
                content = SecretBytes(file.read())
        except FileNotFoundError:
            return None
        try:
            record = conceal(json.loads(content))  # its token must not be in a frame if writing fails
        except (ValueError, RecursionError):
            return {}
        return {} if record is None else record


def resolve(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of a store, links resolved except those that another user has made."""
    given = os.path.abspath(os.path.expanduser(path))
    if os.path.islink(given) and sys.platform != "win32" and os.lstat(given).st_uid not in {0, os.geteuid()}:
        return os.path.join(os.path.realpath(os.path.dirname(given)), os.path.basename(given))
    return os.path.realpath(given)


@frozen(kw_only=True)
class ClockReading:
    """One instant on the clocks of this host.

    Attributes:
        wall: seconds since 1970 by the host's clock; may be wrong and may jump.
        monotonic: seconds since a zero that all processes of one boot share, where `boot` is known.
        boot: an id of this boot of the host; `None` where the system has none.
    """

    wall: float
    monotonic: float
    boot: str | None

    def seconds_until(self, later: ClockReading) -> float:
        """Return the seconds from this instant to a later one, never negative.

        The monotonic clock decides when both belong to one boot, so that wrong wall clocks and their jumps do not
        matter; else the wall clock does. A wall clock that went backwards counts as no time at all.
        """
        # Going backwards within one boot means that the two come from different time namespaces (containers).
        if self.boot is not None and self.boot == later.boot and later.monotonic >= self.monotonic:
            return later.monotonic - self.monotonic
        return max(0.0, later.wall - self.wall)


def seconds_left(record: Any, *, now: ClockReading) -> float | None:
    """Return the seconds until a record ends, infinity if it never does, 0 if it has; `None` if it makes no sense."""
    try:
        seconds = record.get("expires_in", record.get("keep_for"))
        if seconds is None:
            return math.inf
        return max(0.0, float(seconds) - ClockReading(**record["saved"]).seconds_until(now))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None
