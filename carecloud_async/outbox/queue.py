"""`OutboxQueue`: the entries of an outbox in one run file, each in a state of `bulk.machine`.

Entries form lanes, such as one for each customer. Only the first entry of a lane that has not ended is `ready`; the
transaction that ends it makes the next one ready. So a backlog of any length costs one look at an index.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

from attrs import field, frozen

from carecloud_async._base.runs import Database, RunFile, RunKind
from carecloud_async.bulk.machine import State
from carecloud_async.bulk.outcome import RowResult
from carecloud_async.bulk.rows import Intent
from carecloud_async.bulk.tables import WRITTEN
from carecloud_async.fixes import OUTBOX_DAMAGED, OUTBOX_FULL
from carecloud_async.outbox.commits import Commits
from carecloud_async.outbox.errors import OutboxError

__all__ = ["KIND", "FailedEntry", "NewEntry", "OutboxQueue", "Progress", "QueuedEntry"]

T = TypeVar("T")

#: `once` is what no other entry may have: the key of something that is made. `ready` is 1 for the first entry of its
#: lane. Entries that ended well are deleted; those that failed stay, with `outcome` and `reasons`.
_TABLES: Final = (
    """CREATE TABLE entries (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, once TEXT, lane TEXT NOT NULL,
        label TEXT NOT NULL, put_at REAL NOT NULL, body BLOB NOT NULL, state INTEGER NOT NULL DEFAULT 0,
        ready INTEGER NOT NULL, intent TEXT, lost_at REAL, tries INTEGER NOT NULL DEFAULT 0,
        alone INTEGER NOT NULL DEFAULT 0, fault TEXT, outcome TEXT, reasons TEXT
    )""",
    "CREATE UNIQUE INDEX by_once ON entries (once) WHERE once IS NOT NULL",
    f"CREATE INDEX by_lane ON entries (lane, id) WHERE state < {State.ENDED}",
    "CREATE INDEX by_ready ON entries (id) WHERE ready = 1",
    f"CREATE INDEX by_failure ON entries (id) WHERE state = {State.ENDED}",
)

KIND: Final = RunKind(
    name="outbox",
    file="an outbox",
    each="project",
    own="a file",
    version=1,
    tables=_TABLES,
    error=OutboxError,
    begin_again=OUTBOX_DAMAGED,
    full=OUTBOX_FULL,
    work="program",
)

_IS_ALONE: Final = f"NOT EXISTS (SELECT 1 FROM entries WHERE lane = ? AND state < {State.ENDED})"


@frozen(kw_only=True)
class NewEntry:
    """What is put.

    Attributes:
        kind: the name of its kind.
        key: its key in the form in which keys are compared.
        once: what no other entry may have; `None` for changes, of which any number may follow one another.
        lane: entries of one lane are sent in their order.
        follows: the `once` of an entry that must be sent before, if it waits.
        label: what a person reads: the operation and the key, where that is no personal datum.
        body: what is sent.
    """

    kind: str
    key: str = field(repr=False)
    once: str | None = field(default=None, repr=False)
    lane: str = field(repr=False)
    follows: str | None = field(default=None, repr=False)
    label: str
    body: bytes = field(repr=False)


@frozen(kw_only=True)
class Progress:
    """How far an entry has come.

    Attributes:
        state, tries, alone, fault: see `bulk.rows.Write`.
        intent: what was about to be sent; `None` if nothing was.
        lost_at: when its answer was lost, on the monotonic clock.
    """

    state: int = State.WAITING
    intent: Intent | None = None
    lost_at: float | None = None
    tries: int = 0
    alone: int = 0
    fault: str | None = None


@frozen(kw_only=True)
class QueuedEntry:
    """An entry whose turn has come."""

    id: int
    kind: str
    key: str = field(repr=False)
    body: bytes = field(repr=False)
    progress: Progress


@frozen(kw_only=True)
class FailedEntry:
    """An entry that the API refused, or of which nothing can be known.

    Attributes:
        id: its number.
        label: the operation and, where it is no personal datum, the key.
        put_at: when it was put (seconds since 1970).
        outcome: `refused`, `conflict` or `unknown`; see `carecloud_async.bulk.Outcome`.
        reasons: why; never a value.
    """

    id: int
    label: str
    put_at: float
    outcome: str
    reasons: tuple[str, ...]


class OutboxQueue:
    """An open outbox. Everything blocks, and many threads may call it.

    Args:
        file: the run file, which has begun.

    Attributes:
        waiting: entries that have not ended.
        failed: entries that failed.
    """

    def __init__(self, file: RunFile) -> None:
        self._file = file
        self._commits = Commits(file, remember=self._counts)
        counts = dict(file.db.execute(f"SELECT state = {State.ENDED}, count(*) FROM entries GROUP BY 1"))
        self.waiting: int = counts.get(0, 0)
        self.failed: int = counts.get(1, 0)
        self._last: int = file.db.execute("SELECT coalesce(max(id), 0) FROM entries")[0][0]

    @classmethod
    def open(cls, path: Path, *, binding: Mapping[str, str] | None) -> Self:
        """Open an outbox, or make one.

        Args:
            path: the file.
            binding: digests of project and identity; `None` for work that sends nothing, on an outbox that is there.

        Raises:
            OutboxError: another program has it open, it belongs to another project or identity, or is no outbox.
        """
        file = RunFile.open(path, kind=KIND, binding=binding, resume=True)
        try:
            if not file.continues:
                file.begin()
            return cls(file)
        except BaseException:
            file.close()
            raise

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def begin(self, *, owner: int, now: float) -> int | None:
        """Take up what an earlier process left: what was about to be sent may have been sent until its end.

        Args:
            owner: the number of this run in the claims.
            now: the time on the monotonic clock, which may have begun again since.

        Returns:
            the number of the earlier run.
        """

        def work(db: Database) -> int | None:
            earlier: int | None = self._file.get("owner")
            self._file.set("owner", owner)
            db.execute(
                f"UPDATE entries SET tries = tries + (state = {State.INTENDED}), state = {State.LOST}, "
                f"lost_at = min(coalesce(lost_at, ?), ?) WHERE state IN ({State.INTENDED}, {State.LOST})",
                (now, now),
            )
            return earlier

        return self._commit(work)

    def lost_keys(self) -> list[tuple[str, str]]:
        """Return kind and key of the entries whose answer was lost."""
        return self._file.db.execute(f"SELECT kind, key FROM entries WHERE state = {State.LOST}")

    # putting

    def put(self, entry: NewEntry, *, put_at: float) -> tuple[int, bool]:
        """Add an entry durably, unless it is there; return its number, or that of another with its key and `False`.

        An entry that failed, and is put once more as it was, waits again.
        """
        return self._commit(partial(self._put, entry, put_at))

    def _put(self, entry: NewEntry, put_at: float, db: Database) -> tuple[int, bool]:
        if entry.once is not None:
            for number, state, body in db.execute("SELECT id, state, body FROM entries WHERE once = ?", (entry.once,)):
                if body != entry.body:
                    return int(number), False
                if state == State.ENDED:
                    self._retry([number], db)
                return int(number), True
        lane = entry.lane
        for (found,) in db.execute(
            f"SELECT lane FROM entries WHERE once = ? AND state < {State.ENDED}", (entry.follows,)
        ):
            lane = found
        self._last += 1
        db.execute(
            "INSERT INTO entries (id, kind, key, once, lane, label, put_at, body, ready) "
            f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, {_IS_ALONE})",
            (self._last, entry.kind, entry.key, entry.once, lane, entry.label, put_at, entry.body, lane),
        )
        self.waiting += 1
        return self._last, True

    # sending

    def take(self, limit: int, *, but: Collection[int], but_kinds: Collection[str], now: float) -> list[QueuedEntry]:
        """Return the first entries that are ready, in the order in which they were put.

        Args:
            limit: the most of them.
            but: entries that are not wanted.
            but_kinds: kinds of which none is wanted.
            now: when an answer is taken to be lost that was not noted.
        """
        found = self._file.db.execute(
            "SELECT id, kind, key, body, state, intent, lost_at, tries, alone, fault FROM entries "
            f"WHERE ready = 1 AND kind NOT IN ({', '.join('?' * len(but_kinds))}) ORDER BY id LIMIT ?",
            (*but_kinds, limit + len(but)),
        )
        return [_entry(*columns, now=now) for columns in found if columns[0] not in but][:limit]

    def note(self, progress: Mapping[int, Progress]) -> None:
        """Note how far entries have come, durably."""
        rows = [
            (one.state, _packed(one.intent), one.lost_at, one.tries, one.alone, one.fault, number)
            for number, one in progress.items()
        ]
        statement = (
            "UPDATE entries SET state = ?, intent = ?, lost_at = ?, tries = ?, alone = ?, fault = ? WHERE id = ?"
        )
        self._commit(lambda db: db.execute_many(statement, rows))

    def end(self, results: Sequence[tuple[int, RowResult]]) -> None:
        """Delete entries that were sent, keep those that failed, and make the next ones of their lanes ready."""
        self._commit(partial(self._end, results))

    def _end(self, results: Sequence[tuple[int, RowResult]], db: Database) -> None:
        for number, result in results:
            ((lane,),) = db.execute("SELECT lane FROM entries WHERE id = ?", (number,))
            if result.outcome in WRITTEN:
                db.execute("DELETE FROM entries WHERE id = ?", (number,))
            else:
                db.execute(
                    f"UPDATE entries SET state = {State.ENDED}, ready = 0, outcome = ?, reasons = ? WHERE id = ?",
                    (result.outcome.value, json.dumps(result.reasons), number),
                )
                self.failed += 1
            self.waiting -= 1
            db.execute(
                "UPDATE entries SET ready = 1 WHERE id = "
                f"(SELECT min(id) FROM entries WHERE lane = ? AND state < {State.ENDED})",
                (lane,),
            )

    # failed entries

    def failures(self, *, after: int = 0, limit: int = 1000) -> list[FailedEntry]:
        """Return failed entries in the order in which they were put."""
        found = self._file.db.execute(
            f"SELECT id, label, put_at, outcome, reasons FROM entries WHERE state = {State.ENDED} AND id > ? "
            "ORDER BY id LIMIT ?",
            (after, limit),
        )
        return [
            FailedEntry(id=number, label=label, put_at=put_at, outcome=outcome, reasons=tuple(json.loads(reasons)))
            for number, label, put_at, outcome, reasons in found
        ]

    def waiting_labels(self, *, limit: int) -> list[tuple[int, str, float]]:
        """Return number, label and time of the first entries that wait."""
        where = f"state < {State.ENDED} ORDER BY id LIMIT ?"
        return self._file.db.execute(f"SELECT id, label, put_at FROM entries WHERE {where}", (limit,))

    def retry(self, numbers: Collection[int] | None) -> int:
        """Let failed entries wait again, all of them if none is named; return how many."""
        return self._commit(lambda db: self._retry(self._failed(numbers, db), db))

    def drop(self, numbers: Collection[int] | None) -> int:
        """Delete failed entries, all of them if none is named; return how many."""

        def work(db: Database) -> int:
            found = self._failed(numbers, db)
            db.execute_many("DELETE FROM entries WHERE id = ?", [(number,) for number in found])
            self.failed -= len(found)
            return len(found)

        return self._commit(work)

    def _failed(self, numbers: Collection[int] | None, db: Database) -> list[int]:
        found = db.execute(f"SELECT id FROM entries WHERE state = {State.ENDED} ORDER BY id")
        return [number for (number,) in found if numbers is None or number in numbers]

    def _retry(self, numbers: Iterable[int], db: Database) -> int:
        found = [*numbers]
        for number in found:
            ready = _IS_ALONE.replace("?", "(SELECT lane FROM entries WHERE id = ?)")
            db.execute(
                f"UPDATE entries SET ready = {ready}, state = 0, intent = NULL, lost_at = NULL, tries = 0, alone = 0, "
                "fault = NULL, outcome = NULL, reasons = NULL WHERE id = ?",
                (number, number),
            )
        self.failed -= len(found)
        self.waiting += len(found)
        return len(found)

    def _commit(self, run: Callable[[Database], T]) -> T:
        """Run statements, and return when they are durable.

        Raises:
            OutboxError: see `Commits.commit`; nothing of them is kept.
        """
        return self._commits.commit(run)

    def _counts(self) -> Callable[[], None]:
        """Return what sets the counts back to what they are now."""
        waiting, failed = self.waiting, self.failed

        def restore() -> None:
            self.waiting, self.failed = waiting, failed

        return restore


def _entry(
    number: int, kind: str, key: str, body: bytes, state: int, intent: str | None, lost_at: float | None, tries: int,
    alone: int, fault: str | None, *, now: float,
) -> QueuedEntry:  # fmt: skip
    if state == State.INTENDED:  # what became of it could not be noted
        state, lost_at = State.LOST, now
    was_absent, changed = (False, ()) if intent is None else json.loads(intent)
    found = None if intent is None else Intent(was_absent=was_absent, changed=tuple(changed))
    progress = Progress(state=state, intent=found, lost_at=lost_at, tries=tries, alone=alone, fault=fault)
    return QueuedEntry(id=number, kind=kind, key=key, body=body, progress=progress)


def _packed(intent: Intent | None) -> str | None:
    return None if intent is None else json.dumps((intent.was_absent, intent.changed))
