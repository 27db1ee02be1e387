"""`Journal`: writes in a table, in the states of `machine`: those of a bulk write's file, or of an outbox's queue.

Each transaction is durable before it is relied on: an intent before its request leaves, an outcome before its key is
released. One transaction serves many writes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import attrs

from carecloud_async._base.runs import Database
from carecloud_async.bulk.machine import TRANSITIONS, Move, State, has_ended
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.rows import Intent, Plan, Write, unpack
from carecloud_async.bulk.sending import Lost

__all__ = ["PROGRESS", "Journal"]

T = TypeVar("T")

#: The columns of a table of writes that say how far each has come; see `Write`. `due` is 0 for a write whose turn comes
#: in the order of the rows, null for one that is worked on, and else the time before which it is left alone.
PROGRESS: Final = (
    "state INTEGER NOT NULL DEFAULT 0, due REAL DEFAULT 0, intent TEXT, lost_at REAL, "
    "tries INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0, alone INTEGER NOT NULL DEFAULT 0, fault TEXT, "
    "most INTEGER NOT NULL DEFAULT 0"
)
#: What `Write` is made of, in the order of the columns.
_FIELDS: Final = tuple(one.name for one in attrs.fields(Write) if one.name not in {"is_doubted", "made_at"})


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
        self._move(Move.INTEND, "intent = ?, due = NULL, lost_at = NULL", values)

    def lose(self, writes: Iterable[tuple[Write, Lost | RowResult]], *, now: float, until: float) -> None:
        """Note writes whose outcome is not known.

        Args:
            writes: each with its lost answer; or with the outcome that it has, if another look-up is to confirm it.
            now: the time.
            until: when they are looked up.
        """
        given = [*writes]
        values = [(now, until, *_progress(write, answer), write.id) for write, answer in given]
        progress = "intent = ifnull(?, intent), tries = ?, ended = ?, alone = ?, fault = ?, most = ?"
        self._move(Move.LOSE, f"lost_at = ?, due = ?, {progress}", values)
        self._wait([write for write, _ in given], until=until)

    def take_back(self, writes: Sequence[Write], *, until: float) -> None:
        """Let writes wait again whose request did nothing; without an earlier try, as if never intended."""
        values = [(until, one.id) for one in writes]
        self._move(Move.TAKE_BACK, "due = ?, intent = CASE WHEN tries > 0 THEN intent END", values)
        self._wait(writes, until=until)

    def _move(self, move: Move, assignments: str, values: Sequence[tuple[Any, ...]]) -> None:
        """Move writes; the last value of each is its id."""
        before, after = TRANSITIONS[move]
        states = ", ".join(str(int(state)) for state in before)
        self._update(f"state = {int(after)}, {assignments}", values, also=f" AND state IN ({states})")

    def _update(self, assignments: str, values: Sequence[tuple[Any, ...]], also: str = "") -> None:
        statement = f"UPDATE {self._table} SET {assignments} WHERE id = ?{also}"
        self._commit(lambda db: db.execute_many(statement, values))

    # turns

    def postpone(self, writes: Sequence[Write], *, until: float) -> None:
        """Give writes another turn."""
        self._update("due = ?", [(until, one.id) for one in writes])
        self._wait(writes, until=until)

    def _wait(self, writes: Iterable[Write], *, until: float) -> None:  # noqa: B027  (only an outbox asks)
        """Learn that writes wait until a time."""

    def correct_intents(self, writes: Iterable[Write]) -> None:
        """Replace the intents of writes: more is known of them than when they were sent."""
        self._update("intent = ?", [(one.intent.to_text(), one.id) for one in writes if one.intent is not None])

    def recover(self, *, now: float, look: float, is_of_another_boot: bool = False) -> None:
        """Take up the writes of a run that ended: each that was intended may have been sent until its end.

        Args:
            now: the time.
            look: after how many seconds lost writes are looked up.
            is_of_another_boot: whether the times of losses are of another boot, perhaps of another host: such a write
                counts as lost now.
        """
        update = f"UPDATE {self._table} SET"
        was_sent = f"state IN ({State.INTENDED}, {State.LOST}) AND ({self._kind} > '' OR key IS NOT NULL)"
        lost_at = "?" if is_of_another_boot else "min(ifnull(lost_at, ?1), ?1)"

        def work(db: Database) -> None:
            db.execute(
                f"{update} tries = tries + (state = {State.INTENDED}), state = {State.LOST}, lost_at = {lost_at} "
                f"WHERE {was_sent} AND {self._which}",
                (now,),
            )
            db.execute(f"{update} due = lost_at + ? WHERE state = {State.LOST} AND {self._which}", (look,))
            waits = f"state = {State.WAITING} AND {self._which} AND {self._kind}"
            db.execute(f"{update} due = 0 WHERE {waits} = ''")
            # A time ahead of the clock may be from before the machine started.
            db.execute(f"{update} due = ? WHERE {waits} > '' AND (due IS NULL OR due > ?)", (now, now))

        self._commit(work)

    def intended_without_key(self) -> list[Write]:
        """Return the rows without a key that were intended and have no outcome."""
        return self._writes(f"state = {State.INTENDED} AND {self._kind} = '' AND key IS NULL")

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
        found = self._writes(f"{is_due} AND {self._kind} = ?", (now, first[0][0]), f"ORDER BY due, id LIMIT {limit}")
        self._update("due = NULL", [(one.id,) for one in found])
        return found, False

    def waiting(self) -> dict[int, tuple[int, float]]:
        """Return how many late writes wait, by their state, and when the first of them has its turn."""
        late = f"SELECT state, count(*), min(due) FROM {self._table} WHERE due > 0 AND {self._which} GROUP BY 1"
        return {state: (count, due) for state, count, due in self._db.execute(late)}

    def _writes(self, where: str, values: Sequence[Any] = (), then: str = "") -> list[Write]:
        progress = "intent, lost_at, tries, ended, alone, fault, most"
        query = f"SELECT {self._columns}, {progress} FROM {self._table} WHERE {where} AND {self._which} {then}"
        return [_write_of(*found) for found in self._db.execute(query, values)]


def _progress(write: Write, answer: Lost | RowResult) -> tuple[Any, ...]:
    """Return what is noted of a write whose outcome is not known: intent, tries, ended, alone, fault, most."""
    if isinstance(answer, RowResult):
        was_absent, made = answer.outcome is Outcome.CREATED, answer.record_id or ""
        intent = Intent(was_absent=was_absent, changed=answer.changed_fields, record_id=answer.record_id, made=made)
        return intent.to_text(), write.tries, write.ended, write.alone, write.fault, write.most
    fault, size = answer.fault, answer.size
    is_again = fault == write.fault or (has_ended(fault) and has_ended(write.fault))
    alone = (write.alone + 1 if is_again else 1) if size == 1 and fault is not None else 0
    return None, write.tries + 1, write.ended + has_ended(fault), alone, fault, max(1, size // 2)


def _write_of(*found: Any) -> Write:
    """Return a write from the columns of a table of writes."""
    values = dict(zip(_FIELDS, found, strict=True))
    intent = values["intent"]
    values |= {"body": unpack(values["body"]), "intent": None if intent is None else Intent.from_text(intent)}
    return Write(**values)
