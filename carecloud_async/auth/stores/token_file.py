"""The file of a `FileTokenStore`: private, replaced whole, and suspicious of what it reads."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
import sys
from typing import Any

from carecloud_async.runtime.durable_files import sync_folder

_log = logging.getLogger("carecloud_async.auth")

#: Names the file as ours and says which shape the records have.
_MARK = "carecloud_tokens"
_VERSION = 1

# Windows lacks some of these and needs O_BINARY.
_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _COMMON  # non-blocking: opening a pipe must not hang
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | _COMMON


class TokenFile:
    """Reads and writes all records at once; the caller holds the gate, so there is one reader or writer at a time.

    Args:
        path: where the file is or will be; absolute, links resolved.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._warned: set[str] = set()
        self._damaged = False

    def read(self) -> dict[str, Any]:
        """Return the records by key; none if the file is absent, empty or damaged (a warning, once).

        Raises:
            OSError: the file is there and cannot be read, or is no regular file.
        """
        content = self._content()
        records = _parse(content) if content.strip() else {}
        self._damaged = records is None
        if records is None:
            self._warn_once("damaged", "the token file %s is damaged or not ours: starting without its tokens")
            return {}
        self._warned.discard("damaged")
        return records

    def write(self, records: dict[str, Any]) -> None:
        """Replace the file by one that holds `records`, whole or not at all; a file that is not ours is kept aside.

        Raises:
            OSError: it cannot be written; the old file is as it was.
        """
        content = json.dumps({_MARK: _VERSION, "records": records}, separators=(",", ":")).encode("ascii")
        new = self._path + ".tmp"
        with contextlib.suppress(FileNotFoundError):  # left by a writer that was killed; inside the gate it is nobody's
            os.unlink(new)
        try:
            _create(new, content)
            self._keep_foreign()
            os.replace(new, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise
        sync_folder(os.path.dirname(self._path))

    def _content(self) -> bytes:
        try:
            descriptor = os.open(self._path, _READ)
        except FileNotFoundError:
            return b""
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(None, "it is not a regular file", self._path)
            self._warn_if_exposed(status)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(descriptor)

    def _keep_foreign(self) -> None:
        # A path given by mistake must not cost anyone their file.
        if self._damaged:
            with contextlib.suppress(FileNotFoundError):
                os.replace(self._path, self._path + ".damaged")

    def _warn_if_exposed(self, status: os.stat_result) -> None:
        if sys.platform == "win32":
            return  # the mode bits say nothing there
        if status.st_uid != os.geteuid():
            self._warn_once("foreign", "the token file %s belongs to another user")
        elif stat.S_IMODE(status.st_mode) & 0o077:
            self._warn_once("exposed", "the token file %s is open to other users: it becomes private when next written")

    def _warn_once(self, what: str, message: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            _log.warning(message, self._path)


def _parse(content: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get(_MARK) != _VERSION:
        return None
    records = data.get("records")
    return records if isinstance(records, dict) else None


def _create(path: str, content: bytes) -> None:
    # The mode is given at birth: made public first and narrowed later, a file can be opened in between.
    with os.fdopen(os.open(path, _CREATE, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
