"""`QueueJournal`: a group of entries in the queue, as the journal of the engine that sends them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, ClassVar, Final, TypeVar

from carecloud_async._base.runs import Database
from carecloud_async.bulk.journal import Journal
from carecloud_async.bulk.machine import State, TryLimits
from carecloud_async.bulk.outcome import RowResult
from carecloud_async.bulk.rows import Write
from carecloud_async.outbox.queue import OutboxQueue

__all__ = ["LIMITS", "QueueJournal"]

T = TypeVar("T")

#: Writes may be away for hours while reads are answered: these are five hours of 503, and six of lost answers.
#: What cannot be sent goes back to the dispatcher at once.
LIMITS: Final = TryLimits(unavailable=500, losses=20, attempts=1, patience=0.0)


class QueueJournal(Journal):
    """Entries of one kind; see `Journal`.

    Args:
        queue: the open queue.
        numbers: the entries.
        on_wait: called with entries that wait for a while; in any thread.
    """

    _table: ClassVar[str] = "entries"
    _kind: ClassVar[str] = "''"
    _columns: ClassVar[str] = "id, id, '', key, body, NULL, NULL, 0"

    def __init__(self, queue: OutboxQueue, numbers: Collection[int], *, on_wait: Callable[[list[int]], object]) -> None:
        self._queue = queue
        self._on_wait = on_wait
        self._which: str = f"id IN ({', '.join(map(str, numbers))})"

    @property
    def _db(self) -> Database:
        return self._queue.db

    def _commit(self, work: Callable[[Database], T]) -> T:
        return self._queue.commit(work)

    def _wait(self, writes: Iterable[Write], *, until: float) -> None:
        if until > self._queue.now:
            self._on_wait([one.id for one in writes])

    def take_turn(
        self, *, now: float, after: int | None, limit: int, only_lost: bool = False
    ) -> tuple[list[Write], bool]:
        """See `Journal.take_turn`."""
        if only_lost:
            self._on_wait([one.id for one in self._writes(f"state = {State.WAITING}")])
        return super().take_turn(now=now, after=after, limit=limit, only_lost=only_lost)

    def recover(self, *, now: float, look: float, is_of_another_boot: bool = False) -> None:
        """See `Journal.recover`."""
        super().recover(now=now, look=look, is_of_another_boot=is_of_another_boot)
        self._on_wait([one.id for one in self.lost()])

    def end(self, results: Sequence[tuple[Write, RowResult]], **_: Any) -> list[tuple[int, RowResult]]:
        """See `Journal.end`; entries have no parts."""
        ended = [(write.row, result) for write, result in results]
        self._queue.end(ended)
        return ended
