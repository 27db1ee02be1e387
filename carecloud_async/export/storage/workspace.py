"""The directory next to a target where an export is prepared: records, checkpoint, lock.

The file is made there, moved to its final name when it is complete, and the directory is removed. The directory and all
files in it are private to their user, because folders are shared and exports hold personal data. In a folder that
others may write to, only its sticky bit (as `/tmp` has) keeps them from renaming your files.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import filelock
from attrs import frozen

from carecloud_async.errors import ExportError
from carecloud_async.export.errors import disk_error
from carecloud_async.export.report import ExportReport
from carecloud_async.export.storage.checkpoint import read_durable, write_durably
from carecloud_async.export.storage.target import Target
from carecloud_async.fixes import OVERWRITE
from carecloud_async.runtime.durable_files import PRIVATE, claim_folder, sync_folder

__all__ = ["Done", "Workspace"]

#: The errors of `os.link` on file systems without hard links (`EINVAL`: Windows), or where the user may make none.
_NO_HARD_LINKS = {
    errno.EPERM,
    errno.EACCES,
    errno.EINVAL,
    errno.EMLINK,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EXDEV,
}


@frozen(kw_only=True)
class Done:
    """The record of a finished export, written before its file gets the final name.

    Attributes:
        fingerprints: digests of what was exported.
        size: bytes of the file.
        modified: its time stamp, in nanoseconds.
        report: what was reported.
        replaced: the version of the object that an upload replaces, see `StoredObject`.
    """

    fingerprints: dict[str, str]
    size: int
    modified: int
    report: ExportReport
    replaced: str | None = None


class Workspace:
    """The working folder of one export. Everything blocks.

    Args:
        target: what is exported to.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        path = target.path
        self.directory: Path = path.with_name(f"{path.name}.partial")
        self.records: Path = self.directory / "records"
        self.checkpoint: Path = self.directory / "checkpoint.json"
        self.seen: Path = self.directory / "seen.db"
        self.output: Path = self.directory / "output"
        self._done = path.with_name(f".{path.name}.done")
        self._lock = filelock.FileLock(self.directory / "lock", timeout=0, mode=PRIVATE, thread_local=False)

    def open(self) -> None:
        """Make the folder and lock it.

        Raises:
            ExportError: it cannot be made, or another export uses it.
        """
        target = self._target
        try:
            if target.url is not None:
                target.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            claim_folder(self.directory)
            self._lock.acquire()
        except filelock.Timeout:
            raise ExportError(f"{target.shown}: another export to it is running") from None
        except OSError as error:
            if error.errno is None:
                raise ExportError(
                    f"{target.shown}: {error.strerror}: remove it, or export to another folder"
                ) from error
            raise disk_error(target.shown, error) from error

    def close(self) -> None:
        """Close the folder, and remove it if it holds nothing to resume. Does nothing if it is not open."""
        if not self._lock.is_locked:
            return
        if not self.checkpoint.exists():
            # Nothing to resume: remove the folder while it is locked, so that another export's new one is kept.
            shutil.rmtree(self.directory, ignore_errors=True)
        self._lock.release()

    def clear(self) -> None:
        """Remove the files of an earlier run, the checkpoint first: it must never describe other files."""
        for path in (self.checkpoint, self.records, self.output):
            path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove the leftovers of an export that was killed right after its file got the final name."""
        if self.directory.is_dir():
            self.open()
            try:
                self.clear()
            finally:
                self.close()

    def clear_seen(self) -> None:
        """Drop the ids that an earlier run saw."""
        for path in self.directory.glob("seen.db*"):
            path.unlink(missing_ok=True)

    def finished(self, fingerprints: dict[str, str]) -> ExportReport | None:
        """Return the report of the same export if it is done and its file untouched.

        Raises:
            ExportError: the storage of a URL cannot be asked.
        """
        try:
            done = read_durable(self._done, Done)
        except (OSError, ValueError):
            return None
        return done.report if done.fingerprints == fingerprints and self._is_published(done) else None

    def _is_published(self, done: Done) -> bool:
        """Return whether the target is still the file of the finished export."""
        if self._target.url is not None:
            # Until an upload succeeds, the URL holds the object that it replaces.
            stored = self._target.stored()
            return stored is not None and stored.version != done.replaced and stored.size in {None, done.size}
        try:
            found = self._target.path.stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (done.size, done.modified)

    def publish(self, file: Path, *, overwrite: bool, mode: int = PRIVATE) -> None:
        """Give a finished file its final name.

        Args:
            file: the file.
            overwrite: whether it may replace another.
            mode: its permissions.

        Raises:
            ExportError: the name was taken meanwhile.
            OSError: the file system refuses.
        """
        path = self._target.path
        if mode != PRIVATE:
            file.chmod(mode)
        if overwrite:
            file.replace(path)
        else:
            self._publish_new(file, path)
        sync_folder(path.parent)

    def _publish_new(self, file: Path, path: Path) -> None:
        try:
            os.link(file, path)
        except OSError as error:
            if error.errno == errno.EEXIST or os.path.lexists(path):
                raise ExportError(f"{self._target.shown} exists already", fix=OVERWRITE) from None
            if error.errno not in _NO_HARD_LINKS:
                raise
            file.replace(path)

    def remember(self, file: Path, fingerprints: dict[str, str], report: ExportReport) -> None:
        """Record that the export is finished, before its file gets the final name."""
        found = file.stat()
        replaced = None if self._target.url is None else self._target.stored()
        done = Done(
            fingerprints=fingerprints,
            size=found.st_size,
            modified=found.st_mtime_ns,
            report=report,
            replaced=None if replaced is None else replaced.version,
        )
        write_durably(self._done, done)

    def forget(self) -> None:
        """Remove the record of a finished export."""
        self._done.unlink(missing_ok=True)
