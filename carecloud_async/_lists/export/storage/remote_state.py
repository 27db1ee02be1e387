"""`RemoteState`: a state file that lives in a storage service: fetched when a run begins, stored when it is complete.

    fetch      a copy into a private folder of this machine, and the version of the object
    store      the state as one object, only if the object is still that version

A run that is killed between leaves the object as it was: the next run begins from the last complete one, and brings its
records again. Two runs at once, of two machines, cannot both store: the later one fails and has changed nothing.

S3 compares the version itself (`If-Match`). Ceph's gateway, which several clouds run, compares it without the quotes
that belong to an ETag, so a refused condition is sent again without them if the object is unchanged. Each write has a
mark of its own, by which a write whose answer was lost is recognised.

Elsewhere a lock object, `<state>.lock`, is created for the moment in which the version is compared and the object is
replaced. It is created by a call that fails if the object is there, which is atomic on Google Cloud Storage and Azure.
The lock object of a killed run is removed after a minute without change. There a write whose answer was lost is
recognised by its content.
"""

from __future__ import annotations

import errno
import filecmp
import os
import secrets
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from shutil import copyfileobj, rmtree
from typing import Any, Final

from carecloud_async._base.runs import Database
from carecloud_async._base.runtime.durable_files import create_private
from carecloud_async._lists.export.storage.urls import (
    find_secrets,
    is_url,
    mask_url,
    open_storage,
    put_whole,
    storage_errors,
    unfinished,
)
from carecloud_async.errors import ExportError
from carecloud_async.fixes import DELETE

__all__ = ["StatePlace", "state_place"]

#: Error codes of S3 for an object that is not the named version, or is being replaced.
_CHANGED: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})
#: Error codes of servers that cannot compare versions.
_NOT_IMPLEMENTED: Final = frozenset({"NotImplemented", "501"})  # the second one if the answer has no body
#: The name of an object's metadata that holds the mark of the write that made it.
_MARK: Final = "carecloud-write"
#: Seconds after which the lock object of a killed run is removed.
_STALE: Final = 60
#: For how many seconds a write without an answer is looked for: less than the above.
_LATE: Final = 30


def state_place(given: str | os.PathLike[str]) -> StatePlace:
    """Return the place of a state that the user named by a path, which may be written as `file://`, or by a URL."""
    return RemoteState(str(given)) if is_url(str(given)) else StatePlace(Path(str(given).removeprefix("file://")))


class StatePlace:
    """The place of a state: a file of this machine, which needs no more than to be there. Everything blocks.

    Args:
        path: the file.

    Attributes:
        path: the file of this machine.
        shown: what messages call it: the path, or the URL without its secrets.
    """

    #: Whether the state lives in a storage service.
    is_remote = False

    def __init__(self, path: Path, *, shown: str | None = None) -> None:
        self.path: Path = path
        self.shown: str = shown or str(path)

    def fetch(self) -> None:
        """Fetch the state into the file."""

    def require_unchanged(self) -> None:
        """Check that no other run has stored the state since it was fetched."""

    def store(self, database: Database) -> None:
        """Store the state: the open database, which has no transaction."""

    def close(self) -> None:
        """Remove what was fetched."""


