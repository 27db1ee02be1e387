"""`Dispatcher`: takes entries whose turn has come, sends them in groups, and waits while nothing can be sent."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Final, TypeVar

import anyio
from anyio.abc import TaskGroup

from carecloud_async._base.runs import Database
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async.bulk.claims import Claims
from carecloud_async.bulk.engine import Engine
from carecloud_async.bulk.gate import Gate
from carecloud_async.bulk.journal import Journal
from carecloud_async.bulk.machine import SettleTimes, State, TryLimits
from carecloud_async.bulk.metrics import RunMetrics
from carecloud_async.bulk.outcome import RowResult
from carecloud_async.bulk.report import BulkProgress
from carecloud_async.bulk.rows import Write
from carecloud_async.bulk.sending import pause_after
from carecloud_async.errors import CareCloudError
from carecloud_async.outbox.entries import Entries
from carecloud_async.outbox.errors import NotForOutboxError
from carecloud_async.outbox.family import Grace
from carecloud_async.outbox.queue import OutboxQueue, QueuedEntry

__all__ = ["Dispatcher", "QueueJournal"]

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.outbox")

#: Writes may be away for hours while reads are answered: these are five hours of 503, and sixteen of lost answers.
#: What cannot be sent goes back to the dispatcher at once.
_LIMITS: Final = TryLimits(unavailable=500, losses=20, attempts=1, patience=0.0)

#: Most entries that are worked on at once: with more, `put` would wait for its turn in the event loop.
_MAX_ENTRIES: Final = 32
#: Most of these that have failed while others were sent: they leave room for the others.
_MAX_SUSPECTS: Final = 8
#: Most entries that wait in their groups, for half a minute, until a lost answer has settled.
_MAX_SETTLING: Final = 400
#: Most entries of a kind that are worked on while its writes are only lost, so that other kinds have room.
_MAX_HELD: Final = 64
#: Seconds after which the queue is looked at again meanwhile.
_LOOKS_AGAIN: Final = 5.0
#: Longest wait between two tries (seconds): where the network is away, and where the server refuses the client.
_AWAY: Final = 30.0
_REFUSED: Final = 300.0
#: An entry is set aside when it has failed so often, and for so long (seconds), while others of its kind were sent.
_ALONE: Final = 5
_ALONE_SECONDS: Final = 300.0
_UNREADABLE: Final = "this version of carecloud-async cannot read it: drop it, and put the call again"
#: Stands for the outbox itself among the kinds; no kind has this name.
_READING: Final = ""


class _Kind:
    """How the entries of one kind fare.

    Attributes:
        error: why they cannot be sent; `None` while they can.
        failures: how many of them failed in turn. One that fails again says nothing new of the others.
        until: until when none is tried.
        answered: how many had an outcome.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.failures = 0
        self.until = 0.0
        self.answered = 0


class _Failed:
    """An entry that failed for a reason that may not be its own.

    Args:
        kind: its kind.
        error: the failure.
        since: when it failed first.
        answered: how many of its kind had an outcome by then.

    Attributes:
        error: the last failure.
        answered: how many of its kind had an outcome when it failed last.
        times: how often it failed.
        alone: how often it failed again although others of its kind had an outcome meanwhile.
        due: when it is tried again.
    """

    def __init__(self, *, kind: str, error: Exception, since: float, answered: int) -> None:
        self.kind = kind
        self.error = error
        self.since = since
        self.answered = answered
        self.times = 0
        self.alone = 0
        self.due = 0.0


