"""`RowJournal`: the journal of a bulk write: the writes of its rows in one run file, or in memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from carecloud_async._base.runs import IN_MEMORY, Database, RunFile
from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.journal import Journal
from carecloud_async.bulk.machine import TRANSITIONS, Move, State
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.row_tables import (
    BLOCKED,
    REFUSE_TORN,
    TABLES,
    WRITTEN,
    repeated,
    result_of,
    unique_value,
    with_part,
)
from carecloud_async.bulk.rows import RECORD, CheckedRow, LoadedRow, Write, pack

__all__ = ["RowJournal"]

T = TypeVar("T")


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
            self.path = file.path
            return
        self._memory = Database(IN_MEMORY, explain=lambda error: BulkWriteError(str(error)))
        for table in TABLES:
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
            for table in TABLES:
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
                unique = {self._key: row.key, **{name: unique_value(name, value) for name, value in row.unique.items()}}
                reasons = row.checked.refused or repeated(unique, lines)
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
            refused_now = self._db.execute_many(REFUSE_TORN, torn)
        return refused_now + sum(one[-1] is not None for one in values)

    def _lines_of(self, rows: Sequence[LoadedRow]) -> dict[str | bytes, int]:
        """Return the lines of earlier rows that have a key of these, or a part that only one record can have."""
        keys = [row.key for row in rows if row.key is not None]
        parts = [unique_value(name, value) for row in rows for name, value in row.unique.items()]
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
            due = now if places[kind] == 1 else BLOCKED
            values.append((write.row, places[kind], kind, due, pack(CheckedRow(parts=part)), result.record_id))
        self._db.execute_many(
            "INSERT INTO writes (row, part, kind, due, body, record_id) VALUES (?, ?, ?, ?, ?, ?)", values
        )

    def _end_part(self, write: Write, result: RowResult, ended: list[tuple[int, RowResult]], now: float) -> None:
        """End a part: when no other of its kind is left, the next kind has its turn, or the row its outcome."""
        of_row = "row = ? AND part > 0"
        self._db.execute("DELETE FROM writes WHERE id = ?", (write.id,))
        row = with_part(self._result_of(write.row), result)
        if row.outcome not in WRITTEN:
            self._db.execute(f"DELETE FROM writes WHERE {of_row} AND due = {BLOCKED}", (write.row,))
        left, part = self._db.execute(f"SELECT count(*), min(part) FROM writes WHERE {of_row}", (write.row,))[0]
        self._set_results([(write.row, row, left)])
        if not left:
            ended.append((write.row, row))
            return
        released = f"UPDATE writes SET due = ? WHERE {of_row} AND part = ? AND due = {BLOCKED}"
        self._db.execute(released, (now, write.row, part))

    def _result_of(self, row: int) -> RowResult:
        query = "SELECT outcome, record_id, changed, reasons FROM writes WHERE id = ?"
        return result_of(*self._db.execute(query, (row,))[0])

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
                yield line, source, result_of(*result)
