"""Targets of exports: a file, a URL of a storage service, or something that is written to directly."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from attrs import field, frozen

from carecloud_async._base.runtime.durable_files import cache_folder, is_same_file
from carecloud_async._lists.export.errors import BadExportError, disk_error, disk_errors
from carecloud_async._lists.export.formats.registry import Format, format_of
from carecloud_async._lists.export.storage.urls import (
    find_secrets,
    is_url,
    mask_passwords,
    mask_url,
    open_storage,
    put_whole,
    storage_errors,
)
from carecloud_async.errors import ExportError
from carecloud_async.fixes import OVERWRITE, RESUME, ROOM

__all__ = ["Target", "read_target"]

_DESCRIPTOR = re.compile(r"/(dev|proc/(self|\d+))/fd/(\d+)")
_STANDARD = {"-": 1, "/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


@frozen(kw_only=True)
class StoredObject:
    """An object of a storage service.

    Attributes:
        version: differs from the version of an object that replaces it.
        size: its bytes; `None` if the service does not say.
    """

    version: str
    size: int | None


@frozen(kw_only=True)
class Target:
    """The target of an export.

    Attributes:
        shown: as the user named it, without the secrets of a URL.
        format: what it holds.
        path: the file, links followed; for a URL, the place where its file is prepared.
        url: the URL with its secrets, or `None`.
        direct: whether it is not a regular file and is written as the records arrive.
    """

    shown: str
    format: Format
    path: Path
    url: str | None = field(default=None, repr=False)
    direct: bool = False

    def exists(self) -> bool:
        """Return whether the target exists already. Blocks.

        Raises:
            ExportError: the storage cannot be asked.
        """
        return self.path.exists() if self.url is None else self.stored() is not None

    def stored(self) -> StoredObject | None:
        """Return the object that a URL names; `None` if there is none. Blocks.

        Raises:
            ExportError: the storage cannot be asked.
        """
        with self._storage() as (system, path):
            system.invalidate_cache()
            if not system.exists(path):
                return None
            return StoredObject(version=str(system.ukey(path)), size=system.info(path).get("size"))

    @contextmanager
    def _storage(self) -> Iterator[tuple[Any, str]]:
        """Yield the fsspec file system of the URL and the path on it; turn its errors into `ExportError`."""
        url = str(self.url)
        with storage_errors(self.shown, find_secrets(url)):
            yield open_storage(url, role="target")

    def upload(self, file: Path, *, overwrite: bool) -> None:
        """Upload a finished file to a URL, which gets its final name when it is complete. Blocks.

        Raises:
            ExportError: the name was taken meanwhile, or the storage refuses.
        """
        with self._storage() as (system, path):
            if system.exists(path) and not overwrite:
                raise ExportError(f"{self.shown} exists already", fix=OVERWRITE)
            put_whole(system, file, path)

    def has_lines(self) -> bool:
        """Return whether it is a file of JSON Lines that holds records. Blocks."""
        is_plain = self.format.sink is None and not self.format.compression and self.url is None and not self.direct
        return is_plain and self.path.is_file() and self.path.stat().st_size > 0

    def is_file(self, path: Path) -> bool:
        """Return whether a path names the same file. Blocks."""
        if self.url is not None:
            return False
        return is_same_file(self.opened_as, path)

    def disk_errors(self) -> AbstractContextManager[None]:
        """Turn an error of the disk into an `ExportError`, for a block."""
        return disk_errors(self.shown, full=ROOM if self.direct else RESUME)

    @property
    def opened_as(self) -> Path | int:
        """The path, or the descriptor that a name such as `/dev/stdout` stands for.

        If that is a file, opening its path again would truncate it.
        """
        number = _descriptor(self.shown)
        return self.path if number is None else number


def read_target(target: str | os.PathLike[str], *, format: str | None = None) -> Target:  # noqa: A002  (as users call it)
    """Parse the target that the user gave.

    Args:
        target: a path, a URL, or `-` for standard output.
        format: the format of a target whose name does not say it, such as `csv` or `jsonl.gz`.

    Raises:
        BadExportError: it cannot be a target; the message says why.
        ExportError: the storage of a URL cannot be reached.
    """
    shown = os.fspath(target) if isinstance(target, str | os.PathLike) else None
    if not isinstance(shown, str) or not shown.strip() or "\0" in shown:
        raise BadExportError("the target must be a path or a URL")
    if is_url(shown):
        return _read_url(shown, format)
    path = Path(shown.removeprefix("file://"))
    try:
        if path.is_dir():
            raise BadExportError(f"{shown}: it is a directory: name a file in it")
        direct = _descriptor(shown) is not None or (path.exists() and not path.is_file())
        path = path if direct else path.resolve()
    except OSError as error:
        raise disk_error(shown, error) from error
    if direct:
        return Target(shown=shown, format=_direct_format(path.name, format), path=path, direct=True)
    kind = _format(path.name, format)
    if not path.parent.is_dir():
        raise BadExportError(f"{shown}: the directory does not exist: make it first")
    return Target(shown=shown, format=kind, path=path)


def _read_url(url: str, format: str | None) -> Target:  # noqa: A002  (as users call it)
    shown = mask_url(url)
    kind = _format(mask_url(url.rpartition("/")[2]), format)
    with storage_errors(shown, find_secrets(url)):
        open_storage(url, role="target")
    name = hashlib.sha256(mask_passwords(url).encode()).hexdigest()[:32] + kind.suffix + kind.compression
    return Target(shown=shown, format=kind, path=cache_folder() / "exports" / name, url=url)


def _descriptor(shown: str) -> int | None:
    if shown in _STANDARD:
        return _STANDARD[shown]
    descriptor = _DESCRIPTOR.fullmatch(shown)
    return int(descriptor[3]) if descriptor else None


def _format(name: str, format: str | None) -> Format:  # noqa: A002  (as users call it)
    return format_of(name if format is None else f"{name}.{format.lstrip('.')}")


def _direct_format(name: str, format: str | None) -> Format:  # noqa: A002  (as users call it)
    return _format(name, format) if format is not None or Path(name).suffix else Format()
