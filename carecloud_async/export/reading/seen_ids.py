"""`SeenIds`: the ids of the records seen, in a file.

Measured for a million ids: a set of hashes 110 MB; an array of 64-bit hashes 17 MB, with collisions to confirm; SQLite
1 MB of memory, exact, 3 µs an id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

from carecloud_async.errors import ExportError
from carecloud_async.export.reading.pages import Identity
from carecloud_async.export.storage.database import DAMAGED, PrivateDatabase
from carecloud_async.fixes import RESTART
from carecloud_async.runtime.sqlite_files import transaction

__all__ = ["SeenIds"]

_TABLE = "CREATE TABLE IF NOT EXISTS seen (id PRIMARY KEY, step INTEGER, rank INTEGER) WITHOUT ROWID"
_FIND = "SELECT rank FROM seen WHERE id = ?"
_ADD = "INSERT INTO seen VALUES (?, ?, ?)"


class SeenIds:
    """A set of ids in a file; each was added in a numbered step, and whole steps can be taken back.

    Every method blocks; worker threads may call them at the same time.

    Args:
        path: the file, private to this user; `None` for a temporary one.

    Raises:
        ExportError: it cannot be opened, or is damaged.
    """

    def __init__(self, path: Path | None = None) -> None:
        where = "the temporary folder" if path is None else str(path)
        self._db = PrivateDatabase(path, explain=partial(_explain, where))
        try:
            with self._db.use() as db:
                # No sync: a step counts only once a checkpoint names it, and a damaged file is detected.
                db.execute("PRAGMA synchronous=OFF" if path is None else "PRAGMA synchronous=NORMAL")
                db.execute(_TABLE)
                self._rank = int(db.execute("SELECT coalesce(max(rank), 0) FROM seen").fetchone()[0])
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
        with self._db.use() as db:
            return int(db.execute("SELECT count(*) FROM seen").fetchone()[0])

    def add(self, ids: Sequence[Identity], *, step: int) -> tuple[list[int], list[int]]:
        """Add ids.

        Returns:
            the indexes of the new ones, and the rank of each: the number of ids added before it.

        Raises:
            ExportError: the disk refuses, or the file is damaged.
        """
        new: list[int] = []
        ranks: list[int] = []
        with self._db.use() as db, transaction(db):
            for index, one in enumerate(ids):
                key = _key(one)
                found = db.execute(_FIND, (key,)).fetchone()
                if found is None:
                    self._rank += 1
                    db.execute(_ADD, (key, step, self._rank))
                    new.append(index)
                ranks.append(self._rank if found is None else found[0])
        return new, ranks

    def forget_after(self, step: int) -> None:
        """Take back what was added after a step."""
        with self._db.use() as db:
            db.execute("DELETE FROM seen WHERE step > ?", (step,))

    def close(self) -> None:
        """Close the file; waits for a thread that uses it."""
        self._db.close()


def _explain(where: str, error: sqlite3.Error, code: int) -> ExportError:
    if code in DAMAGED:
        return ExportError(f"cannot resume: {where} is damaged", fix=RESTART)
    return ExportError(f"{where}: the ids of records cannot be stored there: {error}")


def _key(one: Identity) -> str | bytes:
    # Numbers may be longer than SQLite's 64 bits, and 5 is not "5".
    if isinstance(one, bytes):
        return one
    return f"#{one}" if isinstance(one, int) else f"${one}"
