"""Files that survive a crash and that no other user can read or redirect: private, replaced whole, never through links.

On systems without user ids (Windows) ownership is not checked; folders there are private by their access lists.
"""

from __future__ import annotations

import contextlib
import os
import stat
from io import BufferedRandom
from pathlib import Path

__all__ = [
    "PRIVATE",
    "claim_folder",
    "create_private",
    "is_own_file",
    "open_private",
    "read_private",
    "replace_file",
    "sync_folder",
]

#: Readable and writable by their owner alone.
PRIVATE = 0o600

# Windows lacks some of these and needs O_BINARY.
_COMMON = (
    getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe must not hang
)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Write a folder's entries to the disk, where the system can.

    Not every system can open or sync a folder, and none needs it to be right: a rename is then as durable as it makes
    it.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_own_file(status: os.stat_result) -> bool:
    """Return whether a status is that of a regular file of this user, which no second name leads to."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink <= 1 and _is_own(status)


def claim_folder(path: Path) -> None:
    """Make a folder that is private to this user, or take one of this user's own that is there.

    Once it is private nothing can be put into it; what was put there before must be this user's own regular files.

    Raises:
        PermissionError: it is a link or somebody else's, or holds such a thing; the text says which.
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise PermissionError(None, f"{path} is not a folder")
    if not _is_own(status):
        raise PermissionError(None, f"{path} belongs to another user")
    if hasattr(os, "geteuid") and stat.S_IMODE(status.st_mode) & 0o077:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _COMMON)
        try:
            os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)
    for entry in path.iterdir():
        status = entry.lstat()
        if not (stat.S_ISREG(status.st_mode) and _is_own(status)):
            raise PermissionError(None, f"{entry} is a link or belongs to another user")


def create_private(path: Path) -> BufferedRandom:
    """Create a file for reading and writing; what stood under its name is removed, a link itself and not its target.

    Raises:
        OSError: it cannot be created.
    """
    path.unlink(missing_ok=True)
    # The mode is given at birth: made public first and narrowed later, a file can be opened in between.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _COMMON, PRIVATE)
    return os.fdopen(descriptor, "w+b")


def open_private(path: Path) -> BufferedRandom:
    """Open a file that `create_private` made, for reading and writing.

    Raises:
        FileNotFoundError: it is gone.
        PermissionError: it is a link, not a regular file, or belongs to somebody else.
        OSError: it cannot be opened.
    """
    return os.fdopen(_open_own(path, os.O_RDWR), "r+b")


def read_private(path: Path) -> bytes:
    """Return what a private file holds.

    Raises:
        FileNotFoundError: it is gone.
        PermissionError: it is a link, not a regular file, or belongs to somebody else.
        OSError: it cannot be read.
    """
    with os.fdopen(_open_own(path, os.O_RDONLY), "rb") as file:
        return file.read()


def replace_file(path: Path, data: bytes) -> None:
    """Write a private file so that a crash leaves either the old file or the new one.

    Raises:
        OSError: it cannot be written; the old file is as it was.
    """
    beside = path.with_name(f"{path.name}.new")
    with create_private(beside) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _open_own(path: Path, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | _COMMON)
    except OSError:
        if path.is_symlink():
            raise PermissionError(None, f"{path} is a link, which is not followed") from None
        raise
    if not is_own_file(os.fstat(descriptor)):
        os.close(descriptor)
        raise PermissionError(None, f"{path} is not a regular file of this user")
    return descriptor


def _is_own(status: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