class Dispatcher:
    """Sends the entries of a queue.

    **One rule says what is tried.** After a failure that is no outcome of an entry, the entries of its kind are tried
    one at a time, with growing waits, until one of them has an outcome. Each time it is another one: the entry that has
    failed least, and of these the oldest. One whose answer was lost is not waited for. If an entry fails again although
    others of its kind were sent meanwhile, only it waits: it is tried by itself, and after some minutes it is set aside
    as failed.

    Args:
        entries: knows where each entry is written.
        claims: the keys that programs on this machine are writing.
        times: how long lost entries wait.
        concurrency: requests under way at once.
        grace: for how long requests are finished although the outbox closes.
    """

    def __init__(
        self,
        queue: OutboxQueue,
        entries: Entries,
        claims: Claims,
        *,
        times: SettleTimes,
        clock: Clock,
        concurrency: int,
        grace: Grace,
    ) -> None:
        self._queue = queue
        self._entries = entries
        self._claims = claims
        self._times = times
        self._clock = clock
        self._gates: defaultdict[str, Gate] = defaultdict(partial(Gate, clock, grace.request))
        self._slots = anyio.Semaphore(concurrency)
        self._held: dict[str, int] = {}
        self._taken: dict[int, str] = {}  # number → kind
        self._settling: set[int] = set()
        self._failed: dict[int, _Failed] = {}
        self._kinds: defaultdict[str, _Kind] = defaultdict(_Kind)
        self._changed = anyio.Event()

    @property
    def problem(self) -> Exception | None:
        """Why entries wait; `None` while all can be sent, and when none waits."""
        if not self._queue.waiting:
            return None
        errors = [*(state.error for state in self._kinds.values()), *(state.error for state in self._failed.values())]
        return next((error for error in errors if error is not None), None)

    def wake(self, *, now: bool = False) -> None:
        """Look at the queue again.

        Args:
            now: whether to try at once what waits for the server.
        """
        if now:
            for kind in self._kinds.values():
                kind.until = 0.0
            for entry in self._failed.values():
                entry.due = 0.0
        self._changed.set()
        self._changed = anyio.Event()

    async def changed(self, seconds: float | None = None) -> None:
        """Wait until something happens, for a while at most."""
        event = self._changed
        if seconds is None:
            await event.wait()
            return
        async with anyio.create_task_group() as tasks:

            async def end() -> None:
                await self._clock.sleep(max(seconds, 0.0))
                tasks.cancel_scope.cancel()

            tasks.start_soon(end)
            await event.wait()
            tasks.cancel_scope.cancel()

    async def run(self, tasks: TaskGroup) -> None:
        """Send entries until this is cancelled.

        Args:
            tasks: where groups are sent.
        """
        while True:
            event = self._changed
            now = self._clock.monotonic()
            try:
                groups = await self._next_groups(now)
            except Exception as error:  # noqa: BLE001  (such as a disk that cannot be read for a while)
                self._fail(_READING, error)
                groups = []
            for group in groups:
                tasks.start_soon(self._send, group)
            if not groups and event is self._changed:  # nothing happened meanwhile
                dues = [
                    *(state.due for state in self._failed.values()),
                    *(state.until for state in self._kinds.values()),
                ]
                dues += [now + _LOOKS_AGAIN for gate in self._gates.values() if gate.is_narrow]
                await self.changed(min((due - now for due in dues if due > now), default=None))

    async def _next_groups(self, now: float) -> list[list[QueuedEntry]]:
        """Take the next entries, in groups of one kind."""
        under_way = self._taken.keys() - self._settling
        room = _MAX_ENTRIES - len(under_way)
        if room <= 0 or len(self._settling) >= _MAX_SETTLING or self._kinds[_READING].until > now:
            return []
        busy = {self._taken[number] for number in under_way}
        blocked = {kind for kind, state in self._kinds.items() if state.error and (state.until > now or kind in busy)}
        in_hand = Counter(self._taken.values())
        blocked |= {kind for kind, gate in self._gates.items() if gate.is_narrow and in_hand[kind] >= _MAX_HELD}
        suspects = {number for number, entry in self._failed.items() if entry.alone}
        later = {number for number, entry in self._failed.items() if entry.due > now}
        again = [number for number in suspects - later - self._taken.keys() if self._failed[number].kind not in blocked]
        again = sorted(again, key=self._times_and_number)[
            : max(min(_MAX_SUSPECTS - len(under_way & suspects), room), 0)
        ]
        left_out = self._taken.keys() | suspects | later
        take = partial(self._queue.take, room - len(again), but=left_out, but_kinds=blocked, again=again)
        ready, unreadable = await run_in_thread(take)
        self._recover(_READING)
        if unreadable:
            await self._set_aside(dict.fromkeys(unreadable, _UNREADABLE))
        groups: dict[str | int, list[QueuedEntry]] = {}
        probed: set[str] = set()
        for entry in sorted(ready, key=lambda entry: self._times_and_number(entry.id)):
            if self._kinds[entry.kind].error is not None:
                if entry.kind in probed:
                    continue
                probed.add(entry.kind)
            self._taken[entry.id] = entry.kind
            groups.setdefault(entry.id if entry.id in suspects else entry.kind, []).append(entry)
        return [*groups.values()]

    def _times_and_number(self, number: int) -> tuple[int, int]:
        return (self._failed[number].times if number in self._failed else 0), number

    async def _send(self, group: Sequence[QueuedEntry]) -> None:
        kind = group[0].kind
        # An entry that ended may be in another group by now: a failed one is retried.
        left = {entry.id for entry in group}
        try:
            try:
                target = self._entries.target(kind)
            except NotForOutboxError as error:
                await self._set_aside(dict.fromkeys(left, error.problem))
                return
            journal = QueueJournal(self._queue, left, on_wait=self._settling.update)
            if not all(entry.is_new for entry in group):
                recover = partial(journal.recover, now=self._clock.monotonic(), look=self._times.look)
                await run_in_thread(recover)
            engine = Engine(
                target.family,
                journal,
                self._claims,
                key=target.key,
                options=target.options,
                metrics=RunMetrics(self._clock, self._tell, on_results=partial(self._note, kind, left)),
                times=self._times,
                gate=self._gates[kind],
                slots=self._slots,
                taken=self._held,
                limits=_LIMITS,
            )
            await engine.run()
        except Exception as error:  # noqa: BLE001  (kept as `problem`: what waits must not be lost)
            await self._note_failure(kind, left, error)
        finally:
            self._let_go(left)
            self.wake()

    def _tell(self, progress: BulkProgress) -> None:
        if progress.waits_for:
            _log.info("the outbox waits for %s", progress.waits_for)
            self.wake()

    def _note(self, kind: str, left: set[int], results: list[tuple[int, RowResult]]) -> None:
        self._recover(kind)
        self._kinds[kind].answered += len(results)
        ended = {number for number, _ in results}
        left.difference_update(ended)
        self._let_go(ended)
        for number in ended:
            self._failed.pop(number, None)
        self.wake()

    async def _note_failure(self, kind: str, left: set[int], error: Exception) -> None:
        """Note a failure: entries that failed before, and are alone with it, wait alone; else all of the kind do."""
        now, of_kind = self._clock.monotonic(), self._kinds[kind]
        is_alone = True
        is_again = left <= self._failed.keys()
        to_blame: dict[int, str] = {}
        for number in left:
            entry = self._failed.setdefault(
                number, _Failed(kind=kind, error=error, since=now, answered=of_kind.answered)
            )
            if of_kind.answered > entry.answered:
                entry.alone += 1
            else:
                is_alone = False
            entry.error, entry.answered, entry.times = error, of_kind.answered, entry.times + 1
            entry.due = now + _pause_after(error, entry.times)
            if entry.alone >= _ALONE and now - entry.since >= _ALONE_SECONDS:
                times = f"it failed {entry.times} times while others were sent"
                # The text of another error may hold a value.
                why = error.problem if isinstance(error, CareCloudError) else type(error).__name__
                to_blame[number] = f"{times}: {why}"
        if not is_alone:
            self._fail(kind, error, is_again=is_again)
        await self._set_aside(to_blame)

    async def _set_aside(self, reasons: dict[int, str]) -> None:
        """Let entries fail."""
        if reasons:
            await run_in_thread(partial(self._queue.set_aside, reasons))
            for number in reasons:
                self._failed.pop(number, None)
            self.wake()

    def _let_go(self, numbers: set[int]) -> None:
        for number in numbers:
            self._taken.pop(number, None)
        self._settling -= numbers

    def _fail(self, kind: str, error: Exception, *, is_again: bool = False) -> None:
        of_kind = self._kinds[kind]
        if not isinstance(error, CareCloudError):
            _log.error("the outbox cannot send %s", kind, exc_info=error)
        elif of_kind.error is None:
            before_fix = "" if error.fix is None else ": "
            _log.warning("the outbox waits with %s: %s%s%s", kind, error.problem, before_fix, error.fix or "")
        of_kind.error = error
        of_kind.failures += not is_again
        of_kind.until = self._clock.monotonic() + _pause_after(error, of_kind.failures - 1)

    def _recover(self, kind: str) -> None:
        of_kind = self._kinds[kind]
        if of_kind.error is not None:
            _log.info("the outbox sends %s again", kind)
            for entry in self._failed.values():
                if entry.kind == kind and not entry.alone:
                    entry.due = 0.0
        of_kind.error, of_kind.failures, of_kind.until = None, 0, 0.0


def _pause_after(error: Exception, failures: int) -> float:
    longest = _AWAY if not isinstance(error, CareCloudError) or error.is_retryable else _REFUSED
    return pause_after(error, failures, longest=longest)


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

    def _wait(self, writes: Iterable[tuple[Write, float]]) -> None:
        self._on_wait([write.id for write, until in writes if until > self._queue.now])

    def take_turn(
        self, *, now: float, after: int | None, limit: int, only_lost: bool = False
    ) -> tuple[list[Write], bool]:
        """See `Journal.take_turn`."""
        if only_lost:
            self._on_wait([write.id for write in self._writes(f"state = {State.WAITING}")])
        return super().take_turn(now=now, after=after, limit=limit, only_lost=only_lost)

    def recover(self, *, now: float, look: float, is_of_another_boot: bool = False) -> None:
        """See `Journal.recover`."""
        super().recover(now=now, look=look, is_of_another_boot=is_of_another_boot)
        self._on_wait([write.id for write in self.lost()])

    def end(self, results: Sequence[tuple[Write, RowResult]], **_: Any) -> list[tuple[int, RowResult]]:
        """See `Journal.end`; entries have no parts."""
        ended = [(write.row, result) for write, result in results]
        self._queue.end(ended)
        return ended
