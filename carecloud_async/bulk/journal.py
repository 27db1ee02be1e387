"""`Journal`: writes in a table, in the states of `machine`; `RowJournal`: those of a bulk write's rows.

Each transaction is durable before it is relied on: an intent before its request leaves, an outcome before its key is
released. One transaction serves many writes. The queue of an outbox is a journal too.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import attrs

from carecloud_async._base.runs import IN_MEMORY, Database, RunFile, RunKind
from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.machine import State, has_ended
from carecloud_async.bulk.outcome import WRITTEN, Outcome, RowResult
from carecloud_async.bulk.rows import RECORD, CheckedRow, Intent, LoadedRow, Plan, Write, pack, unpack
from carecloud_async.bulk.sending import Lost
from carecloud_async.fixes import OTHER_JOURNAL, REMOVE_JOURNAL, RESUME

T = TypeVar("T")

#: The columns of a table of writes that say how far each has come; see `Write`. `due` is 0 for a write whose turn comes
#: in the order of the rows, null for one that is worked on, and else the time before which it is left alone.
PROGRESS: Final = (
    "state INTEGER NOT NULL DEFAULT 0, due REAL DEFAULT 0, intent TEXT, lost_at REAL, "
    "tries INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0, alone INTEGER NOT NULL DEFAULT 0, fault TEXT, "
    "most INTEGER NOT NULL DEFAULT 0"
)
#: A batch whose answer was lost is sent again in this many parts. So a row on which the server fails stands alone after
#: three losses, before the rows beside it were lost as often as `TryLimits` allows.
_PARTS: Final = 10
#: What `Write` is made of, in the order of the columns.
_FIELDS: Final = tuple(field.name for field in attrs.fields(Write) if field.name not in {"is_doubted", "made_at"})


class Journal(ABC):
    """Writes in a table. Every method blocks, and threads may call them in turn.

    Attributes:
        path: the file; empty in memory.
        is_in_memory: whether its methods take microseconds, and need no thread.
    """

    path: Path = Path()
    is_in_memory: bool = False

    #: The table, the condition for its writes, the column of their kinds, and those of `Write` before its progress.
    _table: ClassVar[str] = "writes"
    _which: str = "1"
    _kind: ClassVar[str] = "kind"
    _columns: ClassVar[str] = "id, row, kind, key, body, record_id, base, listed"

    @property
    @abstractmethod
    def _db(self) -> Database: ...

    @abstractmethod
    def _commit(self, work: Callable[[Database], T]) -> T:
        """Make the changes of some work together; they are durable when it returns."""

    @abstractmethod
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

    # the machine

    def intend(self, plans: Iterable[tuple[Write, Plan]]) -> None:
        """Note what is about to be sent."""
        values = [(plan.intent.to_text(), write.id) for write, plan in plans]
        self._move(State.INTENDED, "intent = ?, due = NULL, lost_at = NULL", values)

    def lose(self, writes: Sequence[tuple[Write, Lost | RowResult, float]], *, now: float) -> None:
        """Note writes whose outcome is not known.

        Args:
            writes: each with its lost answer, or with the outcome that it has, if another look-up is to confirm it; and
                when it is looked up.
            now: the time.
        """
        values = [(now, until, *_progress(write, answer), write.id) for write, answer, until in writes]
        progress = "intent = ifnull(?, intent), tries = ?, ended = ?, alone = ?, fault = ?, most = ?"
        self._move(State.LOST, f"lost_at = ?, due = ?, {progress}", values)
        self._wait([(write, until) for write, _, until in writes])

    def take_back(self, writes: Sequence[Write], *, until: float) -> None:
        """Let writes wait again whose request did nothing; without an earlier try, as if never intended."""
        values = [(until, write.id) for write in writes]
        self._move(State.WAITING, "due = ?, intent = CASE WHEN tries > 0 THEN intent END", values)
        self._wait([(write, until) for write in writes])

    def _move(self, to: State, assignments: str, values: Sequence[tuple[Any, ...]]) -> None:
        """Move writes to a state; the last value of each is its id."""
        self._update(f"state = {to}, {assignments}", values)

    def _update(self, assignments: str, values: Sequence[tuple[Any, ...]]) -> None:
        statement = f"UPDATE {self._table} SET {assignments} WHERE id = ?"
        self._commit(lambda db: db.execute_many(statement, values))

    # turns

    def postpone(self, writes: Sequence[tuple[Write, float]]) -> None:
        """Give writes another turn, each at its time."""
        self._update("due = ?", [(until, write.id) for write, until in writes])
        self._wait(writes)

    def _wait(self, writes: Iterable[tuple[Write, float]]) -> None:  # noqa: B027  (only an outbox asks)
        """Learn that writes wait, each until its time."""

    def correct_intents(self, writes: Iterable[Write]) -> None:
        """Replace the intents of writes: more is known of them than when they were sent."""
        self._update("intent = ?", [(write.intent.to_text(), write.id) for write in writes if write.intent is not None])

    def recover(self, *, now: float, look: float, is_of_another_boot: bool = False) -> None:
        """Take up the writes of a run that ended: each that was intended may have been sent until its end.

        Args:
            now: the time.
            look: after how many seconds lost writes are looked up.
            is_of_another_boot: whether the times of losses are of another boot, perhaps of another host: such a write
                counts as lost now.
        """
        update = f"UPDATE {self._table} SET"
        lost_at = "?" if is_of_another_boot else "min(ifnull(lost_at, ?1), ?1)"

        def work(db: Database) -> None:
            db.execute(
                f"{update} tries = tries + (state = {State.INTENDED}), state = {State.LOST}, lost_at = {lost_at} "
                f"WHERE state IN ({State.INTENDED}, {State.LOST}) AND {self._which}",
                (now,),
            )
            db.execute(f"{update} due = lost_at + ? WHERE state = {State.LOST} AND {self._which}", (look,))
            waits = f"state = {State.WAITING} AND {self._which} AND {self._kind}"
            db.execute(f"{update} due = 0 WHERE {waits} = ''")
            # A time ahead of the clock may be from before the machine started.
            db.execute(f"{update} due = ? WHERE {waits} > '' AND (due IS NULL OR due > ?)", (now, now))

        self._commit(work)

    def lost(self, *, parts_too: bool = False) -> list[Write]:
        """Return the writes whose answer was lost; with `parts_too` also parts that wait: their records are written."""
        parts = f"{parts_too:d} AND state = {State.WAITING} AND {self._kind} > ''"
        return self._writes(f"(state = {State.LOST} OR {parts})")

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
        is_due = f"due > 0 AND due <= ?{f' AND state = {State.LOST}' if only_lost else ''} AND {self._which}"
        first = self._db.execute(f"SELECT {self._kind} FROM {self._table} WHERE {is_due} ORDER BY due LIMIT 1", (now,))
        if not first and after is None:
            return [], False
        if not first:
            where = f"state = {State.WAITING} AND due = 0 AND id > ?"
            return self._writes(where, (after,), then=f"ORDER BY id LIMIT {limit}"), True
        due_writes = self._writes(
            f"{is_due} AND {self._kind} = ?", (now, first[0][0]), f"ORDER BY due, id LIMIT {limit}"
        )
        self._update("due = NULL", [(write.id,) for write in due_writes])
        return due_writes, False

    def waiting(self) -> dict[int, tuple[int, float]]:
        """Return how many late writes wait, by their state, and when the first of them has its turn."""
        late = f"SELECT state, count(*), min(due) FROM {self._table} WHERE due > 0 AND {self._which} GROUP BY 1"
        return {state: (count, due) for state, count, due in self._db.execute(late)}

    def _writes(self, where: str, values: Sequence[Any] = (), then: str = "") -> list[Write]:
        progress = "intent, lost_at, tries, ended, alone, fault, most"
        query = f"SELECT {self._columns}, {progress} FROM {self._table} WHERE {where} AND {self._which} {then}"
        return [_write_of(*row) for row in self._db.execute(query, values)]


def _progress(write: Write, answer: Lost | RowResult) -> tuple[Any, ...]:
    """Return what is noted of a write whose outcome is not known: intent, tries, ended, alone, fault, most."""
    if isinstance(answer, RowResult):
        was_absent, made = answer.outcome is Outcome.CREATED, answer.record_id or ""
        intent = Intent(was_absent=was_absent, changed=answer.changed_fields, record_id=answer.record_id, made=made)
        return intent.to_text(), write.tries, write.ended, write.alone, write.fault, write.most
    fault, size = answer.fault, answer.size
    is_again = fault == write.fault or (has_ended(fault) and has_ended(write.fault))
    alone = (write.alone + 1 if is_again else 1) if size == 1 and fault is not None else 0
    return None, write.tries + 1, write.ended + has_ended(fault), alone, fault, max(1, size // _PARTS)


def _write_of(*columns: Any) -> Write:
    """Return a write from the columns of a table of writes."""
    values = dict(zip(_FIELDS, columns, strict=True))
    intent = values["intent"]
    values |= {"body": unpack(values["body"]), "intent": None if intent is None else Intent.from_text(intent)}
    return Write(**values)


# the journal of a bulk write

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


KIND: Final = RunKind(
    name="bulk write",
    file="a journal of a bulk write",
    each="source",
    own="a journal",
    version=7,
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
    """

    def __init__(self, file: RunFile | None, *, keep_rows: bool, key_name: str = "key") -> None:
        self.is_in_memory: bool = file is None
        self._file = file
        self._keep_rows = keep_rows
        self._key = key_name
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
        self.set(report=None, loaded=True, **values)

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
        return refused_now + sum(value[-1] is not None for value in values)

    def _lines_of(self, rows: Sequence[LoadedRow]) -> dict[str | bytes, int]:
        """Return the lines of earlier rows that have a key of these, or a part that only one record can have."""
        keys = [row.key for row in rows if row.key is not None]
        parts = [_unique_value(name, value) for row in rows for name, value in row.unique.items()]
        earlier: list[tuple[Any, ...]] = []
        for query, asked in (
            ("SELECT key, line FROM writes WHERE key IN ", keys),
            ("SELECT value, line FROM seen WHERE value IN ", parts),
        ):
            if asked:
                earlier += self._db.execute(f"{query} ({', '.join('?' * len(asked))})", asked)
        return dict(earlier)

    def written_without_key(self) -> list[tuple[int, str | None]]:
        """Return the rows without a key whose record is written and whose parts are not, with its id."""
        where = f"key IS NULL AND state = {State.ENDED} AND parts > 0"
        return self._db.execute(f"SELECT row, record_id FROM writes WHERE {where}")

    def written_keys(self) -> list[str]:
        """Return the keys of the rows whose record is written and whose parts are not."""
        where = f"key IS NOT NULL AND state = {State.ENDED} AND parts > 0"
        return [key for (key,) in self._db.execute(f"SELECT key FROM writes WHERE {where}")]

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
        self._db.execute_many(
            f"UPDATE writes SET state = {State.ENDED}, due = NULL, outcome = ?, record_id = ?, changed = ?, "
            f"reasons = ?, parts = ?, body = NULL, base = NULL, intent = NULL WHERE id = ?",
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
        rows = self._db.execute(
            f"SELECT CASE WHEN state = {State.ENDED} AND parts = 0 THEN outcome ELSE '' END, count(*) FROM writes "
            "WHERE part = 0 GROUP BY 1"
        )
        return Counter(dict(rows))

    def has_begun(self) -> bool:
        """Return whether a row has made something or may have been sent: more than a refusal; a part may be refused."""
        where = f"state <> {State.WAITING} AND (outcome IS NOT ? OR key IS NULL AND record_id IS NOT NULL) LIMIT 1"
        return bool(self._db.execute(f"SELECT 1 FROM writes WHERE {where}", (Outcome.REFUSED.value,)))

    def waiting_keys(self) -> tuple[int, int]:
        """Return how many rows with a key wait, and how many bytes the last values of their keys have."""
        last_value = "CAST(substr(key, instr(key, char(31)) + 1) AS BLOB)"
        size = f"SELECT count(*), ifnull(sum(length({last_value})), 0) FROM writes WHERE state = 0 AND key IS NOT NULL"
        return self._db.execute(size)[0]

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
