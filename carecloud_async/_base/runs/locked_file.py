"""`LockedFile`: the file under an SQLite database of ours: held by one run, recognised, and sealed while it is closed.

    lock    one byte of the file itself, released when the file is closed or the process ends: nothing is to be removed
    mark    SQLite's `application_id`: a file without it is never changed
    seal    SQLite's `user_version`: a checksum of the file since it was closed, 0 while it is open

Without the seal a bit that flips in a closed file could pass for a deleted record: SQLite checks its pages roughly.
The seal costs a reading of the file at its opening and its closing: a gigabyte a second.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
import threading
import weakref
import zlib
from io import BufferedRandom, FileIO
from pathlib import Path
from typing import Final, cast

from carecloud_async._base.runtime.durable_files import open_own, open_private, touch_private

__all__ = ["MARK", "LockedFile"]

#: The `application_id` of run files.
MARK: Final = 0x43435254

_MAGIC: Final = b"SQLite format 3\0"
_SEAL_AT: Final = 60
_MARK_AT: Final = 68
_HEADER: Final = 100
_CHUNK: Final = 1 << 20
#: A byte beside those that SQLite locks, in the page that it leaves free for locks.
_LOCKED_BYTE: Final = 0x40000000 + 512

#: Files that this process holds. Without locks of open files, which Linux has, a process loses its locks on a file when
#: it closes any descriptor of it. So none is opened again here, and `relock` follows when SQLite has closed its own.
_held: set[tuple[int, int]] = set()
_guard = threading.Lock()
#: The open files, whose descriptors a forked child closes: its parent holds them.
_open_files: Final[weakref.WeakSet[LockedFile]] = weakref.WeakSet()


def _let_go_in_child() -> None:
    global _guard
    _guard = threading.Lock()
    _held.clear()
    for file in [*_open_files]:
        file._file.raw.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)


class LockedFile:
    """A private file that is locked from its opening to its closing. Everything blocks.

    Args:
        path: the file, made if it is not there.

    Attributes:
        path: the file.
        is_new: whether it was made.

    Raises:
        BlockingIOError: another run holds it.
        OSError: it cannot be opened, or is not this user's own regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_new: bool
        self._place = path.absolute()  # the program may change its folder
        with _guard:
            self._file, self.is_new = _lock(path)
            self._key = _key(os.fstat(self._file.fileno()))
            _held.add(self._key)
            _open_files.add(self)

    @property
    def is_empty(self) -> bool:
        """Whether it has no content: a new file, or one whose first run was killed at its beginning."""
        return os.fstat(self._file.fileno()).st_size == 0

    @property
    def mark(self) -> int | None:
        """SQLite's `application_id`, which names the program of a file; `None` if it is no SQLite file."""
        header = self._read(0, _HEADER)
        return int.from_bytes(header[_MARK_AT : _MARK_AT + 4], "big") if header.startswith(_MAGIC) else None

    @property
    def is_intact(self) -> bool:
        """Whether it holds what it held when it was closed. A file whose run was killed has no seal, and counts."""
        seal = int.from_bytes(self._read(_SEAL_AT, 4), "big")
        return seal in {0, self._checksum()}

    def unseal(self) -> None:
        """Remove the seal before the content changes, and refuse journals that SQLite would take for its own.

        Raises:
            PermissionError: a journal beside the file is a link or belongs to another user.
            OSError: the disk refuses.
        """
        for path in self._journals:
            with contextlib.suppress(FileNotFoundError):
                open_own(path).close()
        if not self.is_empty:
            self._write_seal(0)

    def sync(self) -> None:
        """Make the content durable."""
        os.fsync(self._file.fileno())

    def seal(self) -> None:
        """Seal the content, if there is any; the database is closed."""
        if not self.is_empty:  # a disk that is full may have taken none
            self._write_seal(self._checksum())

    def clear(self) -> None:
        """Remove the content."""
        for path in self._journals:
            path.unlink(missing_ok=True)
        self._raw.truncate(0)

    def has_its_name(self) -> bool:
        """Return whether the path still leads to this file, which may have been moved, replaced or removed.

        Raises:
            OSError: the folder cannot be read.
        """
        return _is_named(self._place, self._key)

    def relock(self) -> bool:
        """Lock the file again after SQLite has closed it; return whether no other run has taken or removed it."""
        try:
            if sys.platform != "win32":  # which keeps the lock, and refuses the same one twice
                _lock_byte(self._file)
            return self.has_its_name()
        except (OSError, ValueError):  # of a closed file: a forked child's
            return False

    def close(self, *, remove: bool = False) -> None:
        """Close the file and release its lock; a file that is removed is gone before another run can lock it."""
        with _guard:
            if remove and sys.platform != "win32":
                self.path.unlink(missing_ok=True)
            _held.discard(self._key)
            self._file.close()
        if remove and sys.platform == "win32":  # which removes no open file, so that none is lost
            self.path.unlink(missing_ok=True)

    @property
    def _journals(self) -> list[Path]:
        return [self.path.with_name(self.path.name + suffix) for suffix in ("-wal", "-journal")]

    @property
    def _raw(self) -> FileIO:
        return cast("FileIO", self._file.raw)  # unbuffered: SQLite writes the file too

    def _read(self, offset: int, size: int) -> bytes:
        self._raw.seek(offset)
        return self._raw.read(size)

    def _checksum(self) -> int:
        """Return the checksum of the content without the seal, which is not 0."""
        head = self._read(0, _HEADER)
        checksum = zlib.crc32(head[:_SEAL_AT] + head[_SEAL_AT + 4 :])
        while chunk := self._raw.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
        return checksum or 1

    def _write_seal(self, seal: int) -> None:
        self._raw.seek(_SEAL_AT)
        self._raw.write(seal.to_bytes(4, "big"))
        os.fsync(self._raw.fileno())


def _lock(path: Path) -> tuple[BufferedRandom, bool]:
    """Return the locked file, and whether it was made."""
    is_new = False
    while True:
        try:
            if _key(path.lstat()) in _held:
                raise BlockingIOError(errno.EAGAIN, "another run of this process holds it")
        except FileNotFoundError:
            touch_private(path)  # SQLite syncs the folder with its first commit, for the log that it makes
            is_new = True
        with contextlib.suppress(FileNotFoundError):  # another run has ended meanwhile and removed it
            file = open_private(path)
            try:
                _lock_byte(file)
                if _is_named(path, _key(os.fstat(file.fileno()))):
                    return file, is_new
                file.close()
            except BaseException:
                file.close()
                raise


def _lock_byte(file: BufferedRandom) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.raw.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        elif not _lock_open_file(file):
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LOCKED_BYTE)
    except PermissionError:  # what Windows and some other systems say of a lock that is held
        raise BlockingIOError(errno.EAGAIN, "another run holds it") from None


def _lock_open_file(file: BufferedRandom) -> bool:
    """Lock the byte for the open file: the lock stays when the process closes another descriptor, such as a backup's.

    Returns:
        whether the system has such locks, as Linux does; some containers lack them.
    """
    import fcntl

    try:
        lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, _LOCKED_BYTE, 1, 0)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
    except AttributeError:
        return False
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOSYS}:
            raise
        return False
    return True


def _is_named(path: Path, key: tuple[int, int]) -> bool:
    try:
        return _key(path.lstat()) == key
    except (FileNotFoundError, NotADirectoryError):
        return False


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
