"""`RowJournal`: the journal of a bulk write: the writes of its rows in one run file, or in memory."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from carecloud_async._base.runs import IN_MEMORY, Database, RunFile, RunKind, sqlite_code
from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.journal import PROGRESS, Journal
from carecloud_async.bulk.machine import TRANSITIONS, Move, State
from carecloud_async.bulk.outcome import WRITTEN, Outcome, RowResult
from carecloud_async.bulk.rows import RECORD, CheckedRow, LoadedRow, Write, pack
from carecloud_async.errors import CareCloudError
from carecloud_async.fixes import OTHER_JOURNAL, REMOVE_JOURNAL, RESUME

__all__ = ["KIND", "RowJournal"]

T = TypeVar("T")

#: `row` is the number of the row, which is also the `id` of its record. `part` is 0 of a record; the parts of a row are
#: written in its order, those of one number at once, and `due` is -1 of one that waits for others. Of a record that is
#: written, `parts` counts those that have no outcome yet; `outcome`, `changed` and `reasons` are those of its row until
#: now. `base` is a record that the whole list has, and `listed` how many have its key.
_TABLES: Final = (
    f"""CREATE TABLE writes (
        id INTEGER PRIMARY KEY, row INTEGER NOT NULL, part INTEGER NOT NULL DEFAULT 0, kind TEXT NOT NULL,
        line INTEGER, source BLOB, key TEXT, body BLOB, base BLOB, listed INTEGER NOT NULL DEFAULT 0, {PROGRESS},
        parts INTEGER NOT NULL DEFAULT 0, outcome TEXT, record_id TEXT, changed TEXT, reasons TEXT
    )""",
    "CREATE UNIQUE INDEX by_key ON writes (key) WHERE key IS NOT NULL",
    "CREATE INDEX by_turn ON writes (id) WHERE state = 0 AND due = 0",
    "CREATE INDEX by_due ON writes (due) WHERE due > 0",
    "CREATE INDEX by_row ON writes (row) WHERE part > 0",
    "CREATE TABLE seen (value BLOB PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID",
)

#: `due` of a part whose row has earlier parts to be written.
_BLOCKED: Final = -1

_NOT_WRITTEN: Final = "this part of the row was not written"
_NOT_KNOWN: Final = "whether this part of the row was written is not known"

#: Refuses a row whose lines do not stand together: it would be written without the later ones. The key stays, so that
#: the next of its lines are refused too.
_REFUSE_TORN: Final = (
    f"UPDATE writes SET state = {int(State.ENDED)}, body = NULL, outcome = 'refused', reasons = ? "
    f"WHERE key = ? AND state = {int(State.WAITING)}"
)


class _JournalKind(RunKind):
    """The kind of run file that a journal is."""

    def not_ours(self, path: Path | str) -> CareCloudError:
        """See `RunKind.not_ours`."""
        return self.error(
            f"{path} is not a journal of this version of carecloud-async. If an earlier version began a run there, "
            "finish it with that version, or remove the file: rows that were written are found by their keys. "
            "Otherwise name another file"
        )

    def of_sqlite(self, path: Path | str, error: sqlite3.Error) -> CareCloudError:
        """See `RunKind.of_sqlite`."""
        if sqlite_code(error) == sqlite3.SQLITE_IOERR:
            return self.error(f"{path}: {error}: nothing is lost", fix=self.full)
        return super().of_sqlite(path, error)


KIND: Final = _JournalKind(
    name="bulk write",
    file="a journal of a bulk write",
    each="source",
    own="a journal",
    version=6,
    tables=_TABLES,
    error=BulkWriteError,
    begin_again=REMOVE_JOURNAL,
    unwritable=OTHER_JOURNAL,
    full=RESUME,
)


class RowJournal(Journal):
    """The writes of one run; see `Journal`.

    Args:
        file: the run file; `None` to keep the writes in memory if no later run could resume them.
        keep_rows: whether rows are kept as the source has them, for results and rejects.
        key_name: the name of the key of rows, for the reasons of rows that repeat it.

    Attributes:
        repeats: rows of this loading that an earlier one refuses, since it has their key or their card.
    """

    def __init__(self, file: RunFile | None, *, keep_rows: bool, key_name: str = "key") -> None:
        self.is_in_memory: bool = file is None
        self._file = file
        self._keep_rows = keep_rows
        self._key = key_name
        self.repeats: int = 0
        self._memory: Database | None = None
        if file is not None:
            self.path: Path = file.path
            return
        self._memory = Database(IN_MEMORY, explain=lambda error: BulkWriteError(str(error)))
        for table in _TABLES:
            self._memory.execute(table)

    @property
    def _db(self) -> Database:
        return self._file.db if self._memory is None else self._memory  # type: ignore[union-attr]

    def _transaction(self) -> AbstractContextManager[object]:
        return self._db.transaction() if self._file is None else self._file.transaction()

    def _commit(self, work: Callable[[Database], T]) -> T:
        with self._transaction():
            return work(self._db)

    def close(self) -> None:
        """Close a journal in memory; a run file is closed by the caller that opened it."""
        if self._memory is not None:
            self._memory.close()

    # what is known of the run

    def get(self, name: str) -> Any:
        """Return a stored value; `None` if there is none."""
        return None if self._file is None else self._file.get(name)

    def set(self, **values: Any) -> None:
        """Store values by name, durably."""
        if self._file is not None:
            with self._transaction():
                for name, value in values.items():
                    self._file.set(name, value)

    # loading

    def make_tables(self) -> None:
        """Make the tables beside the report of a finished run."""
        with self._transaction():
            for name in ("writes", "seen"):
                self._db.execute(f"DROP TABLE IF EXISTS {name}")
            for table in _TABLES:
                self._db.execute(table)

    def begin_loading(self) -> None:
        """Let commits be quick: nothing was sent yet that must survive a crash."""
        if self._file is not None:
            self._db.execute("PRAGMA synchronous=NORMAL")

    def finish_loading(self, **values: Any) -> None:
        """Store values when all rows are loaded. From now on a commit returns only when it is on the disk."""
        self._db.execute("PRAGMA synchronous=FULL")
        self.set(report=None, **values)

    def load(self, rows: Sequence[LoadedRow]) -> int:
        """Add rows of the source; return how many of them are refused."""
        values: list[tuple[Any, ...]] = []
        parts: list[tuple[bytes, int]] = []
        torn: list[tuple[str, str]] = []
        with self._transaction():
            lines = self._lines_of(rows)
            for row in rows:
                unique = {
                    self._key: row.key,
                    **{name: _unique_value(name, value) for name, value in row.unique.items()},
                }
                reasons = row.checked.refused or _repeated(unique, lines)
                self.repeats += bool(reasons and not row.checked.refused)
                if row.in_lines and row.key is not None and row.key in lines:
                    torn.append((json.dumps([f"more of its lines begin in line {row.line}"]), row.key))
                what: tuple[Any, ...] = (row.key, pack(row.checked), State.WAITING, None, None)
                if reasons:
                    what = (None, None, State.ENDED, Outcome.REFUSED.value, json.dumps(reasons))
                else:
                    lines.update({value: row.line for value in unique.values() if value is not None})
                    parts += [(value, row.line) for value in unique.values() if isinstance(value, bytes)]
                kept = row.source if self._keep_rows else None
                values.append((row.number, row.number, RECORD, row.line, kept, *what))
            self._db.execute_many(
                "INSERT INTO writes (id, row, kind, line, source, key, body, state, outcome, reasons) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            self._db.execute_many("INSERT INTO seen VALUES (?, ?)", parts)
            refused_now = self._db.execute_many(_REFUSE_TORN, torn)
        return refused_now + sum(one[-1] is not None for one in values)

    def _lines_of(self, rows: Sequence[LoadedRow]) -> dict[str | bytes, int]:
        """Return the lines of earlier rows that have a key of these, or a part that only one record can have."""
        keys = [row.key for row in rows if row.key is not None]
        parts = [_unique_value(name, value) for row in rows for name, value in row.unique.items()]
        found: list[tuple[Any, ...]] = []
        for query, asked in (
            ("SELECT key, line FROM writes WHERE key IN ", keys),
            ("SELECT value, line FROM seen WHERE value IN ", parts),
        ):
            if asked:
                found += self._db.execute(f"{query} ({', '.join('?' * len(asked))})", asked)
        return dict(found)

    def written_without_key(self) -> list[tuple[int, str | None]]:
        """Return the rows without a key whose record is written and whose parts are not, with its id."""
        where = f"key IS NULL AND state = {State.ENDED} AND parts > 0"
        return self._db.execute(f"SELECT row, record_id FROM writes WHERE {where}")

    def end(
        self,
        results: Sequence[tuple[Write, RowResult]],
        *,
        parts_of: Callable[[Write, RowResult], Sequence[tuple[str, dict[str, Any]]]],
        now: float,
    ) -> list[tuple[int, RowResult]]:
        """See `Journal.end`."""
        ended: list[tuple[int, RowResult]] = []
        records: list[tuple[int, RowResult, int]] = []
        with self._transaction():
            for write, result in results:
                if write.kind != RECORD:
                    self._end_part(write, result, ended, now)
                    continue
                parts = parts_of(write, result)
                records.append((write.row, result, len(parts)))
                if parts:
                    self._add_parts(write, result, parts, now)
                else:
                    ended.append((write.row, result))
            self._set_results(records)
        return ended

    def _set_results(self, results: Sequence[tuple[int, RowResult, int]]) -> None:
        """End records, each with the number of its parts that have no outcome yet."""
        before = ", ".join(str(int(state)) for state in TRANSITIONS[Move.END][0] | {State.ENDED})
        self._db.execute_many(
            f"UPDATE writes SET state = {State.ENDED}, due = NULL, outcome = ?, record_id = ?, changed = ?, "
            f"reasons = ?, parts = ?, body = NULL, base = NULL, intent = NULL WHERE id = ? AND state IN ({before})",
            [
                (
                    result.outcome.value,
                    result.record_id,
                    json.dumps(result.changed_fields) if result.changed_fields else None,
                    json.dumps(result.reasons) if result.reasons else None,
                    parts,
                    row,
                )
                for row, result, parts in results
            ],
        )

    def _add_parts(
        self, write: Write, result: RowResult, parts: Sequence[tuple[str, dict[str, Any]]], now: float
    ) -> None:
        places = {kind: place for place, kind in enumerate(dict(parts), 1)}
        values = []
        for kind, part in parts:
            due = now if places[kind] == 1 else _BLOCKED
            values.append((write.row, places[kind], kind, due, pack(CheckedRow(parts=part)), result.record_id))
        self._db.execute_many(
            "INSERT INTO writes (row, part, kind, due, body, record_id) VALUES (?, ?, ?, ?, ?, ?)", values
        )

    def _end_part(self, write: Write, result: RowResult, ended: list[tuple[int, RowResult]], now: float) -> None:
        """End a part: when no other of its kind is left, the next kind has its turn, or the row its outcome."""
        of_row = "row = ? AND part > 0"
        self._db.execute("DELETE FROM writes WHERE id = ?", (write.id,))
        row = _with_part(self._result_of(write.row), result)
        if row.outcome not in WRITTEN:
            self._db.execute(f"DELETE FROM writes WHERE {of_row} AND due = {_BLOCKED}", (write.row,))
        left, part = self._db.execute(f"SELECT count(*), min(part) FROM writes WHERE {of_row}", (write.row,))[0]
        self._set_results([(write.row, row, left)])
        if not left:
            ended.append((write.row, row))
            return
        released = f"UPDATE writes SET due = ? WHERE {of_row} AND part = ? AND due = {_BLOCKED}"
        self._db.execute(released, (now, write.row, part))

    def _result_of(self, row: int) -> RowResult:
        query = "SELECT outcome, record_id, changed, reasons FROM writes WHERE id = ?"
        return _result_of_row(*self._db.execute(query, (row,))[0])

    def add_listed(self, records: Iterable[tuple[str, bytes]]) -> None:
        """Note records of the whole list, with their keys, for the rows that have these keys."""
        with self._transaction():
            self._db.execute_many(
                "UPDATE writes SET base = ?, listed = listed + 1 WHERE key = ? AND state = 0 AND intent IS NULL",
                [(record, key) for key, record in records],
            )

    def clear_listed(self) -> None:
        """Drop the records of an earlier reading of the whole list."""
        with self._transaction():
            self._db.execute("UPDATE writes SET base = NULL, listed = 0 WHERE state = 0 AND listed > 0")

    def counts(self) -> Counter[str]:
        """Count the rows by outcome; those without one are under `""`."""
        found = self._db.execute(
            f"SELECT CASE WHEN state = {State.ENDED} AND parts = 0 THEN outcome ELSE '' END, count(*) FROM writes "
            "WHERE part = 0 GROUP BY 1"
        )
        return Counter(dict(found))

    def has_begun(self) -> bool:
        """Return whether a row has made something or may have been sent: more than a refusal; a part may be refused."""
        where = f"state <> {State.WAITING} AND (outcome IS NOT ? OR key IS NULL AND record_id IS NOT NULL) LIMIT 1"
        return bool(self._db.execute(f"SELECT 1 FROM writes WHERE {where}", (Outcome.REFUSED.value,)))

    def waiting_keys(self) -> Iterator[tuple[str, ...]]:
        """Yield the keys of the rows that wait, as given."""
        last = 0
        where = "SELECT id, body FROM writes WHERE state = 0 AND key IS NOT NULL AND id > ? ORDER BY id LIMIT 1000"
        while batch := self._db.execute(where, (last,)):
            last = batch[-1][0]
            for _, packed in batch:
                yield tuple(json.loads(packed)["key"])

    def results(self, *, only: Outcome | None = None) -> Iterator[tuple[int, bytes, RowResult]]:
        """Yield line, row and outcome of rows in their order: all that ended, or those of `only` one to write again."""
        query = (  # written again, a row without a key would make its record once more
            "SELECT id, line, source, outcome, record_id, changed, reasons FROM writes "
            f"WHERE part = 0 AND state = {State.ENDED} AND parts = 0 AND id > ? "
            "AND (? IS NULL OR outcome = ? AND (key IS NOT NULL OR record_id IS NULL)) ORDER BY id LIMIT 1000"
        )
        last = 0
        while batch := self._db.execute(query, (last, only, only)):
            last = batch[-1][0]
            for _, line, source, *result in batch:
                yield line, source, _result_of_row(*result)


def _repeated(unique: Mapping[str, str | bytes | None], lines: Mapping[str | bytes, int]) -> tuple[str, ...]:
    """Say which earlier line has the key of a row, or one of its parts, by their columns."""
    for name, value in unique.items():
        if value is not None and value in lines:
            return (f"{name}: repeats line {lines[value]}",)
    return ()


def _unique_value(name: str, value: str) -> bytes:
    """Return a digest of a key, or of a part that only one row can have."""
    return blake2b(f"{name}\0{value}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _result_of_row(outcome: str, record_id: str | None, changed: str | None, reasons: str | None) -> RowResult:
    """Return an outcome from its columns."""
    return RowResult(
        outcome=Outcome(outcome),
        record_id=record_id,
        changed_fields=tuple(json.loads(changed)) if changed else (),
        reasons=tuple(json.loads(reasons)) if reasons else (),
    )


def _with_part(row: RowResult, part: RowResult) -> RowResult:
    """Return the outcome of a row after one of its parts has ended."""
    if part.outcome is Outcome.UNCHANGED:
        return row
    if part.outcome in WRITTEN:
        outcome = Outcome.UPDATED if row.outcome is Outcome.UNCHANGED else row.outcome
        return attrs.evolve(row, outcome=outcome, changed_fields=(*row.changed_fields, *part.changed_fields))
    reasons = part.reasons
    if row.outcome is Outcome.CREATED:
        is_known = part.outcome is not Outcome.UNKNOWN
        reasons = (*reasons, f"the record was created; {_NOT_WRITTEN if is_known else _NOT_KNOWN}")
    return attrs.evolve(row, outcome=part.outcome, reasons=(*row.reasons, *reasons))
