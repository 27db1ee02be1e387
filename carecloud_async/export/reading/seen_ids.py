"""`SeenIds`: the ids of the records seen, in a file.

Measured for a million ids: a set of hashes 110 MB; an array of 64-bit hashes 17 MB, with collisions to confirm; SQLite
1 MB of memory, exact, 3 µs an id.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from carecloud_async.errors import ExportError
from carecloud_async.export.errors import disk_error, full_disk_error
from carecloud_async.export.reading.pages import Identity
from carecloud_async.fixes import RESTART
from carecloud_async.runtime.durable_files import touch_private
from carecloud_async.runtime.sqlite_files import transaction

__all__ = ["SeenIds"]

_TABLE = "CREATE TABLE IF NOT EXISTS seen (id PRIMARY KEY, step INTEGER, rank INTEGER) WITHOUT ROWID"
_FIND = "SELECT rank FROM seen WHERE id = ?"
_ADD = "INSERT INTO seen VALUES (?, ?, ?)"

#: SQLite's errors for a file that is damaged or not a database.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class SeenIds:
    """A set of ids in a file; each was added in a numbered step, and whole steps can be taken back.

    Used in worker threads, one at a time. The lock holds `close` back until the others have ended: SQLite crashes the
    process if a database is closed in use.

    Args:
        path: the file, private to this user; `None` for a temporary one.

    Raises:
        ExportError: it cannot be opened, or is damaged.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        if path is not None:
            try:
                touch_private(path)  # before SQLite would create it for all users
            except OSError as error:
                raise disk_error(path, error) from error
        self._db = sqlite3.connect("" if path is None else path, check_same_thread=False, isolation_level=None)
        try:
            with self._using():
                # No sync: a step counts only once a checkpoint names it, and a damaged file is detected.
                self._db.execute("PRAGMA synchronous=OFF" if path is None else "PRAGMA synchronous=NORMAL")
                self._db.execute(_TABLE)
                self._rank = int(self._db.execute("SELECT coalesce(max(rank), 0) FROM seen").fetchone()[0])
        except BaseException:
            self.close()
            raise

    @classmethod
    def resume(cls, path: Path, *, step: int, known: int) -> Self:
        """Open the ids of an earlier run, without those added after a step.

        Args:
            path: their file.
            step: the step.
            known: their number after this step.

        Raises:
            ExportError: the file cannot be opened, is damaged, or has another number of ids.
        """
        seen = cls(path)
        try:
            seen.forget_after(step)
            found = len(seen)
        except BaseException:
            seen.close()
            raise
        if found != known:
            seen.close()
            raise ExportError(f"cannot resume: {path} was changed since", fix=RESTART)
        return seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        with self._using():
            return int(self._db.execute("SELECT count(*) FROM seen").fetchone()[0])

    def add(self, ids: Sequence[Identity], *, step: int) -> tuple[list[int], list[int]]:
        """Add ids.

        Returns:
            the indexes of the new ones, and the rank of each: the number of ids added before it.

        Raises:
            ExportError: the disk refuses, or the file is damaged.
        """
        new: list[int] = []
        ranks: list[int] = []
        with self._using(), transaction(self._db):
            for index, one in enumerate(ids):
                key = _key(one)
                found = self._db.execute(_FIND, (key,)).fetchone()
                if found is None:
                    self._rank += 1
                    self._db.execute(_ADD, (key, step, self._rank))
                    new.append(index)
                ranks.append(self._rank if found is None else found[0])
        return new, ranks

    def forget_after(self, step: int) -> None:
        """Take back what was added after a step."""
        with self._using():
            self._db.execute("DELETE FROM seen WHERE step > ?", (step,))

    def close(self) -> None:
        """Close the file; waits for a thread that uses it."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _using(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise _failure(error, self._path) from error


def _failure(error: sqlite3.Error, path: Path | None) -> ExportError:
    where = "the temporary folder" if path is None else str(path)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the bits of the file type
    if code == sqlite3.SQLITE_FULL and path is None:
        return ExportError(f"{where} is full: free some space, or name another folder in SQLITE_TMPDIR")
    if code == sqlite3.SQLITE_FULL:
        return full_disk_error(where)
    if code in _DAMAGED:
        return ExportError(f"cannot resume: {where} is damaged", fix=RESTART)
    return ExportError(f"{where}: the ids of records cannot be stored there: {error}")


def _key(one: Identity) -> str | bytes:
    # Numbers may be longer than SQLite's 64 bits, and 5 is not "5".
    if isinstance(one, bytes):
        return one
    return f"#{one}" if isinstance(one, int) else f"${one}"
