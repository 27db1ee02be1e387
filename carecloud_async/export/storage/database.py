"""`PrivateDatabase`: an SQLite file of this user that worker threads use in turn, with errors that say what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Final

from carecloud_async.errors import ExportError
from carecloud_async.export.errors import disk_error, full_disk_error
from carecloud_async.fixes import RESUME, Fix
from carecloud_async.runtime.durable_files import touch_private

__all__ = ["DAMAGED", "PrivateDatabase"]

#: SQLite's error codes for a file that is damaged or not a database.
DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class PrivateDatabase:
    """A database that one thread uses at a time.

    `close` waits for the thread that uses it: SQLite crashes the process if a database is closed in use.

    Args:
        path: the file, made if it does not exist, private to this user; `None` for a temporary one.
        explain: makes the error to raise from one of SQLite's and its code. It is not asked about a full disk.
        timeout: the seconds to wait for another process that uses the file.
        full: the fix of a full disk.

    Attributes:
        connection: the connection, in autocommit mode; for use inside `use`.

    Raises:
        ExportError: the file cannot be made.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        explain: Callable[[sqlite3.Error, int], ExportError],
        timeout: float = 5.0,
        full: Fix = RESUME,
    ) -> None:
        self._path = path
        self._full = full
        self._explain = explain
        self._lock = RLock()
        if path is not None:
            try:
                touch_private(path)  # before SQLite would create it for all users
            except OSError as error:
                raise disk_error(path, error, full=full) from error
        self.connection: sqlite3.Connection = sqlite3.connect(
            "" if path is None else path, check_same_thread=False, isolation_level=None, timeout=timeout
        )

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """Use the connection in a block, while no other thread does.

        Raises:
            ExportError: SQLite refuses.
        """
        try:
            with self._lock:
                yield self.connection
        except sqlite3.Error as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Close the file, after the thread that uses it."""
        with self._lock:
            self.connection.close()

    def _error(self, error: sqlite3.Error) -> ExportError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the other bits are details
        if code != sqlite3.SQLITE_FULL:
            return self._explain(error, code)
        if self._path is not None:
            return full_disk_error(str(self._path), self._full)
        return ExportError("the temporary folder is full: free some space, or name another folder in SQLITE_TMPDIR")
