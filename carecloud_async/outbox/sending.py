"""`Dispatcher`: takes entries whose turn has come, sends them in groups, and waits while nothing can be sent."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Final

import anyio
from anyio.abc import TaskGroup

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async.bulk.claims import Claims
from carecloud_async.bulk.gate import Gate
from carecloud_async.bulk.outcome import RowResult
from carecloud_async.bulk.settling import SettleTimes
from carecloud_async.errors import CareCloudError
from carecloud_async.outbox.entries import Entries
from carecloud_async.outbox.errors import NotForOutboxError
from carecloud_async.outbox.group import send_group
from carecloud_async.outbox.queue import OutboxQueue
from carecloud_async.outbox.queue_values import QueuedEntry

__all__ = ["Dispatcher"]

_log = logging.getLogger("carecloud_async.outbox")

#: Most entries that are worked on at once: with more, `put` would wait for its turn in the event loop.
_MAX_ENTRIES: Final = 32
#: Most entries that wait in their groups, for half a minute, until a lost answer has settled.
_MAX_SETTLING: Final = 400
#: Most entries of a kind that are worked on while its writes are only lost, so that other kinds have room.
_MAX_HELD: Final = 64
#: Seconds after which the queue is looked at again meanwhile.
_LOOKS_AGAIN: Final = 5.0
#: Longest wait between two tries (seconds): where the network is away, and where the server refuses the client.
_AWAY: Final = 30.0
_REFUSED: Final = 300.0
_UNREADABLE: Final = "this version of carecloud-async cannot read it: drop it, and put the call again"
#: Stands for the outbox itself among the kinds that are in trouble; no kind has this name.
_READING: Final = ""


class _Trouble:
    """Why the entries of a kind cannot be sent.

    Args:
        error: the last failure.

    Attributes:
        error: see above.
        failures: how many there were in turn.
        until: until when no entry of the kind is tried.
        tried: the entry that is tried now.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.failures = 0
        self.until = 0.0
        self.tried: int | None = None


