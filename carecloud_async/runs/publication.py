"""Publishing: how a finished file gets its name, whole, and at most once.

    partial_path    where a file is prepared: next to its target, links followed
    publish         gives it its name: the only way to do so
    Publication     what a run file notes before, so that it is finished after a kill

A hard link fails if the name is taken. Where there are no hard links, a rename takes its place after a look at the
name. The folder is synced, so that the name survives a crash.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from carecloud_async.runtime.durable_files import PRIVATE, sync_folder

__all__ = ["Publication", "partial_path", "publish"]

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


def partial_path(target: Path) -> Path:
    """Return the path where a file is prepared, beside the file that the target names, links followed."""
    path = Path(os.path.realpath(target))
    return path.with_name(f".{path.name}.partial")


def publish(
    partial: Path,
    target: Path,
    *,
    overwrite: bool,
    mode: int = PRIVATE,
    link: Callable[[Path, Path], None] = os.link,
) -> None:
    """Give a finished file its name; it is whole and synced. A target that is a link is written through.

    Args:
        partial: the file.
        target: the name.
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
    if overwrite:
        partial.replace(path)
    else:
        try:
            link(partial, path)
        except OSError as error:
            if error.errno == errno.EEXIST or os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, f"{target} exists already") from None
            if error.errno not in _NO_HARD_LINKS:
                raise
            partial.replace(path)
        else:
            partial.unlink()
    sync_folder(path.parent)


@frozen(kw_only=True)
class Publication:
    """A file that is about to get its name, as its run file notes it.

    A file is told by its size and its time stamp, which a link, a rename and a remount leave as they are.

    Attributes:
        partial: the finished file.
        target: the name that it gets.
        size: its bytes.
        modified: its time stamp, in nanoseconds.
        report: what is to be reported, as JSON.
    """

    partial: str
    target: str
    size: int
    modified: int
    report: Any = field(default=None, repr=False)

    @classmethod
    def of(cls, partial: Path, target: Path, *, report: Any) -> Publication:
        """Note a finished file.

        Raises:
            OSError: it is not there.
        """
        found = partial.stat()
        return cls(
            partial=str(partial.absolute()),
            target=os.path.realpath(target),
            size=found.st_size,
            modified=found.st_mtime_ns,
            report=report,
        )

    @property
    def is_waiting(self) -> bool:
        """Whether the file has no name yet."""
        return self._is_at(self.partial)

    def is_published_as(self, target: Path) -> bool:
        """Return whether the file has this name, and was not changed since."""
        return os.path.realpath(target) == self.target and self._is_at(self.target)

    def _is_at(self, path: str) -> bool:
        try:
            found = os.stat(path)
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.modified)
