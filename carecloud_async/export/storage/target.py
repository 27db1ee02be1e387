"""Where an export goes: a file, a URL of a storage service, or something that is written to directly."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Any, BinaryIO, cast

from attrs import frozen

from carecloud_async.export.errors import BadExportError, disk_error, missing_extra
from carecloud_async.export.formats.registry import Format, format_of

__all__ = ["Target", "read_target"]

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+(::|://)")
_DESCRIPTOR = re.compile(r"/(dev|proc/(self|\d+))/fd/(\d+)")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


@frozen(kw_only=True)
class Target:
    """Where an export goes.

    Attributes:
        shown: as the user named it.
        format: what it holds.
        path: the file, links followed; for a URL, the place where its file is prepared.
        url: the URL, or `None`.
        direct: whether it is no regular file and is written as the records come.
    """

    shown: str
    format: Format
    path: Path
    url: str | None = None
    direct: bool = False

    def exists(self) -> bool:
        """Tell whether something is there already. Blocks.

        Raises:
            ExportError: the storage cannot be asked.
        """
        if self.url is None:
            return self.path.exists()
        system, path = self.storage()
        return bool(system.exists(path))

    def storage(self) -> tuple[Any, str]:
        """Return the fsspec file system of a URL and the path on it."""
        import fsspec.core  # an extra; `read_target` made sure of it

        return cast("tuple[Any, str]", fsspec.core.url_to_fs(self.url))

    def open_direct(self) -> BinaryIO:
        """Open what is no regular file. Blocks: a pipe waits for its reader.

        Raises:
            OSError: it cannot be opened.
        """
        number = _descriptor(self.shown)
        if number is not None:
            # Opening `/dev/stdout` anew would cut what was written to it before, where it is a file.
            return os.fdopen(os.dup(number), "wb")
        return self.path.open("wb")


def read_target(target: str | os.PathLike[str]) -> Target:
    """Read what the user named.

    Raises:
        BadExportError: it cannot be a target; the message says why.
    """
    shown = os.fspath(target) if isinstance(target, str | os.PathLike) else None
    if not isinstance(shown, str) or not shown.strip() or "\0" in shown:
        raise BadExportError("the target must be a path or a URL")
    if _URL.match(shown) and not shown.startswith("file://"):
        return _read_url(shown)
    path = Path(shown.removeprefix("file://"))
    try:
        if path.is_dir():
            raise BadExportError(f"{shown}: it is a directory: name a file in it")
        direct = _descriptor(shown) is not None or (path.exists() and not path.is_file())
        path = path if direct else path.resolve()
    except OSError as error:
        raise disk_error(shown, error) from error
    if direct:
        return Target(shown=shown, format=_direct_format(path.name), path=path, direct=True)
    kind = format_of(path.name)
    if not path.parent.is_dir():
        raise BadExportError(f"{shown}: the directory does not exist: make it first")
    return Target(shown=shown, format=kind, path=path)


def _read_url(url: str) -> Target:
    kind = format_of(url.rpartition("/")[2])
    try:
        import fsspec.core  # an extra

        fsspec.core.url_to_fs(url)
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] == "fsspec":
            raise missing_extra("a URL as target", "fsspec") from None
        raise BadExportError(f"{url}: {error}") from None
    except ValueError as error:
        raise BadExportError(f"{url}: {error}") from None
    name = hashlib.sha256(url.encode()).hexdigest()[:32] + kind.suffix + kind.compression
    return Target(shown=url, format=kind, path=_cache() / name, url=url)


def _cache() -> Path:
    """Where the files of URLs are prepared: kept over restarts, so that such an export can be resumed."""
    base = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else os.environ.get("XDG_CACHE_HOME")
    return Path(base or Path.home() / ".cache") / "carecloud-async" / "exports"


def _descriptor(shown: str) -> int | None:
    if shown in _STANDARD:
        return _STANDARD[shown]
    found = _DESCRIPTOR.fullmatch(shown)
    return int(found[3]) if found else None


def _direct_format(name: str) -> Format:
    return format_of(name) if Path(name).suffix else Format()
