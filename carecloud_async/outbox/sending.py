"""`Dispatcher`: takes entries whose turn has come, sends them in groups, and waits while nothing can be sent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

import anyio
from anyio.abc import TaskGroup

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async.bulk.claims import Claims
from carecloud_async.bulk.outcome import RowResult
from carecloud_async.errors import CareCloudError
from carecloud_async.outbox.entries import Entries
from carecloud_async.outbox.group import send_group
from carecloud_async.outbox.queue import OutboxQueue, QueuedEntry

__all__ = ["Dispatcher"]

_log = logging.getLogger("carecloud_async.outbox")

#: Most entries that are worked on at once: with more, `put` would wait for its turn in the event loop.
_AT_ONCE: Final = 32
#: Most entries that wait in their groups, for half a minute, until a lost answer has settled.
_SETTLING: Final = 400
#: Longest wait between two tries (seconds): where the network is away, and where the server refuses the client.
_AWAY: Final = 30.0
_REFUSED: Final = 300.0


class Dispatcher:
    """Sends the entries of a queue.

    After a failure that is not about one entry, everything waits, longer each time, and then one entry is tried. An
    entry that failed is tried alone, so that one which the server cannot answer holds up nobody else.

    Args:
        queue: the queue.
        entries: knows where each entry is written.
        claims: the keys that programs on this machine are writing.
        clock: the clock.
        concurrency: requests under way at once.

    Attributes:
        problem: why nothing can be sent; `None` while it can.
    """

    def __init__(self, queue: OutboxQueue, entries: Entries, claims: Claims, *, clock: Clock, concurrency: int) -> None:
        self.problem: Exception | None = None
        self._queue = queue
        self._entries = entries
        self._claims = claims
        self._clock = clock
        self._slots = anyio.Semaphore(concurrency)
        self._records: dict[str, int] = {}
        self._taken: set[int] = set()
        self._tried: set[int] = set()
        self._settling: set[int] = set()
        self._failures: dict[int, int] = {}
        self._not_before: dict[int, float] = {}
        self._failed_in_turn = 0
        self._gate = 0.0
        self._is_urgent = False
        self._changed = anyio.Event()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._taken

    def wake(self, *, now: bool = False) -> None:
        """Look at the queue again.

        Args:
            now: whether to try at once what waits for the server.
        """
        if now:
            self._gate = 0.0
            self._is_urgent = True
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
            wait = self._gate - now if self.problem is not None else 0.0
            if wait <= 0:
                groups = await self._next_groups(now)
                for group in groups:
                    tasks.start_soon(self._send, group)
                if groups:
                    continue
                wait = min((due - now for due in self._not_before.values() if due > now), default=0.0)
            if event is self._changed:  # nothing happened meanwhile
                await self.changed(wait or None)

    async def _next_groups(self, now: float) -> list[list[QueuedEntry]]:
        """Take the next entries, in groups of one kind."""
        room = _AT_ONCE - len(self._taken - self._settling)
        if len(self._settling) >= _SETTLING:
            room = 0
        if self.problem is not None:
            room = min(room, int(self._tried.isdisjoint(self._taken)))
        if room <= 0:
            return []
        self._not_before = {number: due for number, due in self._not_before.items() if due > now}
        take = partial(self._queue.take, room, now=now)
        try:
            found = await run_in_thread(partial(take, but=self._taken | self._not_before.keys()))
            if not found and self._is_urgent and self._not_before:
                self._not_before.clear()
                found = await run_in_thread(partial(take, but={*self._taken}))
            self._is_urgent = False
        except Exception as error:  # noqa: BLE001  (as below: such as a disk that cannot be read for a while)
            self._fail(error)
            return []
        self._tried = {one.id for one in found}
        self._taken |= self._tried
        groups: dict[str | int, list[QueuedEntry]] = {}
        for one in found:
            groups.setdefault(one.id if one.id in self._failures else one.kind, []).append(one)
        return [*groups.values()]

    async def _send(self, group: Sequence[QueuedEntry]) -> None:
        try:
            await send_group(
                self._entries.target(group[0].kind),
                group,
                queue=self._queue,
                claims=self._claims,
                slots=self._slots,
                records=self._records,
                on_lost=self._settling.update,
                on_results=self._note,
            )
        except Exception as error:  # noqa: BLE001  (kept as `problem`: what waits must not be lost)
            left = self._taken.intersection(one.id for one in group)
            for number in left:
                self._failures[number] = times = self._failures.get(number, 0) + 1
                self._not_before[number] = self._clock.monotonic() + min(2.0**times, _AWAY)
            self._fail(error)
        finally:
            for one in group:
                self._taken.discard(one.id)
                self._settling.discard(one.id)
            self.wake()

    def _note(self, results: list[tuple[int, RowResult]]) -> None:
        if self.problem is not None:
            _log.info("the outbox sends again")
        self.problem, self._failed_in_turn, self._gate = None, 0, 0.0
        for number, _ in results:
            self._taken.discard(number)
            self._settling.discard(number)
            self._failures.pop(number, None)
        self.wake()

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, CareCloudError):
            _log.error("the outbox cannot send an entry", exc_info=error)
        elif self.problem is None:
            _log.warning("the outbox waits: %s", error)
        longest = _AWAY if not isinstance(error, CareCloudError) or error.is_retryable else _REFUSED
        self._gate = self._clock.monotonic() + min(2.0**self._failed_in_turn, longest)
        self._failed_in_turn += 1
        self.problem = error
