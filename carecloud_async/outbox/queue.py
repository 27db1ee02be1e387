"""`OutboxQueue`: the entries of an outbox in one run file, each in a state of `bulk.machine`.

Entries form lanes, such as one for each customer. At most one entry of a lane is `ready`: the first one that was put,
except that a retried entry waits for the one that is ready. The transaction that ends it makes the next one ready. So a
backlog of any length costs one look at an index.

Threads that commit at the same moment share a transaction, and with it one wait for the disk. SQLite goes on writing to
a file that was moved or removed, and finds its log by the name alone: so nothing is stored while the file does not have
its name, since it would be lost when the file is closed.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal, Self, TypeVar

from attrs import field, frozen

from carecloud_async._base.runs import Database, RunFile, RunKind
from carecloud_async._base.runtime.clock import Clock, SystemClock
from carecloud_async.bulk.journal import PROGRESS
from carecloud_async.bulk.machine import SHOWN_SECONDS, State, wait_after
from carecloud_async.bulk.outcome import WRITTEN, Outcome, RowResult
from carecloud_async.bulk.rows import Intent, unpack
from carecloud_async.fixes import OUTBOX_DAMAGED, OUTBOX_FULL, OUTBOX_MOVED
from carecloud_async.outbox import past
from carecloud_async.outbox.errors import OutboxError, OutboxInUseError

__all__ = ["KIND", "FailedEntry", "NewEntry", "OutboxQueue", "QueuedEntry", "WaitingEntry"]

T = TypeVar("T")

_CLOCK: Final = SystemClock()

#: The kinds of the entries that are ready: one look at the index each.
_READY_KINDS: Final = """
    WITH RECURSIVE kinds (kind) AS (
        SELECT min(kind) FROM entries WHERE ready = 1
        UNION ALL SELECT (SELECT min(kind) FROM entries WHERE ready = 1 AND kind > kinds.kind)
        FROM kinds WHERE kind NOTNULL
    ) SELECT kind FROM kinds WHERE kind NOTNULL"""

_SELECT_READY: Final = "SELECT id, kind, body, intent, due, state FROM entries WHERE ready = 1"
_LOSE: Final = f"UPDATE entries SET state = {State.LOST}, tries = tries + 1, lost_at = ?"
_MAY_ACT: Final = f"state IN ({State.INTENDED}, {State.LOST})"
_IS_ALONE: Final = f"NOT EXISTS (SELECT 1 FROM entries WHERE lane = ? AND state < {State.ENDED})"


#: `once` is what no other entry may have: the key of something that is made. `ready` is 1 for one entry of a
#: lane. Entries that ended well are deleted; those that failed stay, with `outcome` and `reasons`.
_TABLES: Final = (
    f"""CREATE TABLE entries (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, once TEXT, lane TEXT NOT NULL,
        label TEXT NOT NULL, put_at REAL NOT NULL, body BLOB NOT NULL, ready INTEGER NOT NULL, {PROGRESS},
        outcome TEXT, reasons TEXT
    )""",
    "CREATE UNIQUE INDEX by_once ON entries (once) WHERE once IS NOT NULL",
    f"CREATE INDEX by_lane ON entries (lane, id) WHERE state < {State.ENDED}",
    "CREATE INDEX by_ready ON entries (kind, id) WHERE ready = 1",
    f"CREATE INDEX by_failure ON entries (id) WHERE state = {State.ENDED}",
    *past.TABLES,
)

KIND: Final = RunKind(
    name="outbox",
    file="an outbox",
    each="project",
    own="a file",
    # It rises with each change of what a file holds: the tables, and the texts of intents and bodies.
    version=4,
    tables=_TABLES,
    error=OutboxError,
    in_use_error=OutboxInUseError,
    begin_again=OUTBOX_DAMAGED,
    full=OUTBOX_FULL,
    work="program",
)


@frozen(kw_only=True)
class NewEntry:
    """An entry to be put into the queue.

    Attributes:
        kind: the name of its kind.
        key: its key in the form in which keys are compared.
        once: a key that only one entry may have; `None` for changes, which may follow one another in any number.
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
class QueuedEntry:
    """An entry whose turn has come.

    Attributes:
        id: its number.
        kind: the name of its kind.
        is_new: whether nothing was begun with it.
    """

    id: int
    kind: str
    is_new: bool


