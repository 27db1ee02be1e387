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

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from carecloud_async._base.runtime.clock import Clock, SystemClock
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
from carecloud_async._calls.auth.stores import StoredToken, TokenStore, backoff_delays, from_record, to_record
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

    A record's time is counted by the wall clock, also while no process runs. A clock that is wrong or jumps costs a
    login, not a call: a token that has ended is replaced after its 401.

    Args:
        path: names the folder, which is made on first use. If it is a link, the link's target names it.
        clock: dates the records and is slept on while another process holds a lock.
        jitter: numbers in [0, 1) that scatter the attempts at a lock.
    """

    shared: bool = True

    # One lock file, the gate, guards the records. 65,536 more are the locks of keys: two keys seldom share one. The
    # system frees a lock when its holder dies. Lock files are never removed: another process may have opened one, and
    # would lock a file without a name. No other user can write in the folder, because filelock follows links.

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._path = resolve(path)
        self._clock: Clock = SystemClock() if clock is None else clock
        self._jitter = jitter
        self._folder = Path(f"{self._path}.d")
        self._turn = ThreadLimit(f"token store {self._path}", 1)
        self._unswept: list[Path] = []

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
        lock = await self._wait_for(self._lock_file(key), longest=0.05)
        try:
            yield
        finally:
            _release(lock)

    async def _alone(self, work: Callable[[], T]) -> T:
        # One task of each event loop competes with other processes: hundreds that did would hold each other up.
        async with self._turn.limiter():
            gate = await self._wait_for(self._folder / "gate.lock", longest=0.01)
            try:
                with self._usable():
                    return await run_in_thread(work, limit=_THREADS)
            finally:
                _release(gate)

    async def _wait_for(self, file: Path, *, longest: float) -> BaseFileLock:
        """Return the lock of a file, held."""
        # An attempt is a few system calls, done in place: between its success and the caller's `try` nothing awaits, so
        # that no cancellation can leave a lock behind.
        for wait in backoff_delays(first=0.001, longest=longest, jitter=self._jitter):
            with self._usable():
                self._prepare()
                lock = _try(file)
            if lock is not None:
                return lock
            await self._clock.sleep(wait)
        raise AssertionError("the waits have no end")

    def _prepare(self) -> None:
        """Make the folder, or check that it is one and this user's."""
        try:
            status = self._folder.lstat()
        except FileNotFoundError:
            os.makedirs(self._folder.parent, mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self._folder.mkdir(0o700)
            status = self._folder.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise OSError(errno.ENOTDIR, f"{self._folder} is a link or a file, not a folder")
        require_own(status, self._folder)
        if not is_private(status):
            self._folder.chmod(0o700)

    def _load(self, key: str) -> StoredToken | None:
        record = self._read(self._record_file(key))
        if record is None:
            return None
        left, token = _seconds_left(record, now=self._clock.time()), from_record(record)
        if left is None or token is None:
            _log.warning("a record in the token store %s cannot be read: going on without it", self._path)
            return None
        if left == math.inf:
            return token
        return token.with_seconds_left(left) if left > 0 else None

    def _save(self, key: str, token: StoredToken) -> None:
        record = {**to_record(token), "saved": {"wall": self._clock.time()}}
        if token.ends:
            record["expires_in"] = token.seconds_to_live
        content = SecretBytes(json.dumps(record, separators=(",", ":")).encode("ascii"))
        replace_file(self._record_file(key), content)
        sync_folder(self._folder)
        self._sweep()

    def _discard(self, key: str, value: str) -> None:
        file = self._record_file(key)
        token = from_record(self._read(file))
        if token is not None and token.value == value:
            file.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Check a few records and remove those that have ended; successive saves check all of them."""
        if not self._unswept:
            files = sorted(file for file in self._folder.iterdir() if file.name.endswith((_RECORD, _NEW)))
            start = int(self._jitter() * len(files))
            self._unswept = files[start:] + files[:start]
        for _ in range(min(SWEPT_PER_SAVE, len(self._unswept))):
            file = self._unswept.pop()
            # No other writer is at work, as the gate is held: a file with a temporary name is that of a killed one.
            record = None if file.name.endswith(_NEW) else self._read(file)
            if record is None or not _seconds_left(record, now=self._clock.time()):
                file.unlink(missing_ok=True)

    def _read(self, file: Path) -> Any:
        """Return a record; `None` if there is none, and an empty one if it is damaged."""
        try:
            with open_own(file) as opened:
                content = SecretBytes(opened.read())
        except FileNotFoundError:
            return None
        try:
            record = conceal(json.loads(content))  # its token must not be in a frame if writing fails
        except (ValueError, RecursionError):
            return {}
        return {} if record is None else record

    def _record_file(self, key: str) -> Path:
        return self._folder / f"{_name(key)}{_RECORD}"

    def _lock_file(self, key: str) -> Path:
        return self._folder / f"{_name(key)[:4]}.lock"

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise TokenStoreError(f"the token store {self._path!r} cannot be used: {reason}. {_fix(error)}") from error


def _name(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _fix(error: OSError) -> str:
    if error.errno in _FULL:
        return "Free some space there; the tokens saved before are untouched."
    if error.errno == errno.ELOOP:
        return "Give a path in a folder that no other user can write to."
    if error.errno in _SHAPE:
        return "Give the path of a file in a folder."
    return "Give this user the right to write in its folder, or choose another path."


def _try(path: Path) -> BaseFileLock | None:
    """Return a lock, held, or `None` while another has it: a process, a thread or a task of this one.

    Raises:
        TokenStoreError: the file system cannot lock.
    """
    lock = FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    except NotImplementedError:
        pass
    else:
        if not isinstance(lock, SoftFileLock):
            return lock
        lock.release()  # filelock's way where there are no locks; it outlives a killed holder
    raise TokenStoreError(
        f"the file system of {str(path.parent)!r} cannot lock files: keep the token store on a local disk"
    )


def _release(lock: BaseFileLock) -> None:
    """Release `lock`; a failure is only a warning, since the protected work is done."""
    try:
        lock.release()
    except OSError as error:
        _log.warning("the lock %s could not be released: %s", lock.lock_file, error.strerror)


def resolve(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of a store, links resolved except those that another user has made."""
    given = os.path.abspath(os.path.expanduser(path))
    if os.path.islink(given) and sys.platform != "win32" and os.lstat(given).st_uid not in {0, os.geteuid()}:
        return os.path.join(os.path.realpath(os.path.dirname(given)), os.path.basename(given))
    return os.path.realpath(given)


def _seconds_left(record: Any, *, now: float) -> float | None:
    """Return the seconds until a record ends, infinity if it never does, 0 if it has; `None` if it makes no sense.

    A clock that went backwards counts as no time at all.
    """
    try:
        seconds = record.get("expires_in", record.get("keep_for"))
        if seconds is None:
            return math.inf
        passed: float = max(now - record["saved"]["wall"], 0.0)
        return max(float(seconds) - passed, 0.0)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None
