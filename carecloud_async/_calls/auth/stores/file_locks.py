"""The locks between processes in the folder of a token store."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from carecloud_async._calls.auth.stores.record_folder import RecordFolder
from carecloud_async.errors import TokenStoreError

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