@frozen(kw_only=True)
class FailedEntry:
    """An entry that the API refused, or whose outcome cannot be determined.

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

    def to_dict(self) -> dict[str, Any]:
        """Return what a program without this package reads, as JSON values."""
        return {"entry": self.id, "call": self.label, "outcome": self.outcome, "reasons": list(self.reasons)}


@frozen(kw_only=True)
class WaitingEntry:
    """An entry that has no outcome, in an outbox that sends nothing now.

    Attributes:
        id, label, put_at: see `FailedEntry`.
        after: the number of the entry that must have ended before; `None` if its turn has come.
        is_lost: whether it was sent, or may have been, and its answer is not known.
        fault: what the server answered to it, if that was a 5xx.
        due_in: seconds until what was lost may be sent again; `None` if they count from the next opening of the outbox.
    """

    id: int
    label: str
    put_at: float
    after: int | None = None
    is_lost: bool = False
    fault: str | None = None
    due_in: float | None = None


class _Commits:
    """Runs statements of many threads in transactions. Everything blocks.

    Args:
        file: the open file.
        remember: called before a transaction; returns what is called if it fails.
    """

    def __init__(self, file: RunFile, *, remember: Callable[[], Callable[[], None]]) -> None:
        self._file = file
        self._remember = remember
        self._works: deque[tuple[Callable[[Database], Any], Future[Any]]] = deque()
        self._turn = Lock()

    def commit(self, run: Callable[[Database], T]) -> T:
        """Run statements, and return when they are durable.

        Raises:
            OutboxError: the file does not have its name any more, or the disk refuses; nothing of them is kept.
        """
        result: Future[T] = Future()
        self._works.append((run, result))
        with self._turn:
            if not result.done():
                self._commit_all()
        return result.result()

    def _commit_all(self) -> None:
        works = [self._works.popleft() for _ in range(len(self._works))]
        restore = self._remember()
        try:
            self._require_its_name()
            with self._file.transaction() as db:
                values = [run(db) for run, _ in works]
        except BaseException as error:  # noqa: BLE001  (each thread raises it)
            restore()
            for _, result in works:
                result.set_exception(error)
        else:
            for (_, result), value in zip(works, values, strict=True):
                result.set_result(value)

    def _require_its_name(self) -> None:
        if not self._file.has_its_name():
            raise OutboxError(f"{self._file.path} was moved, replaced or removed while it is open", fix=OUTBOX_MOVED)


class OutboxQueue:
    """An open outbox. Everything blocks, and many threads may call it.

    Args:
        file: the run file, which has begun.
        clock: its monotonic time may have begun again since an earlier process.

    Attributes:
        waiting: entries that have not ended.
        failed: entries that failed.
        settle_seconds: after how long an entry that was lost once is sent again, the longest time of the programs that
            have lost one; `None` if none has opened the file.
    """

    def __init__(self, file: RunFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._commits = _Commits(file, remember=self._remember_counts)
        counts = dict(file.db.execute(f"SELECT state = {State.ENDED}, count(*) FROM entries GROUP BY 1"))
        self.waiting: int = counts.get(0, 0)
        self.failed: int = counts.get(1, 0)
        self.settle_seconds: float | None = file.get("settle", float)
        numbers = "SELECT id FROM entries UNION ALL SELECT id FROM past"
        self._last: int = file.db.execute(f"SELECT coalesce(max(id), 0) FROM ({numbers})")[0][0]

    @classmethod
    def open(cls, path: Path, *, binding: Mapping[str, str] | None, clock: Clock = _CLOCK) -> Self:
        """Open an outbox, or make one.

        Args:
            path: the file.
            binding: digests of project and identity; `None` for work that sends nothing, on an outbox that is there.
            clock: the clock.

        Raises:
            OutboxError: another program has it open, it belongs to another project or identity, or is no outbox.
        """
        file = RunFile.open(path, kind=KIND, binding=binding, resume=True)
        try:
            if not file.continues:
                file.begin()
            return cls(file, clock)
        except BaseException:
            file.close()
            raise

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def db(self) -> Database:
        """The database of the file."""
        return self._file.db

    @property
    def now(self) -> float:
        """The time on the monotonic clock."""
        return self._clock.monotonic()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def begin(self, *, owner: int, settle_seconds: float, boot: str | None = None) -> list[int]:
        """Take up what an earlier process left: what was about to be sent may have been sent until its end.

        Args:
            owner: the number of this run in the claims.
            settle_seconds: how long a lost request of this process may take effect.
            boot: the boot that the time is of; what was lost in another one, perhaps of another host, counts as lost
                now. `None` if it is not known.

        Returns:
            the numbers of the earlier runs, which stay named beside this one until `forget_earlier_owners`.
        """
        unsettled = f"SELECT 1 FROM entries WHERE {_MAY_ACT} LIMIT 1"
        longest = max(self.settle_seconds or 0.0, settle_seconds)
        now = self._clock.monotonic()

        def work(db: Database) -> tuple[list[int], float]:
            earlier = self._file.get("owners", list[int]) or []
            self._file.set("owners", [*earlier, owner])
            settle = longest if db.execute(unsettled) else settle_seconds
            self._file.set("settle", settle)
            if self._is_of_another(boot):
                db.execute("UPDATE entries SET lost_at = ? WHERE lost_at NOTNULL", (now,))
            self._file.set("boot", boot)
            past.forget(db, now=self._clock.time())
            return earlier, settle

        earlier, self.settle_seconds = self.commit(work)
        return earlier

    def _is_of_another(self, boot: str | None) -> bool:
        return boot is not None and self._file.get("boot", str) not in {None, boot}

    def forget_earlier_owners(self, owner: int) -> None:
        """Note that this run has the claims of all earlier ones."""
        self.commit(lambda _: self._file.set("owners", [owner]))

    def lost_keys(self) -> list[tuple[str, str]]:
        """Return kind and key of the entries whose answer was lost, or which an earlier process may have sent."""
        return self._file.db.execute(f"SELECT kind, key FROM entries WHERE {_MAY_ACT}")

    # putting

    def put(self, entry: NewEntry) -> tuple[int, str]:
        """Add an entry durably, unless it is there, or was sent within the last day.

        An entry that failed, and is put once more as it was, waits again.

        Returns:
            its number and an empty text; or the number of another entry that has its key, and the state of that one.
        """
        return self.commit(partial(self._put, entry))

    def _put(self, entry: NewEntry, db: Database) -> tuple[int, str]:
        progress: tuple[Any, ...] = (State.WAITING, None, None, 0)
        if entry.once is not None:
            same_key = "SELECT id, state, kind, body FROM entries WHERE once = ?"
            for number, state, kind, body in db.execute(same_key, (entry.once,)):
                if (kind, body) != (entry.kind, entry.body):
                    return int(number), "is in the outbox already"
                if state == State.ENDED:
                    self._retry([number], db)
                return int(number), ""
            if earlier := past.find(db, entry.once, kind=entry.kind, body=entry.body, now=self._clock.time()):
                if not earlier.tries:
                    return earlier.id, "" if earlier.is_same else "was sent within the last day"
                progress = (State.LOST, earlier.intent, self._clock.monotonic(), earlier.tries)
        before = db.execute(f"SELECT lane FROM entries WHERE once = ? AND state < {State.ENDED}", (entry.follows,))
        lane = before[0][0] if before else entry.lane  # a cancellation goes into the lane of its bill
        self._last += 1
        db.execute(
            "INSERT INTO entries "
            "(id, kind, key, once, lane, label, put_at, body, state, intent, lost_at, tries, ready) "
            f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {_IS_ALONE})",
            (self._last, entry.kind, entry.key, entry.once, lane, entry.label, self._clock.time(), entry.body,
             *progress, lane),
        )  # fmt: skip
        self.waiting += 1
        return self._last, ""

    # sending

    def take(
        self, limit: int, *, but: Collection[int], but_kinds: Collection[str], again: Collection[int]
    ) -> tuple[list[QueuedEntry], list[int]]:
        """Return the first entries that are ready, in the order in which they were put.

        Args:
            limit: the most of them.
            but: entries that are not wanted.
            but_kinds: kinds of entries that are not wanted.
            again: entries that are wanted besides.

        Returns:
            the entries, and the numbers of those that cannot be read.
        """
        # Kind by kind: looking past all entries of a kind that cannot be sent now would take long.
        query = f"{_SELECT_READY} AND kind = ? ORDER BY id LIMIT ?"
        rows: list[tuple[Any, ...]] = []
        for (kind,) in self._file.db.execute(_READY_KINDS):
            if kind not in but_kinds:
                rows += self._file.db.execute(query, (kind, limit + len(but)))
        rows = [row for row in sorted(rows) if row[0] not in but][:limit]
        rows += self._file.db.execute(f"{_SELECT_READY} AND id IN ({', '.join('?' * len(again))})", [*again])
        entries: list[QueuedEntry] = []
        unreadable: list[int] = []
        for row in rows:
            try:
                entries.append(_entry(*row))
            except (TypeError, ValueError):
                unreadable.append(row[0])
        return entries, unreadable

    def end(self, results: Sequence[tuple[int, RowResult]]) -> None:
        """Delete entries that were sent, keep those that failed, and make the next ones of their lanes ready."""
        self.commit(partial(self._end, results))

    def set_aside(self, reasons: Mapping[int, str]) -> None:
        """Let entries fail that cannot be sent, each for its reason; one that may have been sent is `unknown`."""

        def work(db: Database) -> None:
            results: list[tuple[int, RowResult]] = []
            for number, reason in reasons.items():
                db.execute(f"{_LOSE} WHERE state = {State.INTENDED} AND id = ?", (self._clock.monotonic(), number))
                for (tries,) in db.execute("SELECT tries FROM entries WHERE id = ?", (number,)):
                    outcome = Outcome.UNKNOWN if tries else Outcome.REFUSED
                    results.append((number, RowResult(outcome=outcome, reasons=(reason,))))
            self._end(results, db)

        self.commit(work)

    def _end(self, results: Sequence[tuple[int, RowResult]], db: Database) -> None:
        for number, result in results:
            lanes = db.execute(f"SELECT lane FROM entries WHERE id = ? AND state < {State.ENDED}", (number,))
            if not lanes:  # it has ended before
                continue
            lane = lanes[0][0]
            if result.outcome in WRITTEN:
                past.remember(db, number, is_sent=True, now=self._clock.time())
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
        rows = self._file.db.execute(
            f"SELECT id, label, put_at, outcome, reasons FROM entries WHERE state = {State.ENDED} AND id > ? "
            "ORDER BY id LIMIT ?",
            (after, limit),
        )
        return [
            FailedEntry(id=number, label=label, put_at=put_at, outcome=outcome, reasons=tuple(json.loads(reasons)))
            for number, label, put_at, outcome, reasons in rows
        ]

    def had(self, number: int) -> bool:
        """Return whether an entry has had a number; it is known for a day after the entry was sent."""
        return 0 < number <= self._last

    def outcome(self, number: int) -> Literal["sent", "waiting", "failed"]:
        """Return what became of an entry; one that is not in the file any more was sent."""
        states = self._file.db.execute("SELECT state FROM entries WHERE id = ?", (number,))
        return "sent" if not states else "failed" if states[0][0] == State.ENDED else "waiting"

    def waiting_entries(self, *, limit: int, boot: str | None = None) -> list[WaitingEntry]:
        """Return the first entries that wait, and why.

        Args:
            limit: the most of them.
            boot: the boot that the time of the clock is of; `None` if it is not known.
        """
        settle = None if self._is_of_another(boot) else self.settle_seconds
        is_waiting = f"state < {State.ENDED}"
        after = f"SELECT id FROM entries AS other WHERE lane = entries.lane AND {is_waiting} AND ready = 1"
        rows = self._file.db.execute(
            f"SELECT id, label, put_at, CASE ready WHEN 0 THEN ({after}) END, state, tries, ended, "
            f"fault, lost_at "
            f"FROM entries WHERE {is_waiting} ORDER BY id LIMIT ?",
            (limit,),
        )
        return [
            WaitingEntry(
                id=number,
                label=label,
                put_at=put_at,
                after=after,
                is_lost=state == State.INTENDED or tries > 0,
                fault=fault,
                due_in=self._due_in(lost_at, tries - ended, settle),
            )
            for number, label, put_at, after, state, tries, ended, fault, lost_at in rows
        ]

    def _due_in(self, lost_at: float | None, losses: int, settle: float | None) -> float | None:
        """Return after how many seconds a lost entry is sent again; `None` if its time is of another boot.

        Args:
            lost_at: when it was lost.
            losses: how often its request may still act; none, if the server has ended each of them.
            settle: how long one that was lost once waits.
        """
        now = self._clock.monotonic()
        if settle is None or lost_at is None or lost_at > now:
            return None
        wait = wait_after(losses, settle) if losses else min(SHOWN_SECONDS, settle)
        return max(lost_at + wait - now, 0.0)

    def retry(self, numbers: Collection[int] | None) -> int:
        """Let failed entries wait again, all of them if none is named; return how many."""
        return self.commit(lambda db: self._retry(self._failed(numbers, db), db))

    def drop(self, numbers: Collection[int] | None) -> int:
        """Delete failed entries, all of them if none is named; return how many."""

        def work(db: Database) -> int:
            failed = self._failed(numbers, db)
            for number in failed:
                past.remember(db, number, is_sent=False, now=self._clock.time())
            db.execute_many("DELETE FROM entries WHERE id = ?", [(number,) for number in failed])
            self.failed -= len(failed)
            return len(failed)

        return self.commit(work)

    def _failed(self, numbers: Collection[int] | None, db: Database) -> list[int]:
        rows = db.execute(f"SELECT id FROM entries WHERE state = {State.ENDED} ORDER BY id")
        return [number for (number,) in rows if numbers is None or number in numbers]

    def _retry(self, numbers: Iterable[int], db: Database) -> int:
        """Let entries wait again. One whose answer was lost is still decided as one that may have been sent."""
        retried = [*numbers]
        for number in retried:
            ready = _IS_ALONE.replace("?", "(SELECT lane FROM entries WHERE id = ?)")
            db.execute(
                f"UPDATE entries SET ready = {ready}, intent = CASE WHEN tries > 0 THEN intent END, "
                f"state = CASE WHEN lost_at NOTNULL THEN {State.LOST} ELSE {State.WAITING} END, tries = min(tries, 1), "
                "due = 0, ended = 0, most = 0, alone = 0, fault = NULL, outcome = NULL, reasons = NULL WHERE id = ?",
                (number, number),
            )
        self.failed -= len(retried)
        self.waiting += len(retried)
        return len(retried)

    def commit(self, run: Callable[[Database], T]) -> T:
        """Run statements, and return when they are durable.

        Raises:
            OutboxError: the file does not have its name any more, or the disk refuses; nothing of them is kept.
        """
        return self._commits.commit(run)

    def _remember_counts(self) -> Callable[[], None]:
        """Return what sets the counts back to what they are now."""
        waiting, failed = self.waiting, self.failed

        def restore() -> None:
            self.waiting, self.failed = waiting, failed

        return restore


def _entry(number: int, kind: str, body: bytes, intent: str | None, due: float | None, state: int) -> QueuedEntry:
    """Return an entry that can be read.

    Raises:
        TypeError: it cannot.
        ValueError: it cannot.
    """
    unpack(body)
    if intent is not None:
        Intent.from_text(intent)
    return QueuedEntry(id=number, kind=kind, is_new=state == State.WAITING and due == 0)
