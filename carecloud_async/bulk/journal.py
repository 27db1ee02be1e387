"""The journal of a bulk write: one private SQLite file with the rows, what was intended for each, and its outcome.

A row is loaded, intended and done. An intent is durable before its request is sent, so that every row whose request may
have been sent is known after a kill. SQLite in WAL mode with `synchronous=FULL` makes each commit durable; one
transaction serves many rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import filelock

from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.rows import Intent, LoadedRow, StoredRow, pack, unpack
from carecloud_async.fixes import GO_ON, RESUME
from carecloud_async.runtime.durable_files import PRIVATE
from carecloud_async.runtime.sqlite_files import open_database, transaction

__all__ = ["Journal", "damaged"]

#: Of the columns of `rows`.
_VERSION: Final = "2"

_META: Final = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)"

#: `state` is 0 for a row that waits, 1 for one that was intended and has no outcome, and 2 for one with its outcome.
#: `base` is the record that an update is made from, or one that the whole list has; `listed_count` counts the latter.
_ROWS: Final = """
CREATE TABLE IF NOT EXISTS rows (
    number INTEGER PRIMARY KEY,
    line INTEGER NOT NULL,
    source BLOB,
    key TEXT,
    unique_part TEXT,
    row BLOB,
    state INTEGER NOT NULL,
    outcome TEXT,
    record_id TEXT,
    changed TEXT,
    reasons TEXT,
    base BLOB,
    listed_count INTEGER NOT NULL DEFAULT 0,
    intent BLOB,
    lost_at REAL,
    tries INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS by_key ON rows (key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS by_unique_part ON rows (unique_part) WHERE unique_part IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_state ON rows (state, number) WHERE state < 2;
"""


def damaged(path: Path, error: sqlite3.DatabaseError) -> str:
    """Return the message of a journal that cannot be read."""
    return (
        f"{path}: the journal is damaged ({type(error).__name__}): remove it to begin again; rows that were written "
        "are found by their keys"
    )


class Journal:
    """The journal of one run. Every method blocks.

    Args:
        path: its file.
        keep_rows: whether rows are kept as the source has them, for results and rejects.

    Attributes:
        path: its file.
        is_in_memory: whether it has no file: its methods take microseconds and need no thread.
    """

    def __init__(self, path: Path, *, keep_rows: bool) -> None:
        self.path = path
        self.is_in_memory = False
        self._keep_rows = keep_rows
        self._lock = filelock.FileLock(f"{path}.lock", timeout=0, mode=PRIVATE, thread_local=False)
        self._database: sqlite3.Connection | None = None

    @classmethod
    def in_memory(cls) -> Journal:
        """Return an open journal for rows that nothing can resume."""
        journal = cls(Path(), keep_rows=False)
        journal.is_in_memory = True
        journal._database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        journal._make_tables()
        return journal

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._database is not None  # noqa: S101  (open() comes first)
        return self._database

    def open(self, binding: Mapping[str, str], *, resume: bool) -> bool:
        """Open the journal, or begin one; return whether an earlier run is continued.

        Args:
            binding: digests of the arguments on which the run depends, by the names that messages give them.
            resume: whether to continue an earlier run.

        Raises:
            BulkWriteError: another run uses it, it has an unfinished run and `resume` is not given, or it belongs to
                another run, or to another version of the SDK.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock.acquire()
        except filelock.Timeout:
            raise BulkWriteError(f"{self.path}: another bulk write of the same source is running") from None
        try:
            return self._open(binding, resume=resume)
        except sqlite3.OperationalError as error:
            self.close()
            raise BulkWriteError(f"{self.path}: {error}: nothing is lost", fix=RESUME) from None
        except sqlite3.DatabaseError as error:
            self.close()
            raise BulkWriteError(damaged(self.path, error)) from error
        except BaseException:
            self.close()
            raise

    def _open(self, binding: Mapping[str, str], *, resume: bool) -> bool:
        self._database = open_database(self.path)
        # While rows are loaded, nothing has been sent yet that must survive a crash.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._make_tables()
        meta = self._db.execute("SELECT name, value FROM meta WHERE name LIKE 'bind:%'")
        before = {name.removeprefix("bind:"): value for name, value in meta}
        if not before or self.meta("loaded") is None:  # nothing was sent before all rows were loaded
            self._begin(binding)
            return False
        finished = self.meta("finished") is not None
        if not resume or (finished and before != dict(binding)):
            begun = "SELECT 1 FROM rows WHERE state <> 0 AND outcome IS NOT 'refused' LIMIT 1"
            if not finished and self._db.execute(begun).fetchone() is not None:
                raise BulkWriteError(f"{self.path}: an earlier run was not finished", fix=GO_ON)
            self._begin(binding)
            return False
        differs = sorted(name for name in {*before, *binding} if before.get(name) != binding.get(name))
        if differs:
            raise BulkWriteError(
                f"{self.path}: the run that is to be resumed had another {differs[0].replace('_', ' ')}: repeat it "
                "with the same arguments, or remove the file to begin again"
            )
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("UPDATE rows SET lost_at = NULL WHERE state = 1")  # the clock of an earlier run
        return True

    def _make_tables(self) -> None:
        self._db.execute(_META)
        if self.meta("version") != _VERSION:  # none: a kill may have come before the run began
            if self.meta("loaded") is not None and self.meta("finished") is None:
                raise BulkWriteError(
                    f"{self.path}: another version of carecloud-async began this run: finish it with that version, or "
                    "remove the file to begin again"
                )
            self._db.execute("DROP TABLE IF EXISTS rows")  # of a finished run only its counts are kept
            self.set_meta(version=_VERSION)
        self._db.executescript(_ROWS)

    def _begin(self, binding: Mapping[str, str]) -> None:
        with transaction(self._db):
            self._db.execute("DELETE FROM rows")
            self._db.execute("DELETE FROM meta")
            self._db.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [("version", _VERSION), *((f"bind:{name}", value) for name, value in binding.items())],
            )

    def finish_loading(self, **values: object) -> None:
        """Store values when all rows are loaded. From now on a commit returns only when it is on the disk."""
        self._db.execute("PRAGMA synchronous=FULL")
        self.set_meta(**values)

    def close(self) -> None:
        """Close the file and give up its lock."""
        database, self._database = self._database, None
        if database is not None:
            database.close()
        self._lock.release()

    def finish_run(self, counts: Mapping[str, int]) -> None:
        """Drop the rows and store the counts: the same run with `resume` then returns them and does not begin again."""
        with transaction(self._db):
            self._db.execute("DELETE FROM rows")
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('finished', ?)", (json.dumps(counts),))
        self._db.execute("VACUUM")
        self.close()
        Path(f"{self.path}.lock").unlink(missing_ok=True)

    def remove(self) -> None:
        """Close the journal and delete its files."""
        database, self._database = self._database, None
        if database is not None:
            database.close()
        for name in (self.path, f"{self.path}-wal", f"{self.path}-shm"):
            Path(name).unlink(missing_ok=True)
        self._lock.release()
        Path(f"{self.path}.lock").unlink(missing_ok=True)

    # meta

    def meta(self, name: str) -> str | None:
        """Return a stored value; `None` if there is none."""
        found = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def set_meta(self, **values: object) -> None:
        """Store values by name, durably."""
        with transaction(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", [(name, str(value)) for name, value in values.items()]
            )

    # loading

    def load(self, rows: Sequence[LoadedRow], *, unique_part: str = "") -> int:
        """Add rows of the source; return how many of them are refused.

        Args:
            rows: the rows.
            unique_part: the column of the part that only one record can have.
        """
        refused = 0
        with transaction(self._db):
            for row in rows:
                reasons = row.checked.refused or self._repeated(row, unique_part)
                values: tuple[object, ...] = (row.key, row.unique_part, pack(row.checked), 0, None, None)
                if reasons:
                    refused += 1
                    values = (None, None, None, 2, Outcome.REFUSED.value, json.dumps(reasons))
                self._db.execute(
                    "INSERT INTO rows (number, line, source, key, unique_part, row, state, outcome, reasons) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (row.number, row.line, row.source if self._keep_rows else None, *values),
                )
        return refused

    def _repeated(self, row: LoadedRow, unique_part: str) -> tuple[str, ...]:
        """Say which earlier line has the row's key, or its part that only one record can have."""
        first = self._db.execute("SELECT line FROM rows WHERE key = ?", (row.key,)).fetchone()
        if first is not None:
            return (f"the key stands in line {first[0]} already",)
        first = self._db.execute("SELECT line FROM rows WHERE unique_part = ?", (row.unique_part,)).fetchone()
        if first is not None:
            return (f"{unique_part}: the {unique_part.replace('_', ' ')} stands in line {first[0]} already",)
        return ()

    # writing

    def pending(self, limit: int, *, after: int = 0) -> list[StoredRow]:
        """Return the next rows that wait."""
        return self._rows("state = 0 AND number > ? ORDER BY number LIMIT ?", (after, limit))

    def in_doubt(self, limit: int, *, after: int = 0) -> list[StoredRow]:
        """Return the next rows that were intended and have no outcome."""
        return self._rows("state = 1 AND number > ? ORDER BY number LIMIT ?", (after, limit))

    def in_doubt_without_key(self) -> list[StoredRow]:
        """Return all rows without a key that were intended and have no outcome."""
        return self._rows("state = 1 AND key IS NULL ORDER BY number", ())

    def intend(self, intents: Iterable[tuple[int, Intent]], *, now: float) -> None:
        """Note what is about to be sent, durably."""
        self._update(
            "state = 1, intent = ?, base = coalesce(?, base), lost_at = ?, tries = tries + 1",
            [(json.dumps([one.kind, one.record_id, one.changed]), one.base, now, number) for number, one in intents],
        )

    def set_created_ids(self, ids: Iterable[tuple[int, str | None]]) -> None:
        """Note the ids of records that rows without a key created, while their parts are still to be written."""
        self._update("record_id = ?", [(record_id, number) for number, record_id in ids])

    def set_lost(self, numbers: Iterable[int], *, now: float) -> None:
        """Note when answers were lost: a row may have been sent long after it was intended."""
        self._update("lost_at = ?", [(now, number) for number in numbers])

    def send_again(self, numbers: Iterable[int]) -> None:
        """Let rows wait again whose request was sent and certainly did nothing."""
        self._update("state = 0", [(number,) for number in numbers])

    def take_back(self, numbers: Iterable[int]) -> None:
        """Let rows wait again that were intended and then not sent; without an earlier try, as if never intended."""
        self._update(
            "state = 0, tries = tries - 1, intent = iif(tries > 1, intent, NULL), base = iif(tries > 1, base, NULL), "
            "listed_count = 0",
            [(number,) for number in numbers],
        )

    def finish(self, results: Iterable[tuple[int, RowResult]]) -> None:
        """Note outcomes, durably."""
        self._update(
            "state = 2, outcome = ?, record_id = ?, changed = ?, reasons = ?, row = NULL, base = NULL, intent = NULL",
            [
                (
                    one.outcome.value,
                    one.record_id,
                    json.dumps(one.changed_fields) if one.changed_fields else None,
                    json.dumps(one.reasons) if one.reasons else None,
                    number,
                )
                for number, one in results
            ],
        )

    def _update(self, assignments: str, values: list[tuple[Any, ...]]) -> None:
        """Change rows in one transaction; the last value of each is the number of its row."""
        with transaction(self._db):
            self._db.executemany(f"UPDATE rows SET {assignments} WHERE number = ?", values)  # noqa: S608  (constants)

    # the whole list

    def add_listed(self, records: Iterable[tuple[str, bytes]]) -> None:
        """Note records of the whole list, with their keys, for the rows that have these keys."""
        with transaction(self._db):
            self._db.executemany(
                "UPDATE rows SET base = ?, listed_count = listed_count + 1 "
                "WHERE key = ? AND state = 0 AND intent IS NULL",
                [(record, key) for key, record in records],
            )

    def clear_listed(self) -> None:
        """Drop the records of an earlier reading of the whole list."""
        with transaction(self._db):
            self._db.execute("UPDATE rows SET base = NULL, listed_count = 0 WHERE state = 0 AND intent IS NULL")

    # counting and results

    def counts(self) -> Counter[str]:
        """Count the rows by outcome; those without one are under `""`."""
        found = self._db.execute("SELECT coalesce(outcome, ''), count(*) FROM rows GROUP BY 1")
        return Counter(dict(found))

    def pending_keys(self) -> Iterator[tuple[str, ...]]:
        """Yield the keys of the rows that wait, as given."""
        for (packed,) in self._db.execute("SELECT row FROM rows WHERE state = 0 AND key IS NOT NULL"):
            yield tuple(json.loads(packed)["key"])

    def results(self, *, only: Outcome | None = None) -> Iterator[tuple[int, bytes, RowResult]]:
        """Yield the line of each row that has an outcome, the row and its outcome, in the order of the source."""
        query = (
            "SELECT number, line, source, outcome, record_id, changed, reasons FROM rows "
            "WHERE state = 2 AND number > ? AND (? IS NULL OR outcome = ?) ORDER BY number LIMIT 1000"
        )
        last = 0
        while batch := self._db.execute(query, (last, only, only)).fetchall():
            for number, line, source, outcome, record_id, changed, reasons in batch:
                last = number
                result = RowResult(
                    outcome=Outcome(outcome),
                    record_id=record_id,
                    changed_fields=tuple(json.loads(changed)) if changed else (),
                    reasons=tuple(json.loads(reasons)) if reasons else (),
                )
                yield line, source, result

    def _rows(self, where: str, values: tuple[Any, ...]) -> list[StoredRow]:
        columns = "number, key, row, base, listed_count, intent, lost_at, tries, record_id"
        query = f"SELECT {columns} FROM rows WHERE {where}"  # noqa: S608  (constants)
        return [
            StoredRow(
                number=number,
                key=key,
                checked=unpack(packed),
                listed=base,
                listed_count=listed_count,
                intent=None if intent is None else _intent(json.loads(intent), base),
                lost_at=lost_at or 0.0,
                tries=tries,
                created_id=created_id,
            )
            for number, key, packed, base, listed_count, intent, lost_at, tries, created_id in self._db.execute(
                query, values
            )
        ]


def _intent(stored: list[Any], base: bytes | None) -> Intent:
    kind, record_id, changed = stored
    return Intent(kind=kind, record_id=record_id, changed=tuple(changed), base=base)
