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

from carecloud_async._base.runtime.durable_files import (
    is_private,
    open_own,
    replace_file,
    require_own,
    sync_folder,
    temporary_path,
)
from carecloud_async._base.runtime.secret_text import SecretBytes, conceal

_log = logging.getLogger("carecloud_async.auth")

_RECORD = ".json"
_NEW = temporary_path(Path(_RECORD)).name

#: How many records each save looks at to drop those that have ended.
SWEPT_PER_SAVE = 16


class RecordFolder:
    """Reads and writes records; the caller holds the gate, so there is one reader or writer at a time.

    Args:
        path: the folder's path; absolute.
        choose: returns a number in [0, 1): the place in the list of files where a sweep begins.
    """

    def __init__(self, path: str, *, choose: Callable[[], float]) -> None:
        self.path: str = path
        self._choose = choose
        self._unswept: list[str] = []
        self._warned: set[str] = set()

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
        return self._read(self._name(key))

    def write(self, key: str, record: dict[str, Any]) -> None:
        """Replace the record of `key`, whole or not at all.

        Raises:
            OSError: it cannot be written; the old one is unchanged.
        """
        content = SecretBytes(json.dumps(record, separators=(",", ":")).encode("ascii"))
        replace_file(Path(self._join(self._name(key))), content)
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
            # The caller holds the gate, so no writer is at work: a file with a temporary name is that of a killed one.
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
        path = self._join(name)
        try:
            with open_own(path) as file:
                content, status = SecretBytes(file.read()), os.fstat(file.fileno())
        except FileNotFoundError:
            return None
        if not is_private(status) and path not in self._warned:
            self._warned.add(path)
            _log.warning("the token file %s is open to other users: it becomes private when next written", path)
        try:
            record = conceal(json.loads(content))  # its token must not be in a frame if writing fails
        except (ValueError, RecursionError):
            return {}
        return {} if record is None else record


def resolve(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of a store, links resolved except those that another user has made."""
    given = os.path.abspath(os.path.expanduser(path))
    if os.path.islink(given) and sys.platform != "win32" and os.lstat(given).st_uid not in {0, os.geteuid()}:
        return os.path.join(os.path.realpath(os.path.dirname(given)), os.path.basename(given))
    return os.path.realpath(given)