class RemoteState(StatePlace):
    """A state in a storage service of fsspec; see the module.

    Args:
        url: its URL.
    """

    is_remote = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._secrets = find_secrets(url)
        self._folder = Path(tempfile.gettempdir(), f"carecloud-state-{secrets.token_hex(8)}")
        super().__init__(self._folder / "state", shown=mask_url(url))
        self._version: str | None = None
        self._storage: Any = None
        self._key = ""

    def fetch(self) -> None:
        """Fetch the object; nothing if there is none.

        Raises:
            ExportError: the storage refuses, or the object is no state.
            OSError: the disk refuses.
        """
        self._folder.mkdir(mode=0o700)
        packed = self._folder / "object"
        with self._errors():
            self._storage, self._key = open_storage(self._url, role="state")
            while True:
                self._version = self._read_version()
                if self._version is None:
                    self._require_no_other()
                    return
                self._storage.get_file(self._key, str(packed))
                size = self._storage.size(self._key)
                if self._read_version() == self._version:  # otherwise another run has replaced it meanwhile
                    break
        if (arrived := packed.stat().st_size) < (size or 0):
            raise ExportError(f"{self.shown}: only {arrived:,} of its {size:,} bytes arrived: run again")
        try:
            self._unpack(packed)
        except Exception as error:
            # Damaged archives raise errors of many kinds: also one of the system, for a place before the beginning.
            if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
                raise
            raise ExportError(f"{self.shown} is no state, or is damaged", fix=DELETE) from None
        if not self.path.exists():
            raise ExportError(f"{self.shown} is an archive without a state: name another URL")
        packed.unlink()

    def _require_no_other(self) -> None:
        """Check that no run was killed in the moment in which there is no object, as some services rename."""
        if self._storage.exists(unfinished(self._key)):
            other = unfinished(self.shown)
            raise ExportError(
                f"{self.shown} is gone, as a run was stopped while it stored {other}: rename that one to it, or "
                f"delete {other} to begin again"
            )

    def _unpack(self, packed: Path) -> None:
        with zipfile.ZipFile(packed) as archive:
            if self.path.name not in archive.namelist():
                return
            with archive.open(self.path.name) as source, create_private(self.path) as file:
                copyfileobj(source, file)

    def require_unchanged(self) -> None:
        """Check that no other run has stored the state since it was fetched.

        Raises:
            ExportError: one has, or the storage refuses.
        """
        with self._errors():
            if self._read_version() != self._version:
                raise self._changed()

    def store(self, database: Database) -> None:
        """Replace the object, if it is still the one that was fetched.

        Args:
            database: the open state, without a transaction.

        Raises:
            ExportError: another run has stored the state meanwhile, or the storage refuses; the object is unchanged,
                unless the storage gives no answer for half a minute, or is that late.
            OSError: the disk refuses.
        """
        copy, packed = self._folder / "copy", self._folder / "object"
        copy.unlink(missing_ok=True)
        create_private(packed).close()
        database.copy_to(copy)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.write(copy, self.path.name)
        copy.unlink()
        with self._errors():
            self._version = self._replace(packed)
        packed.unlink()

    def close(self) -> None:
        """Remove the files of this machine."""
        rmtree(self._folder, ignore_errors=True)

    def _replace(self, packed: Path) -> str | None:
        storage = self._storage
        if hasattr(storage, "call_s3"):
            version = self._replace_on_s3(packed)
            if version is not None:
                return version
        with self._lock_object():
            if self._read_version() != self._version:
                raise self._changed()
            try:
                put_whole(storage, packed, self._key)
            except Exception:
                if (written := self._find_written(partial(self._written_from, packed))) is None:
                    raise
                return written
            return self._find_written(self._read_version)

    def _replace_on_s3(self, packed: Path) -> str | None:
        """Replace the object by a request with a condition; return its version, or `None` if the server knows none."""
        bucket, key, _ = self._storage.split_path(self._key)
        mark = secrets.token_hex(16)
        for condition in _conditions(self._version):
            if self._read_version() != self._version:  # some servers ignore conditions
                break
            try:
                with packed.open("rb") as body:
                    answer = self._storage.call_s3(
                        "put_object", Bucket=bucket, Key=key, Body=body, Metadata={_MARK: mark}, **condition
                    )
            except Exception as error:
                codes = _codes(error)
                if codes & _NOT_IMPLEMENTED:
                    return None
                # A request whose answer was lost is repeated, and its repetition is refused.
                find = partial(self._written_with, mark)
                if (written := find() if codes & _CHANGED else self._find_written(find)) is not None:
                    return written
                if not codes & _CHANGED:
                    raise
            else:
                self._storage.invalidate_cache()
                return str(answer["ETag"])
        raise self._changed()

    def _find_written(self, find: Callable[[], str | None]) -> str | None:
        """Return the version of the object once it is the one that was written; `None` if it does not become that.

        The run's file has its name already. If the run failed although its state is stored, its repetition would
        replace the file by one of what changed since.
        """
        for _ in range(_LATE):
            with suppress(Exception):
                if (version := find()) is not None:
                    return version
            time.sleep(1)
        return find()

    def _written_from(self, packed: Path) -> str | None:
        """Return the version of the object if it has the content of a file."""
        version = self._read_version()
        if version is None or version == self._version:
            return None
        copy = self._folder / "copy"
        self._storage.get_file(self._key, str(copy))
        return version if filecmp.cmp(packed, copy, shallow=False) else None

    def _written_with(self, mark: str) -> str | None:
        """Return the version of the object if it is the write with this mark."""
        if self._read_version() is None:
            return None
        bucket, key, _ = self._storage.split_path(self._key)
        head = self._storage.call_s3("head_object", Bucket=bucket, Key=key)
        return str(head["ETag"]) if head.get("Metadata", {}).get(_MARK) == mark else None

    def _read_version(self) -> str | None:
        """Return the version of the object; `None` if there is none."""
        storage, key = self._storage, self._key
        storage.invalidate_cache()
        try:
            info = storage.info(key)
        except FileNotFoundError:
            return None
        return str(info["ETag"]) if hasattr(storage, "call_s3") and "ETag" in info else str(storage.ukey(key))

    @contextmanager
    def _lock_object(self) -> Iterator[None]:
        """Hold the lock object for a block."""
        storage, lock, token = self._storage, f"{self._key}.lock", secrets.token_bytes(16)
        seen, waited = b"", 0
        while True:
            with suppress(FileExistsError):
                storage.pipe_file(lock, token, mode="create")
            with suppress(FileNotFoundError):  # which was removed meanwhile
                storage.invalidate_cache()
                holder = bytes(storage.cat_file(lock))
                if holder == token:
                    break
                waited = waited + 1 if holder == seen else 0
                seen = holder
                if waited >= _STALE:
                    with suppress(FileNotFoundError):
                        storage.rm_file(lock)
                # Also after removing it: another run may be about to remove it too, and would remove that of this run.
                time.sleep(1)
        try:
            yield
        finally:
            # Failing, it fails no run: a lock object that stays is removed later. Another run may have it by now.
            with suppress(Exception):
                storage.invalidate_cache()
                if storage.cat_file(lock) == token:
                    storage.rm_file(lock)

    def _changed(self) -> ExportError:
        return ExportError(
            f"{self.shown}: another run has stored this state meanwhile, and it is left as that run stored it: run "
            "again, and one run at a time"
        )

    def _errors(self) -> Any:
        return storage_errors(self.shown, self._secrets)


def _conditions(version: str | None) -> list[dict[str, str]]:
    """Return the conditions of a write to S3, in the order in which they are tried."""
    if version is None:
        return [{"IfNoneMatch": "*"}]
    return [{"IfMatch": version}, {"IfMatch": version.strip('"')}]


def _codes(error: BaseException | None) -> set[str]:
    """Return the codes of an error of S3, which s3fs wraps in one of the system."""
    codes: set[str] = set()
    while error is not None:
        answer: Any = getattr(error, "response", None)
        if isinstance(answer, dict):
            codes.add(str(answer.get("Error", {}).get("Code", "")))
        error = error.__cause__ or error.__context__
    return codes
