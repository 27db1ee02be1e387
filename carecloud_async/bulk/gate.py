"""`Gate`: lets writes leave, one at a time while every answer is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

import anyio

from carecloud_async._base.runtime.clock import Clock, doubled
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.sending import Answer, Lost, Plans, requests_of

#: The longest wait between two writes that are tried (seconds).
_LONGEST: Final = 30.0
#: For how long writes that may not leave are left alone (seconds).
_AGAIN: Final = 5.0
#: For how long one that was lost gives way to those that were never sent (seconds), which are decided again meanwhile.
_GIVES_WAY: Final = 2 * _AGAIN
_WRITTEN: Final = (Outcome.CREATED, Outcome.UPDATED)


class Gate:
    """Decides which writes of a kind may leave.

    A server that holds all writes answers none, and does them all when it goes on. So when an answer is lost, and none
    has come since that request left, the gate is narrow: one write is tried at a time, and never the same twice as long
    as there are others. A write that is done opens it.

    Args:
        grace: makes what a request runs in, such as a scope in which it is finished although its caller is cancelled.

    Attributes:
        is_narrow: whether writes leave one at a time.
    """

    def __init__(self, clock: Clock, grace: Callable[[], AbstractAsyncContextManager[object]] = nullcontext) -> None:
        self.is_narrow: bool = False
        self._grace = grace
        self._clock = clock
        self._written_at = -1.0
        self._under_way = 0
        self._lost = 0
        self._next_try_at = 0.0
        self._changed = anyio.Event()

    @property
    def opens_at(self) -> float:
        """When the next write may leave, or when to look again, on the monotonic clock; a past time means now."""
        if not self.is_narrow:
            return 0.0
        return self._clock.monotonic() + _AGAIN if self._under_way else self._next_try_at

    def admit(self, plans: Plans) -> tuple[Plans, Plans]:
        """Return the writes that may leave now, those of one request if the gate is narrow, and the others."""
        if not self.is_narrow:
            return plans, ()
        now = self._clock.monotonic()
        if now < self.opens_at:
            return (), plans
        gives_way = now < self._next_try_at + _GIVES_WAY
        parts = requests_of(plans)
        first = next((part for part in parts if not (gives_way and any(write.tries for write, _ in part))), ())
        chosen = {write.id for write, _ in first}
        return first, [(write, plan) for write, plan in plans if write.id not in chosen]

    async def request(
        self, slots: anyio.Semaphore, send: Callable[[], Awaitable[None]], answers: Mapping[int, Answer]
    ) -> None:
        """Send a request when a slot is free, unless it may not leave any more by then.

        Args:
            slots: the slots.
            send: sends it.
            answers: where its answers are then, also those that came before it failed.
        """
        while True:
            while self.is_narrow and self._under_way:
                await self._changed.wait()
            async with slots:
                if self.is_narrow and self._under_way:  # it has become so while this one waited for its slot
                    continue
                if self.is_narrow and self._clock.monotonic() < self._next_try_at:
                    return
                began = self._clock.monotonic()
                self._under_way += 1
                try:
                    async with self._grace():
                        await send()
                finally:
                    self._under_way -= 1
                    self._learn(answers.values(), began)
                return

    def _learn(self, answers: Collection[Answer], began: float) -> None:
        now, was_narrow = self._clock.monotonic(), self.is_narrow
        if any(isinstance(answer, RowResult) and answer.outcome in _WRITTEN for answer in answers):
            self.is_narrow, self._lost, self._written_at = False, 0, now
        elif any(isinstance(answer, Lost) for answer in answers) and self._written_at <= began:
            pause = doubled(1.0, self._lost - 1, longest=_LONGEST) if self._lost else 0.0
            self.is_narrow, self._lost, self._next_try_at = True, self._lost + 1, now + pause
        if was_narrow:  # otherwise none waits
            self._changed.set()
            self._changed = anyio.Event()
