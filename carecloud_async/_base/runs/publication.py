"""Publishing: how a finished file gets its name, whole, and at most once.

    partial_path    where a file is prepared: next to its target, links followed
    publish         gives it its name: the only way to do so; `publish_folder` does it for a folder
    Publication     what a run file notes before, so that it is finished after a kill

A hard link fails if the name is taken. Where there are no hard links, a rename takes its place after a look at the
name. The folder is synced, so that the name survives a crash.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from carecloud_async._base.runtime.durable_files import PRIVATE, copy_private, sync_folder

__all__ = ["Publication", "hard_link", "partial_path", "publish", "publish_folder"]

#: The errors of `os.link` on file systems without hard links (`EINVAL`: Windows), or where the user may make none.
_NO_HARD_LINKS: Final = {
    errno.EPERM,
    errno.EACCES,
    errno.EINVAL,
    errno.EMLINK,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EXDEV,
}


def partial_path(target: Path, *, owner: Path) -> Path:
    """Return the path where a file is prepared, beside the file that the target names, links followed.

    Args:
        target: the name that the file gets.
        owner: the run file that notes it: another one prepares a file of the same name elsewhere.
    """
    path = Path(os.path.realpath(target))
    mark = zlib.crc32(os.fsencode(os.path.realpath(owner)))
    return path.with_name(f".{path.name}.{mark:08x}.partial")


def hard_link(path: Path, name: Path) -> None:
    """Give a file another name.

    Raises:
        OSError: the name is taken, or the file system has no hard links.
    """
    os.link(path, name)


def publish(
    partial: Path,
    target: Path,
    *,
    overwrite: bool,
    mode: int = PRIVATE,
    link: Callable[[Path, Path], None] = hard_link,
) -> None:
    """Give a finished file its name; it is whole and synced. A target that is a link is written through.

    Args:
        partial: the file.
        target: the name; on another file system the file is copied first.
        overwrite: whether it may replace another file.
        mode: its permissions.
        link: makes a hard link.

    Raises:
        FileExistsError: the name is taken, and must not be replaced; nothing has changed.
        OSError: the file system refuses.
    """
    path = Path(os.path.realpath(target))
    if mode != PRIVATE:
        partial.chmod(mode)
    try:
        is_linked = not overwrite and _link(partial, path, link)
        if not is_linked:
            partial.replace(path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = path.with_name(partial.name)
        try:
            copy_private(partial, copy)
            publish(copy, path, overwrite=overwrite, mode=mode, link=link)
        finally:
            copy.unlink(missing_ok=True)
        partial.unlink()
    else:
        sync_folder(path.parent)
        if is_linked:  # no earlier: a power cut may undo the link, and not the removal of the other name
            partial.unlink()


def publish_folder(partial: Path, target: Path) -> None:
    """Give a finished folder its name, which is free or that of an empty folder; its files are synced.

    Raises:
        OSError: the name is taken, or the file system refuses.
    """
    sync_folder(partial)
    if sys.platform == "win32":  # which replaces no folder
        with contextlib.suppress(FileNotFoundError):
            target.rmdir()
    partial.rename(target)
    sync_folder(target.absolute().parent)


def _link(partial: Path, path: Path, link: Callable[[Path, Path], None]) -> bool:
    """Name a file by a hard link; return whether the file system has them."""
    try:
        link(partial, path)
    except OSError as error:
        if error.errno == errno.EEXIST or os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, f"{path} exists already") from None
        if error.errno not in _NO_HARD_LINKS:
            raise
        return False
    return True


@frozen(kw_only=True)
class Publication:
    """A file that is about to get its name, as its run file notes it.

    A file is recognized by its size and its time stamp: a link, a rename or a remount changes neither.

    Attributes:
        partial: the finished file.
        target: the name that it gets.
        size: its bytes.
        modified: its time stamp, in nanoseconds.
        form: the format of its content.
        report: what is to be reported, as JSON.
    """

    partial: str
    target: str
    size: int
    modified: int
    form: str = ""
    report: Any = field(default=None, repr=False)

    @classmethod
    def of(cls, partial: Path, target: Path, *, form: str = "", report: Any = None) -> Publication:
        """Note a finished file.

        Raises:
            OSError: it is not there.
        """
        status = partial.stat()
        return cls(
            partial=str(partial.absolute()),
            target=os.path.realpath(target),
            size=status.st_size,
            modified=status.st_mtime_ns,
            form=form,
            report=report,
        )

    @property
    def is_waiting(self) -> bool:
        """Whether the file has no name yet."""
        return self._is_at(self.partial)

    @property
    def is_published(self) -> bool:
        """Whether the file has its name, and was not changed since."""
        return self._is_at(self.target)

    def is_published_as(self, target: Path) -> bool:
        """Return whether the file has this name, and was not changed since."""
        return os.path.realpath(target) == self.target and self.is_published

    def _is_at(self, path: str) -> bool:
        try:
            status = os.stat(path)
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.modified)
