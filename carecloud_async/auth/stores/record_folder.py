"""The folder of a `FileTokenStore`: private, one file for each record, nothing opened through links."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from carecloud_async.runtime.durable_files import (
    is_private,
    open_own,
    replace_file,
    require_own,
    sync_folder,
    temporary_path,
)

_log = logging.getLogger("carecloud_async.auth")

#: Names the single file of earlier versions as ours and says which format its records have.
_SINGLE_FILE_MARK = "carecloud_tokens"
_SINGLE_FILE_VERSION = 1

_RECORD = ".json"
_NEW = temporary_path(Path(_RECORD)).name

#: How many records each save looks at to drop those that have ended.
SWEPT_PER_SAVE = 16


class RecordFolder:
    """Reads and writes records; the caller holds the gate, so there is one reader or writer at a time.

    Args:
        path: the store's path; absolute. The folder is `<path>.d`; a file at the path itself holds
            the records of an earlier version and is taken over.
        choose: numbers in [0, 1): where a sweep begins.
    """

    def __init__(self, path: str, *, choose: Callable[[], float]) -> None:
        self._single_file = path
        self.path: str = path + ".d"
        self._choose = choose
        self._unswept: list[str] = []
        self._warned: set[str] = set()
        self._foreign: tuple[int, int, int] | None = None

    def prepare(self) -> None:
        """Make the folder, or check that it is one and this user's.

        Raises:
            OSError: it is a link, no folder, or belongs to another user.
        """
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.path, 0o700)
            status = os.lstat(self.path)
        if not stat.S_ISDIR(status.st_mode):
            raise OSError(errno.ENOTDIR, f"{self.path} is a link or a file, not a folder")
        require_own(status, self.path)
        if not is_private(status):
            os.chmod(self.path, 0o700)

    def read(self, key: str) -> Any:
        """Return the record of `key`; `None` if there is none, and an empty one if it is damaged.

        Raises:
            OSError: its file cannot be read, is a link or not a regular file, or belongs to another user.
        """
        self._take_over_single_file()
        return self._read(self._name(key))

    def write(self, key: str, record: dict[str, Any]) -> None:
        """Replace the record of `key`, whole or not at all.

        Raises:
            OSError: it cannot be written; the old one is as it was.
        """
        self._take_over_single_file()
        self._write(self._name(key), record, durable=True)
        sync_folder(self.path)

    def remove(self, key: str) -> None:
        """Remove the record of `key`, if there is one."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._join(self._name(key)))

    def sweep(self, has_ended: Callable[[Any], bool]) -> None:
        """Check a few records and remove those that have ended; successive calls check all of them."""
        if not self._unswept:
            names = sorted(name for name in os.listdir(self.path) if name.endswith((_RECORD, _NEW)))
            start = int(self._choose() * len(names))
            self._unswept = names[start:] + names[:start]
        for _ in range(min(SWEPT_PER_SAVE, len(self._unswept))):
            name = self._unswept.pop()
            # Inside the gate there is no other writer: a new file without its final name belongs to a killed one.
            if name.endswith(_NEW) or self._is_ended(name, has_ended):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._join(name))

    def _is_ended(self, name: str, has_ended: Callable[[Any], bool]) -> bool:
        record = self._read(name)
        return record is not None and has_ended(record)

    def _name(self, key: str) -> str:
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40] + _RECORD

    def _join(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _read(self, name: str) -> Any:
        found = _content(self._join(name))
        if found is None:
            return None
        content, status = found
        self._warn_if_exposed(status, self._join(name))
        try:
            record = json.loads(content)
        except (ValueError, RecursionError):
            return {}
        return {} if record is None else record

    def _write(self, name: str, record: dict[str, Any], *, durable: bool) -> None:
        content = json.dumps(record, separators=(",", ":")).encode("ascii")
        replace_file(Path(self._join(name)), content, durable=durable)

    def _take_over_single_file(self) -> None:
        """Import the records of the single file of earlier versions; any other file is left alone."""
        found = _content(self._single_file)
        if found is None:
            self._foreign = None
            return
        content, status = found
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if not content.strip() or seen == self._foreign:
            return
        records = _single_file_records(content)
        if records is None:
            self._foreign = seen
            _log.warning("the file %s is damaged or not a token file: going on without it", self._single_file)
            return
        for key, record in records.items():
            if isinstance(record, dict) and not os.path.lexists(self._join(self._name(key))):
                self._write(self._name(key), record, durable=False)
        getattr(os, "sync", lambda: None)()  # once for thousands of files
        os.unlink(self._single_file)

    def _warn_if_exposed(self, status: os.stat_result, path: str) -> None:
        if not is_private(status) and path not in self._warned:
            self._warned.add(path)
            _log.warning("the token file %s is open to other users: it becomes private when next written", path)


def resolve(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of a store, links resolved except those that another user has made."""
    given = os.path.abspath(os.path.expanduser(path))
    if os.path.islink(given) and sys.platform != "win32" and os.lstat(given).st_uid not in {0, os.geteuid()}:
        return os.path.join(os.path.realpath(os.path.dirname(given)), os.path.basename(given))
    return os.path.realpath(given)


def _content(path: str) -> tuple[bytes, os.stat_result] | None:
    try:
        file = open_own(path)
    except FileNotFoundError:
        return None
    with file:
        return file.read(), os.fstat(file.fileno())


def _single_file_records(content: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get(_SINGLE_FILE_MARK) != _SINGLE_FILE_VERSION:
        return None
    records = data.get("records")
    return records if isinstance(records, dict) else None
