"""A group of entries of one kind: the engine of bulk writes leads them, and the queue records each step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any, Final

import anyio

from carecloud_async.bulk.claims import Claims
from carecloud_async.bulk.engine import Engine
from carecloud_async.bulk.figures import RunFigures
from carecloud_async.bulk.gate import Gate
from carecloud_async.bulk.journal import Journal
from carecloud_async.bulk.machine import State, TryLimits
from carecloud_async.bulk.outcome import RowResult
from carecloud_async.bulk.report import BulkProgress
from carecloud_async.bulk.rows import LoadedRow, Plan, Write
from carecloud_async.bulk.settling import SettleTimes, has_ended
from carecloud_async.bulk.tables import WRITES
from carecloud_async.outbox.entries import Target
from carecloud_async.outbox.queue import OutboxQueue
from carecloud_async.outbox.queue_values import Progress, QueuedEntry

__all__ = ["send_group"]

_log = logging.getLogger("carecloud_async.outbox")

#: Writes may be away for hours while reads are answered: these are five hours of 503, and six of lost answers.
#: What cannot be sent goes back to the dispatcher at once.
_LIMITS: Final = TryLimits(unavailable=500, losses=20, attempts=1, patience=0.0)


class _QueueJournal(Journal):
    """The journal of a group: each step is durable in the queue before the engine relies on it.

    Args:
        entries: the group.
        look: after how many seconds a lost entry is looked up.
        on_lost: called with entries that wait for a while.
    """

    def __init__(
        self,
        queue: OutboxQueue,
        entries: Sequence[QueuedEntry],
        *,
        look: float,
        on_lost: Callable[[list[int]], object],
    ) -> None:
        super().__init__(None, keep_rows=False)
        self._queue = queue
        self._on_lost = on_lost
        self.load([LoadedRow(number=one.id, line=one.id, key=one.key, checked=one.checked) for one in entries])
        self._restore(entries, look)

    @property
    def is_in_memory(self) -> bool:
        """Whether its methods take microseconds: they wait for the disk of the queue."""
        return False

    def take_turn(
        self, *, now: float, after: int | None, limit: int, only_lost: bool = False
    ) -> tuple[list[Write], bool]:
        """See `Journal.take_turn`."""
        if only_lost:
            found = self._db.execute("SELECT id FROM writes WHERE state = ?", (State.WAITING,))
            self._on_lost([number // WRITES for (number,) in found])
        return super().take_turn(now=now, after=after, limit=limit, only_lost=only_lost)

    def intend(self, plans: Iterable[tuple[Write, Plan]]) -> None:
        """See `Journal.intend`."""
        given = [*plans]
        super().intend(given)
        self._note(write for write, _ in given)

    def lose(self, writes: Iterable[tuple[Write, str | None, int]], *, now: float, look: float) -> None:
        """See `Journal.lose`."""
        given = [*writes]
        super().lose(given, now=now, look=look)
        self._note(write for write, _, _ in given)
        self._on_lost([write.row for write, _, _ in given])

    def postpone(self, writes: Iterable[Write], *, until: float) -> None:
        """See `Journal.postpone`."""
        given = [*writes]
        super().postpone(given, until=until)
        self._on_lost([write.row for write in given])

    def confirm(self, writes: Iterable[tuple[Write, RowResult]], *, now: float, until: float) -> None:
        """See `Journal.confirm`."""
        given = [*writes]
        super().confirm(given, now=now, until=until)
        self._note(write for write, _ in given)
        self._on_lost([write.row for write, _ in given])

    def take_back(self, writes: Iterable[Write], *, until: float, is_held: bool = False) -> None:
        """See `Journal.take_back`."""
        given = [*writes]
        super().take_back(given, until=until)
        self._note(given)
        if is_held:
            self._on_lost([write.row for write in given])

    def end(
        self, results: Sequence[tuple[Write, RowResult]], *, parts_of: Callable[..., Any], now: float
    ) -> list[tuple[int, RowResult]]:
        """See `Journal.end`."""
        self._queue.end([(write.row, result) for write, result in results])
        return super().end(results, parts_of=parts_of, now=now)

    def _restore(self, entries: Sequence[QueuedEntry], look: float) -> None:
        """Let entries go on where they were."""
        values = [
            (int(now.state), _packed(now), now.lost_at, 0 if now.lost_at is None else now.lost_at + look, now.tries,
             now.alone if has_ended(now.fault) else 0, now.alone, now.fault, one.id * WRITES)
            for one in entries
            if (now := one.progress).intent is not None
        ]  # fmt: skip
        self._update("state = ?, intent = ?, lost_at = ?, due = ?, tries = ?, ended = ?, alone = ?, fault = ?", values)
        self._on_lost([one.id for one in entries if one.progress.lost_at is not None])

    def _note(self, writes: Iterable[Write]) -> None:
        """Record in the queue how far entries have come."""
        found: dict[int, Progress] = {}
        for one in writes:
            ((state, lost_at),) = self._db.execute("SELECT state, lost_at FROM writes WHERE id = ?", (one.id,))
            (now,) = self._writes("id = ?", (one.id,))
            found[one.row] = Progress(
                state=state, intent=now.intent, lost_at=lost_at, tries=now.tries, alone=now.alone, fault=now.fault
            )
        self._queue.note(found)


def _packed(progress: Progress) -> str | None:
    return None if progress.intent is None else progress.intent.to_text()


async def send_group(
    target: Target,
    entries: Sequence[QueuedEntry],
    *,
    queue: OutboxQueue,
    claims: Claims,
    times: SettleTimes,
    gate: Gate,
    slots: anyio.Semaphore,
    records: dict[str, int],
    rows: dict[str, int],
    on_lost: Callable[[list[int]], object],
    on_wait: Callable[[], object],
    on_results: Callable[[list[tuple[int, RowResult]]], None],
) -> None:
    """Send entries, and return when each has ended.

    Args:
        target: where they are written.
        entries: entries of one kind.
        queue: takes what becomes of them.
        claims: the keys that programs on this machine are writing.
        times: how long lost entries wait.
        gate: lets entries of the kind leave.
        slots: requests under way at once.
        records: the records that are being written.
        rows: the entries that hold keys.
        on_lost: called with entries that wait, such as until a lost answer has settled; in any thread.
        on_wait: called when nothing but such entries is left.
        on_results: called with outcomes when they are durable.

    Raises:
        CareCloudError: the server cannot be reached, or refuses the client; entries that have no outcome wait again.
    """

    def tell(progress: BulkProgress) -> None:
        if progress.waits_for:
            _log.info("the outbox waits for %s", progress.waits_for)
            on_wait()

    family = target.family
    with closing(_QueueJournal(queue, entries, look=times.look, on_lost=on_lost)) as journal:
        engine = Engine(
            family,
            journal,
            claims,
            key=target.key,
            options=target.options,
            figures=RunFigures(family.clock, tell, on_results=on_results),
            times=times,
            gate=gate,
            slots=slots,
            records=records,
            rows=rows,
            limits=_LIMITS,
        )
        await engine.run()
