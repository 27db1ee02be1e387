"""Files that survive a crash and that no other user can read or redirect: private, replaced atomically, never links.

The last functions name the user's own folders: for state, for configuration, and for temporary files.

On systems without user ids (Windows) ownership is not checked; folders there are private by their access lists.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
from collections.abc import Mapping
from io import BufferedRandom, BufferedReader
from pathlib import Path

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

    Some systems cannot open or sync a folder. Files are correct there too, and the system decides how durable a rename
    is.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_same_file(first: str | os.PathLike[str] | int, second: str | os.PathLike[str] | int) -> bool:
    """Return whether two paths or open descriptors are one file: by name, links followed, or by device and inode.

    Devices such as `/dev/null` do not count: two writers do not harm each other there.
    """
    named = [os.path.normcase(os.path.realpath(file)) for file in (first, second) if not isinstance(file, int)]
    try:
        status = os.stat(first)
    except OSError:
        status = None
    if status is not None and stat.S_ISCHR(status.st_mode):
        return False
    if len(named) == 2 and named[0] == named[1]:
        return True
    try:
        return status is not None and os.path.samestat(status, os.stat(second))
    except OSError:
        return False


def is_private(status: os.stat_result) -> bool:
    """Return whether a file of this status is closed to other users; always true on systems without permission bits."""
    return not hasattr(os, "geteuid") or not stat.S_IMODE(status.st_mode) & 0o077


def require_own(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    """Check that a file of this status belongs to this user.

    Raises:
        PermissionError: it belongs to another user.
    """
    if not _is_own(status):
        raise PermissionError(errno.EPERM, f"{os.fspath(path)} belongs to another user")


def claim_folder(path: Path) -> None:
    """Make a folder that is private to this user, or take one of this user's own that is there.

    Once it is private nothing can be put into it; what was put there before must be this user's own regular files.

    Raises:
        PermissionError: it is a link or belongs to another user, or holds such a file; the message says which.
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise PermissionError(None, f"{path} is not a folder")
    if not _is_own(status):
        raise PermissionError(None, f"{path} belongs to another user")
    if not is_private(status):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _COMMON)
        try:
            os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)
    for entry in path.iterdir():
        try:
            status = entry.lstat()
        except FileNotFoundError:  # another process has removed it meanwhile
            continue
        if not (stat.S_ISREG(status.st_mode) and _is_own(status)):
            raise PermissionError(None, f"{entry} is a link or belongs to another user")


def create_private(path: Path) -> BufferedRandom:
    """Create a file for reading and writing. A file of that name is removed; of a link, the link and not its target.

    Raises:
        OSError: it cannot be created.
    """
    path.unlink(missing_ok=True)
    # The mode is set at creation: a file that becomes private only later can be opened in between.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _COMMON, PRIVATE)
    return os.fdopen(descriptor, "w+b")


def touch_private(path: Path) -> None:
    """Create an empty file that only this user may open, or check the one that is there.

    Raises:
        PermissionError: it is a link, not a regular file, belongs to another user, or has a second name.
        OSError: it cannot be created or opened.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _COMMON, PRIVATE))
    except FileExistsError:
        open_private(path).close()


def open_own(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file of this user for reading.

    Raises:
        FileNotFoundError: it is gone.
        PermissionError: it is a link (`errno.ELOOP`), not a regular file (`errno.EINVAL`), or belongs to another user
            (`errno.EPERM`); the text says which.
        OSError: it cannot be opened.
    """
    return os.fdopen(_open_own(path, os.O_RDONLY), "rb")


def open_private(path: Path) -> BufferedRandom:
    """Open a file that `create_private` made, for reading and writing.

    Raises:
        FileNotFoundError: it is gone.
        PermissionError: it is a link, not a regular file, belongs to another user, or has a second name.
        OSError: it cannot be opened.
    """
    file = os.fdopen(_open_own(path, os.O_RDWR), "r+b")
    if os.fstat(file.fileno()).st_nlink > 1:
        file.close()
        raise PermissionError(errno.EMLINK, f"{path} has a second name: remove the other one, which is a hard link")
    return file


def copy_private(source: Path, target: Path) -> None:
    """Copy a file of this user, with its time stamp, into a private one, durably; the caller syncs the folder.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: it is a link, not a regular file, or belongs to another user.
        OSError: it cannot be read or written.
    """
    with open_own(source) as old, create_private(target) as new:
        shutil.copyfileobj(old, new, 1 << 20)
        new.flush()
        status = os.fstat(old.fileno())
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(new.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Write a private file so that a crash leaves either the old file or the new one.

    The caller syncs the folder's entry, with `sync_folder`.

    Raises:
        OSError: it cannot be written; the old file is unchanged, and no temporary file is left.
    """
    temporary = temporary_path(path)
    try:
        with create_private(temporary) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def temporary_path(path: Path) -> Path:
    """Return the temporary path of a file's new content, until `replace_file` renames it."""
    return path.with_name(f"{path.name}.new")


def _open_own(path: str | os.PathLike[str], flags: int) -> int:
    try:
        descriptor = os.open(path, flags | _COMMON)
    except OSError:
        if os.path.islink(path):
            problem = f"{os.fspath(path)} is a link, which is not followed: name the file itself"
            raise PermissionError(errno.ELOOP, problem) from None
        raise
    try:
        _require_own_file(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_own_file(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise PermissionError(errno.EINVAL, f"{os.fspath(path)} is not a regular file")
    require_own(status, path)


def _is_own(status: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


_NAME = "carecloud-async"


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of state: `$XDG_STATE_HOME` or `~/.local/state`, on Windows `%LOCALAPPDATA%`."""
    return _folder(environ, "XDG_STATE_HOME", ".local/state", on_windows="LOCALAPPDATA")


def config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of configuration: `$XDG_CONFIG_HOME` or `~/.config`, on Windows `%APPDATA%`."""
    return _folder(environ, "XDG_CONFIG_HOME", ".config", on_windows="APPDATA")


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of temporary files: `$XDG_CACHE_HOME` or `~/.cache`, on Windows `%LOCALAPPDATA%`."""
    return _folder(environ, "XDG_CACHE_HOME", ".cache", on_windows="LOCALAPPDATA")


def _folder(environ: Mapping[str, str], variable: str, default: str, *, on_windows: str) -> Path:
    if sys.platform == "win32":
        return Path(environ.get(on_windows) or _home()) / _NAME
    return Path(environ.get(variable) or _home() / default) / _NAME


def _home() -> Path:
    """Return the user's home; the root folder for a user id that has none, as container runtimes do."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.path.abspath(os.sep))