class Dispatcher:
    """Sends the entries of a queue.

    After a failure that is no outcome of an entry, all entries of its kind wait, longer each time, and then one of them
    is tried. An entry that failed is tried alone: if the server cannot answer it, the others do not wait for it.

    Args:
        entries: knows where each entry is written.
        claims: the keys that programs on this machine are writing.
        times: how long lost entries wait.
        concurrency: requests under way at once.
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
    ) -> None:
        self._queue = queue
        self._entries = entries
        self._claims = claims
        self._times = times
        self._clock = clock
        self._gates: defaultdict[str, Gate] = defaultdict(partial(Gate, clock))
        self._slots = anyio.Semaphore(concurrency)
        self._records: dict[str, int] = {}
        self._rows: dict[str, int] = {}
        self._taken: dict[int, str] = {}  # number → kind
        self._settling: set[int] = set()
        self._failures: dict[int, int] = {}
        self._not_before: dict[int, float] = {}
        self._troubles: dict[str, _Trouble] = {}
        self._is_urgent = False
        self._changed = anyio.Event()

    @property
    def problem(self) -> Exception | None:
        """Why entries wait; `None` while all can be sent."""
        return next((one.error for one in self._troubles.values()), None)

    @property
    def problems(self) -> dict[str, Exception]:
        """Why entries wait, by their kind."""
        return {kind: one.error for kind, one in self._troubles.items() if kind != _READING}

    def wake(self, *, now: bool = False) -> None:
        """Look at the queue again.

        Args:
            now: whether to try at once what waits for the server.
        """
        if now:
            self._is_urgent = True
            for trouble in self._troubles.values():
                trouble.until = 0.0
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
                dues = [*self._not_before.values(), *(one.until for one in self._troubles.values())]
                dues += [now + _LOOKS_AGAIN for gate in self._gates.values() if gate.is_narrow]
                await self.changed(min((due - now for due in dues if due > now), default=None))

    async def _next_groups(self, now: float) -> list[list[QueuedEntry]]:
        """Take the next entries, in groups of one kind."""
        room = _MAX_ENTRIES - len(self._taken.keys() - self._settling)
        reading = self._troubles.get(_READING)
        if room <= 0 or len(self._settling) >= _MAX_SETTLING or (reading is not None and reading.until > now):
            return []
        self._not_before = {number: due for number, due in self._not_before.items() if due > now}
        blocked = [kind for kind, one in self._troubles.items() if one.until > now or one.tried in self._taken]
        in_hand = Counter(self._taken.values())
        blocked += [kind for kind, gate in self._gates.items() if gate.is_narrow and in_hand[kind] >= _MAX_HELD]
        take = partial(self._queue.take, room, but_kinds=blocked)
        found, unreadable = await run_in_thread(partial(take, but=self._taken.keys() | self._not_before.keys()))
        if not found and self._is_urgent and self._not_before:
            self._not_before.clear()
            found, unreadable = await run_in_thread(partial(take, but={*self._taken}))
        if unreadable:
            await self._set_aside(dict.fromkeys(unreadable, _UNREADABLE))
        self._is_urgent = False
        self._troubles.pop(_READING, None)
        groups: dict[str | int, list[QueuedEntry]] = {}
        for one in found:
            trouble = self._troubles.get(one.kind)
            if trouble is not None:
                if trouble.tried in self._taken:
                    continue
                trouble.tried = one.id
            self._taken[one.id] = one.kind
            groups.setdefault(one.id if one.id in self._failures else one.kind, []).append(one)
        return [*groups.values()]

    async def _send(self, group: Sequence[QueuedEntry]) -> None:
        kind = group[0].kind
        left = {one.id for one in group}  # an entry that ended may be in another group by now: a failed one is retried
        try:
            try:
                target = self._entries.target(kind)
            except NotForOutboxError as error:
                await self._set_aside(dict.fromkeys(left, error.problem))
                return
            await send_group(
                target,
                group,
                queue=self._queue,
                claims=self._claims,
                times=self._times,
                gate=self._gates[kind],
                slots=self._slots,
                records=self._records,
                rows=self._rows,
                on_lost=self._settling.update,
                on_results=partial(self._note, kind, left),
            )
        except Exception as error:  # noqa: BLE001  (kept as `problem`: what waits must not be lost)
            for number in left:
                self._failures[number] = times = self._failures.get(number, 0) + 1
                self._not_before[number] = self._clock.monotonic() + min(2.0**times, _AWAY)
            self._fail(kind, error)
        finally:
            self._let_go(left)
            self.wake()

    async def _set_aside(self, reasons: dict[int, str]) -> None:
        await run_in_thread(partial(self._queue.set_aside, reasons))
        self.wake()

    def _note(self, kind: str, left: set[int], results: list[tuple[int, RowResult]]) -> None:
        if self._troubles.pop(kind, None) is not None:
            _log.info("the outbox sends %s again", kind)
        ended = {number for number, _ in results}
        left.difference_update(ended)
        self._let_go(ended)
        for number in ended:
            self._failures.pop(number, None)
        self.wake()

    def _let_go(self, numbers: set[int]) -> None:
        for number in numbers:
            self._taken.pop(number, None)
        self._settling -= numbers

    def _fail(self, kind: str, error: Exception) -> None:
        trouble = self._troubles.setdefault(kind, _Trouble(error))
        if not isinstance(error, CareCloudError):
            _log.error("the outbox cannot send %s", kind, exc_info=error)
        elif not trouble.failures:
            fix = "" if error.fix is None else f": {error.fix}"
            _log.warning("the outbox waits with %s: %s%s", kind, error.problem, fix)
        longest = _AWAY if not isinstance(error, CareCloudError) or error.is_retryable else _REFUSED
        trouble.error = error
        trouble.until = self._clock.monotonic() + min(2.0**trouble.failures, longest)
        trouble.failures += 1
