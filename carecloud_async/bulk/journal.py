"""The journal of a bulk write: the writes of its rows, in the states of `machine`, in one run file.

Each transaction is durable before it is relied on: an intent before its request leaves, an outcome before its key is
released. One transaction serves many writes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from carecloud_async._base.runs import IN_MEMORY, Database, RunFile
from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.machine import TRANSITIONS, Move, State
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.rows import RECORD, CheckedRow, Intent, LoadedRow, Plan, Write, pack
from carecloud_async.bulk.settling import has_ended
from carecloud_async.bulk.tables import (
    BLOCKED,
    REFUSE_TORN,
    SELECT_WRITES,
    TABLES,
    WRITES,
    WRITTEN,
    repeated,
    result_of,
    unique_value,
    with_part,
    write_of,
)

__all__ = ["Journal"]


class Journal:
    """The writes of one run. Every method blocks, and threads may call them in turn.

    Args:
        file: the run file; `None` to keep the writes in memory if no later run could resume them.
        keep_rows: whether rows are kept as the source has them, for results and rejects.
        key_name: the name of the key of rows, for the reasons of rows that repeat it.

    Attributes:
        path: the run file; empty in memory, where methods take microseconds and need no thread.
        repeats: rows of this loading that an earlier one refuses, since it has their key or their card.
    """

    def __init__(self, file: RunFile | None, *, keep_rows: bool, key_name: str = "key") -> None:
        self.path: Path = Path() if file is None else file.path
        self._file = file
        self._keep_rows = keep_rows
        self._key = key_name
        self.repeats: int = 0
        self._memory: Database | None = None
        if file is None:
            self._memory = Database(IN_MEMORY, explain=lambda error: BulkWriteError(str(error)))
            for table in TABLES:
                self._memory.execute(table)

    @property
    def is_in_memory(self) -> bool:
        """Whether it has no file."""
        return self._file is None

    @property
    def _db(self) -> Database:
        return self._file.db if self._memory is None else self._memory  # type: ignore[union-attr]

    def _transaction(self) -> AbstractContextManager[object]:
        return self._db.transaction() if self._file is None else self._file.transaction()

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
                if len(row.checked.parts) >= WRITES:
                    reasons = (f"the row has more than {WRITES - 1} parts",)
                what: tuple[Any, ...] = (row.key, pack(row.checked), State.WAITING, None, None)
                if reasons:
                    what = (None, None, State.ENDED, Outcome.REFUSED.value, json.dumps(reasons))
                else:
                    lines.update({value: row.line for value in unique.values() if value is not None})
                    parts += [(value, row.line) for value in unique.values() if isinstance(value, bytes)]
                kept = row.source if self._keep_rows else None
                values.append((row.number * WRITES, RECORD, row.line, kept, *what))
            self._db.execute_many(
                "INSERT INTO writes (id, kind, line, source, key, body, state, outcome, reasons) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
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

    def recover(self, *, now: float, look: float, boot: str | None = None) -> None:
        """Take up the writes of a run that ended: each that was intended may have been sent until its end.

        What was lost in another boot than this one, perhaps of another host, counts as lost now.
        """
        was_sent = f"state IN ({State.INTENDED}, {State.LOST}) AND (kind > '' OR key IS NOT NULL)"
        lost = f"state = {State.LOST}, lost_at = min(ifnull(lost_at, ?), ?), tries = tries + (state = {State.INTENDED})"
        part = f"state = {State.WAITING} AND kind > ''"
        with self._transaction():
            if boot is not None and self.get("boot") not in {None, boot}:
                self._db.execute(f"UPDATE writes SET lost_at = NULL WHERE state = {State.LOST}")
            self._db.execute(f"UPDATE writes SET {lost} WHERE {was_sent}", (now, now))
            self._db.execute(f"UPDATE writes SET due = lost_at + ? WHERE state = {State.LOST}", (look,))
            self._db.execute(f"UPDATE writes SET due = 0 WHERE state = {State.WAITING} AND kind = ''")
            # A time ahead of the clock may be from before the machine started.
            self._db.execute(f"UPDATE writes SET due = ? WHERE {part} AND (due IS NULL OR due > ?)", (now, now))
            if self._file is not None:
                self._file.set("boot", boot)

    def intended_without_key(self) -> list[Write]:
        """Return the rows without a key that were intended and have no outcome."""
        return self._writes(f"state = {State.INTENDED} AND kind = ? AND key IS NULL", (RECORD,))

    def lost(self, *, parts_too: bool = False) -> list[Write]:
        """Return the writes whose answer was lost; with `parts_too` also parts that wait: their records are written."""
        return self._writes(f"state = {State.LOST} OR {parts_too:d} AND state = {State.WAITING} AND kind > ''", ())

    def lost_records(self) -> dict[str, int]:
        """Return the records that lost writes may still change, with the numbers of their rows."""
        return {one.record_id: one.row for one in self.lost() if one.kind == RECORD and one.record_id is not None}

    def written_without_key(self) -> list[tuple[int, str | None]]:
        """Return the rows without a key whose record is written and whose parts are not, with its id."""
        where = f"key IS NULL AND state = {State.ENDED} AND parts > 0"
        found = self._db.execute(f"SELECT id, record_id FROM writes WHERE {where}")
        return [(number // WRITES, record_id) for number, record_id in found]

    def take_turn(
        self, *, now: float, after: int | None, limit: int, only_lost: bool = False
    ) -> tuple[list[Write], bool]:
        """Return the writes of one kind that have their turn: those whose time has come, or else the next new rows.

        Args:
            now: the time. Writes whose time has come are given no further turn.
            after: the id of the last new row that had a turn: the next ones follow it in order; `None` for no new rows.
            limit: the most writes.
            only_lost: whether no other writes have their turn.

        Returns:
            the writes, and whether they are new rows.
        """
        is_due = f"due > 0 AND due <= ?{f' AND state = {State.LOST}' if only_lost else ''}"
        first = self._db.execute(f"SELECT kind FROM writes WHERE {is_due} ORDER BY due LIMIT 1", (now,))
        if not first and after is None:
            return [], False
        if not first:
            where = f"state = {State.WAITING} AND due = 0 AND id > ? ORDER BY id LIMIT ?"
            return self._writes(where, (after, limit)), True
        found = self._writes(f"{is_due} AND kind = ? ORDER BY due, id LIMIT ?", (now, first[0][0], limit))
        self._update("due = NULL", [(one.id,) for one in found])
        return found, False

    def waiting(self) -> dict[int, tuple[int, float]]:
        """Return how many late writes wait, by their state, and when the first of them has its turn."""
        found = self._db.execute("SELECT state, count(*), min(due) FROM writes WHERE due > 0 GROUP BY 1")
        return {state: (count, due) for state, count, due in found}

    def postpone(self, writes: Iterable[Write], *, until: float) -> None:
        """Give writes another turn."""
        self._update("due = ?", [(until, one.id) for one in writes])

    # the machine

    def correct_intents(self, writes: Iterable[Write]) -> None:
        """Replace the intents of writes: more is known of them than when they were sent."""
        self._update("intent = ?", [(one.intent.to_text(), one.id) for one in writes if one.intent is not None])

    def intend(self, plans: Iterable[tuple[Write, Plan]]) -> None:
        """Note what is about to be sent."""
        intents = [(plan.intent.to_text(), plan.record_id, write.id) for write, plan in plans]
        of_record = f"record_id = CASE WHEN id % {WRITES} = 0 THEN ? ELSE record_id END"
        self._move(Move.INTEND, f"intent = ?, due = NULL, lost_at = NULL, {of_record}", intents)

    def lose(self, writes: Iterable[tuple[Write, str | None, int]], *, now: float, look: float) -> None:
        """Note lost answers.

        Args:
            writes: each with the server's answer, if it was one, and the number of rows in its request.
            now: the time.
            look: after how many seconds they are looked up.
        """
        values = []
        for write, fault, size in writes:
            is_again = fault == write.fault or (has_ended(fault) and has_ended(write.fault))
            alone = (write.alone + 1 if is_again else 1) if size == 1 and fault is not None else 0
            values.append((now, now + look, has_ended(fault), alone, fault, max(1, size // 2), write.id))
        changes = "lost_at = ?, due = ?, tries = tries + 1, ended = ended + ?, alone = ?, fault = ?, most = ?"
        self._move(Move.LOSE, changes, values)

    def confirm(self, writes: Iterable[tuple[Write, RowResult]], *, now: float, until: float) -> None:
        """Note writes that were done, and are looked up once more."""
        values = []
        for write, result in writes:
            was_absent, made = result.outcome is Outcome.CREATED, result.record_id or ""
            intent = Intent(was_absent=was_absent, changed=result.changed_fields, record_id=result.record_id, made=made)
            values.append((now, until, intent.to_text(), write.id))
        self._move(Move.CONFIRM, "lost_at = ?, due = ?, intent = ?", values)

    def take_back(self, writes: Iterable[Write], *, until: float, is_held: bool = False) -> None:  # noqa: ARG002
        """Let writes wait again whose request did nothing; without an earlier try, as if never intended.

        Args:
            writes: the writes.
            until: until when they wait.
            is_held: whether they wait for an answer to another write.
        """
        self._move(
            Move.TAKE_BACK,
            "due = ?, listed = 0, intent = CASE WHEN tries > 0 THEN intent END",
            [(until, one.id) for one in writes],
        )

    def end(
        self,
        results: Sequence[tuple[Write, RowResult]],
        *,
        parts_of: Callable[[Write, RowResult], Sequence[tuple[str, dict[str, Any]]]],
        now: float,
    ) -> list[tuple[int, RowResult]]:
        """Note outcomes; return the rows that have theirs now.

        Args:
            results: the writes with their outcomes.
            parts_of: returns what is written after a record, in order: the kind of each part, and its values.
            now: the time.
        """
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
                    row * WRITES,
                )
                for row, result, parts in results
            ],
        )

    def _add_parts(
        self, write: Write, result: RowResult, parts: Sequence[tuple[str, dict[str, Any]]], now: float
    ) -> None:
        stages = {kind: stage for stage, kind in enumerate(dict(parts))}
        values = []
        for place, (kind, part) in enumerate(parts, 1):
            due = BLOCKED if stages[kind] else now
            values.append((write.id + place, kind, stages[kind], due, pack(CheckedRow(parts=part)), result.record_id))
        self._db.execute_many(
            "INSERT INTO writes (id, kind, stage, state, due, body, record_id) VALUES (?, ?, ?, 0, ?, ?, ?)", values
        )

    def _end_part(self, write: Write, result: RowResult, ended: list[tuple[int, RowResult]], now: float) -> None:
        """End a part: when no other of its stage is left, the next stage has its turn, or the row its outcome."""
        of_row = (write.row * WRITES + 1, (write.row + 1) * WRITES - 1)
        self._db.execute("DELETE FROM writes WHERE id = ?", (write.id,))
        row = with_part(self._result_of(write.row), result)
        if row.outcome not in WRITTEN:
            self._db.execute(f"DELETE FROM writes WHERE id BETWEEN ? AND ? AND due = {BLOCKED}", of_row)
        left, stage = self._db.execute("SELECT count(*), min(stage) FROM writes WHERE id BETWEEN ? AND ?", of_row)[0]
        self._set_results([(write.row, row, left)])
        if not left:
            ended.append((write.row, row))
            return
        self._db.execute(
            f"UPDATE writes SET due = ? WHERE id BETWEEN ? AND ? AND stage = ? AND due = {BLOCKED}",
            (now, *of_row, stage),
        )

    def _result_of(self, row: int) -> RowResult:
        query = "SELECT outcome, record_id, changed, reasons FROM writes WHERE id = ?"
        return result_of(*self._db.execute(query, (row * WRITES,))[0])

    def _move(self, move: Move, assignments: str, values: Sequence[tuple[Any, ...]]) -> None:
        """Move writes in one transaction; the last value of each is its id."""
        before, after = TRANSITIONS[move]
        states = ", ".join(str(int(state)) for state in before)
        self._update(f"state = {int(after)}, {assignments}", values, also=f" AND state IN ({states})")

    def _update(self, assignments: str, values: Sequence[tuple[Any, ...]], also: str = "") -> None:
        with self._transaction():
            self._db.execute_many(f"UPDATE writes SET {assignments} WHERE id = ?{also}", values)

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
            f"WHERE id % {WRITES} = 0 GROUP BY 1"
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
            f"WHERE id % {WRITES} = 0 AND state = {State.ENDED} AND parts = 0 AND id > ? "
            "AND (? IS NULL OR outcome = ? AND (key IS NOT NULL OR record_id IS NULL)) ORDER BY id LIMIT 1000"
        )
        last = 0
        while batch := self._db.execute(query, (last, only, only)):
            last = batch[-1][0]
            for _, line, source, *result in batch:
                yield line, source, result_of(*result)

    def _writes(self, where: str, values: tuple[Any, ...]) -> list[Write]:
        return [write_of(*found) for found in self._db.execute(SELECT_WRITES + where, values)]
