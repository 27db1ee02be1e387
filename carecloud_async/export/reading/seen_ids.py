"""The ids that were written, on disk: for lists whose order does not tell what is new.

Measured for a million ids: a set of hashes 110 MB; an array of 64-bit hashes 17 MB, with collisions to confirm; SQLite
1 MB of memory, exact, 3 µs an id. It is on the slow path only: in the order of ids nothing has to be kept at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

__all__ = ["SeenIds"]

_TABLE = "CREATE TABLE IF NOT EXISTS seen (id PRIMARY KEY, step INTEGER) WITHOUT ROWID"
_ADD = "INSERT OR IGNORE INTO seen VALUES (?, ?)"


class SeenIds:
    """A set of ids in a file; each was added in a numbered step, and whole steps can be taken back.

    Used in worker threads, one at a time.

    Args:
        path: the file; `None` for one that is gone when closed.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._db = sqlite3.connect("" if path is None else path, check_same_thread=False, isolation_level=None)
        # A step is only believed once a checkpoint names it, and a damaged file is found out: no need to wait here.
        self._db.execute("PRAGMA synchronous=OFF" if path is None else "PRAGMA synchronous=NORMAL")
        self._db.execute(_TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM seen").fetchone()[0])

    def add(self, ids: Sequence[Any], *, step: int) -> list[int]:
        """Add ids; return the indexes of those that were not there."""
        new: list[int] = []
        self._db.execute("BEGIN")
        for index, one in enumerate(ids):
            key = f"#{one}" if isinstance(one, int) else one  # numbers may be longer than 64 bits
            if self._db.execute(_ADD, (key, step)).rowcount:
                new.append(index)
        self._db.execute("COMMIT")
        return new

    def forget_after(self, step: int) -> None:
        """Take back what was added after a step."""
        self._db.execute("DELETE FROM seen WHERE step > ?", (step,))

    def close(self) -> None:
        """Close the file."""
        self._db.close()
