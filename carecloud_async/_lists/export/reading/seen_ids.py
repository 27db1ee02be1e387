"""The ids of all records seen, for lists whose order does not show which records of a page are new.

This is the slow path: in the order of ids, the ids of a few pages suffice.

Measured for a million ids: a set of hashes 110 MB; an array of 64-bit hashes 17 MB, with collisions to confirm; SQLite
1 MB of memory, exact, 3 µs an id.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from carecloud_async._base.runs import TEMPORARY, Database, sqlite_code
from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async._lists.export.reading.evidence import agreeing_bits
from carecloud_async._lists.export.reading.pages import Identity, RawPage
from carecloud_async._lists.export.storage.checkpoint import Neighbours
from carecloud_async.errors import ExportError

__all__ = ["SEEN_TABLE", "Deduplicator", "SeenIds", "TemporarySeenIds"]

#: The table of ids, for the run file of an export.
SEEN_TABLE = "CREATE TABLE seen (id PRIMARY KEY, rank INTEGER) WITHOUT ROWID"

_NONE = Neighbours()

#: The most ids of one query: every build of SQLite takes a thousand variables.
_IDS = 500


class SeenIds:
    """A set of ids, each added in a numbered step and kept in memory until its step is stored.

    Every method blocks. One thread may add ids while another one stores them.

    Args:
        db: the database that has the ids of an earlier run; `None` if there was none.
    """

    def __init__(self, db: Database | None = None) -> None:
        self._db = db
        self._rank = 0 if db is None else int(db.execute("SELECT coalesce(max(rank), 0) FROM seen")[0][0])
        self._waiting: dict[Identity, int] = {}
        self._order: deque[tuple[int, Identity, int]] = deque()

    def __enter__(self) -> SeenIds:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, ids: Sequence[Identity], *, step: int) -> tuple[list[int], list[int]]:
        """Add ids.

        Returns:
            the indexes of the new ids, and the rank of every id: its place, from 1, in the order of adding.

        Raises:
            ExportError: the disk refuses, or the file is damaged.
        """
        new: list[int] = []
        ranks: list[int] = []
        waiting = self._waiting
        # Memory first, then the database: while an id is being stored, it is in both.
        found = {key: waiting.get(key) for key in ids}
        stored = self._find([key for key, rank in found.items() if rank is None])
        for index, key in enumerate(ids):
            rank = found[key] or stored.get(key)
            if rank is None:
                rank = self._rank = self._rank + 1
                found[key] = waiting[key] = rank
                self._order.append((step, key, rank))
                new.append(index)
            ranks.append(rank)
        return new, ranks

    def store(self, db: Database, *, through: int) -> None:
        """Store the ids of all steps up to this one, in the transaction of the checkpoint that counts them.

        Raises:
            ExportError: the disk refuses.
        """
        rows: list[tuple[Identity, int]] = []
        while self._order and self._order[0][0] <= through:
            _, key, rank = self._order.popleft()
            rows.append((key, rank))
        db.execute_many("INSERT INTO seen VALUES (?, ?)", rows)
        self._db = db
        for key, _ in rows:
            del self._waiting[key]

    def close(self) -> None:
        """Do nothing: the database belongs to the run."""

    def _find(self, keys: list[Identity]) -> dict[Identity, int]:
        found: dict[Identity, int] = {}
        for begin in range(0, 0 if self._db is None else len(keys), _IDS):
            part = keys[begin : begin + _IDS]
            assert self._db is not None  # noqa: S101  (the range is empty otherwise)
            query = f"SELECT id, rank FROM seen WHERE id IN ({','.join('?' * len(part))})"  # noqa: S608  (no value)
            found.update((key, rank) for key, rank in self._db.execute(query, part))
        return found


class TemporarySeenIds(SeenIds):
    """A set of ids for one reading, in a temporary file.

    Raises:
        ExportError: it cannot be made.
    """

    def __init__(self) -> None:
        self._temporary = Database(TEMPORARY, explain=_explain)
        self._temporary.execute(SEEN_TABLE)
        super().__init__(self._temporary)

    def add(self, ids: Sequence[Identity], *, step: int) -> tuple[list[int], list[int]]:
        """Add ids; see `SeenIds.add`."""
        found = super().add(ids, step=step)
        with self._temporary.transaction():
            self.store(self._temporary, through=step)
        return found

    def close(self) -> None:
        """Close the file; waits for a thread that uses it."""
        self._temporary.close()


def _explain(error: sqlite3.Error) -> ExportError:
    if sqlite_code(error) == sqlite3.SQLITE_FULL:
        return ExportError("the temporary folder is full: free some space, or name another folder in SQLITE_TMPDIR")
    return ExportError(f"the temporary folder: the ids of records cannot be stored there: {error}")


class Deduplicator:
    """Selects the records of a page to write: those that no page before showed.

    Args:
        seen: the ids of the records seen.
        step: the last step in which ids were added.
        known: the number of records seen, wanted or not.
        neighbours: the neighbours in pages, all passes together.

    Attributes:
        known, neighbours: see above.
        wanted: returns whether to write a record; `None` for all.
    """

    def __init__(self, *, seen: SeenIds, step: int = 0, known: int = 0, neighbours: Neighbours = _NONE) -> None:
        self._seen = seen
        self._step = step
        self.known: int = known
        self.neighbours: Neighbours = neighbours
        self.wanted: Callable[[bytes], bool] | None = None

    @property
    def order_bits(self) -> float:
        """How much the neighbours seen before support a stable order; see `evidence`."""
        return agreeing_bits(self.neighbours.repeated_pairs, self.neighbours.repeated_inversions)

    @property
    def checkpoint_fields(self) -> dict[str, Any]:
        """The fields of a checkpoint that hold what it knows."""
        return {"step": self._step, "known": self.known, "neighbours": self.neighbours}

    async def remember(self, ids: Sequence[Identity]) -> None:
        """Take records as seen that were written before it was made; their ids in the order of the list."""
        self._step += 1
        await run_in_thread(partial(self._seen.add, ids, step=self._step))
        self.known += len(ids)

    async def select_new(
        self, page: RawPage, *, end: int | None = None, wanted: Sequence[bool] | None = None
    ) -> list[bytes]:
        """Return the records of a page to write.

        Args:
            end: the index after the last record to look at; `None` for the whole page.
            wanted: whether to write each record, if known already.
        """
        ids, lines = page.ids[:end], page.lines[:end]
        self._step += 1
        step, is_wanted = self._step, self.wanted

        def select() -> tuple[list[int], list[int], list[bytes]]:
            new, ranks = self._seen.add(ids, step=step)
            if wanted is not None:
                return new, ranks, [lines[index] for index in new if wanted[index]]
            return new, ranks, [lines[index] for index in new if is_wanted is None or is_wanted(lines[index])]

        new, ranks, found = await run_in_thread(select)
        self.known += len(new)
        self._count_pairs(new, ranks)
        return found

    def _count_pairs(self, new: list[int], ranks: list[int]) -> None:
        """Count neighbours, and those that have another order than when they were first seen."""
        is_new, before = set(new), self.neighbours
        inverted = [later < earlier for earlier, later in pairwise(ranks)]
        repeated = [one for index, one in enumerate(inverted) if index not in is_new and index + 1 not in is_new]
        self.neighbours = Neighbours(
            pairs=before.pairs + len(inverted),
            inversions=before.inversions + sum(inverted),
            repeated_pairs=before.repeated_pairs + len(repeated),
            repeated_inversions=before.repeated_inversions + sum(repeated),
        )
