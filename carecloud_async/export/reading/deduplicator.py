"""The records of a page that are written where the order of the list does not tell what is new.

Measured for a million ids: a set of hashes 110 MB; an array of 64-bit hashes 17 MB, with collisions to confirm; SQLite
1 MB of memory, exact, 3 µs an id. It is on the slow path only: in the order of ids a few pages' ids are enough.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Self

import anyio.to_thread

from carecloud_async.export.reading.pages import Identity, RawPage

__all__ = ["Deduplicator", "DeduplicatorFactory", "SeenIds"]

_TABLE = "CREATE TABLE IF NOT EXISTS seen (id PRIMARY KEY, step INTEGER, rank INTEGER) WITHOUT ROWID"
_FIND = "SELECT rank FROM seen WHERE id = ?"
_ADD = "INSERT INTO seen VALUES (?, ?, ?)"


class SeenIds:
    """A set of ids in a file; each was added in a numbered step, and whole steps can be taken back.

    Used in worker threads, one at a time.

    Args:
        path: the file; `None` for a temporary one.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._db = sqlite3.connect("" if path is None else path, check_same_thread=False, isolation_level=None)
        # A step is only believed once a checkpoint names it, and a damaged file is found out: no need to wait here.
        self._db.execute("PRAGMA synchronous=OFF" if path is None else "PRAGMA synchronous=NORMAL")
        self._db.execute(_TABLE)
        self._rank = int(self._db.execute("SELECT coalesce(max(rank), 0) FROM seen").fetchone()[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM seen").fetchone()[0])

    def add(self, ids: Sequence[Identity], *, step: int) -> tuple[list[int], list[int]]:
        """Add ids.

        Returns:
            the indexes of those that were not there, and the rank of each: the number of ids added before it.
        """
        new: list[int] = []
        ranks: list[int] = []
        self._db.execute("BEGIN")
        for index, one in enumerate(ids):
            key = _key(one)
            found = self._db.execute(_FIND, (key,)).fetchone()
            if found is None:
                self._rank += 1
                self._db.execute(_ADD, (key, step, self._rank))
                new.append(index)
            ranks.append(self._rank if found is None else found[0])
        self._db.execute("COMMIT")
        return new, ranks

    def forget_after(self, step: int) -> None:
        """Take back what was added after a step."""
        self._db.execute("DELETE FROM seen WHERE step > ?", (step,))

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _key(one: Identity) -> str | bytes:
    # Numbers may be longer than SQLite's 64 bits, and 5 is not "5".
    if isinstance(one, bytes):
        return one
    return f"#{one}" if isinstance(one, int) else f"${one}"


class Deduplicator:
    """Remembers every record by its identity.

    Args:
        seen: the ids.
        step: the last step in them.
        known: their number.
        wanted: returns whether a record is to be written; all are, if left out.

    Attributes:
        known: the number of records seen, wanted or not.
        step: the last step.
        pairs: the number of neighbours that were seen side by side before or after others.
        inversions: the number of these that stood the other way round than before.
    """

    def __init__(
        self, seen: SeenIds, *, step: int = 0, known: int = 0, wanted: Callable[[bytes], bool] | None = None
    ) -> None:
        self._seen = seen
        self._wanted = wanted
        self.step: int = step
        self.known: int = known
        self.pairs: int = 0
        self.inversions: int = 0

    async def select_new(self, page: RawPage, *, end: int | None = None) -> list[bytes]:
        """Return the records of a page that are to be written.

        Args:
            page: the page.
            end: the index behind the last record to look at; `None` for the whole page.
        """
        ids, lines = page.ids[:end], page.lines[:end]
        self.step += 1
        step = self.step
        new, ranks = await anyio.to_thread.run_sync(lambda: self._seen.add(ids, step=step))
        self.known += len(new)
        self.pairs += max(len(ranks) - 1, 0)
        self.inversions += sum(later < earlier for earlier, later in pairwise(ranks))
        found = [lines[index] for index in new]
        if self._wanted is not None:
            found = [line for line in found if self._wanted(line)]
        return found


#: Makes the memory of the records seen: continuing from a checkpoint, or afresh.
DeduplicatorFactory = Callable[[bool], Deduplicator]
