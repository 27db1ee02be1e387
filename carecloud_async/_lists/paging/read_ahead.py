"""Ordered read-ahead: several parts of a list at once, their pages handed out in the order of the list.

A part is a range of offsets. If a page is shorter, the rest is requested after it, by the same task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._lists.paging.page_plan import PagePlan

__all__ = ["ReadAhead"]

P = TypeVar("P")


class _PendingPart(Generic[P]):
    """A part that a task fetches; `ready` is set when its pages have arrived, or one of them failed."""

    def __init__(self) -> None:
        self.ready = anyio.Event()
        self.pages: list[P] = []
        self.error: Exception | None = None


class ReadAhead(Generic[P]):
    """Fetches parts of a list before a consumer needs them, a bounded number ahead.

    Args:
        fetch: gets the first page of a part, and the rest that is missing from it, which is empty at its end.
        next_part: returns the next part, or `None` while there is nothing to fetch ahead.
        tasks: the group that the fetching runs in.
        plan: decides how many parts are in flight, and how many more may wait for the consumer, so that one slow
            response does not stop the others.
    """

    def __init__(
        self,
        fetch: Callable[[range], Awaitable[tuple[P, range]]],
        *,
        next_part: Callable[[], range | None],
        tasks: BackgroundTasks,
        plan: PagePlan,
    ) -> None:
        self._fetch = fetch
        self._next_part = next_part
        self._tasks = tasks
        self._plan = plan
        self._pending: deque[_PendingPart[P]] = deque()
        self._arrived: deque[P] = deque()  # the pages of the part that is being taken
        self._in_flight = 0
        self._has_failed = False

    def __len__(self) -> int:
        """Return the number of parts that are in flight or waiting, and of pages that can be taken at once."""
        return len(self._pending) + len(self._arrived)

    @property
    def is_at_part_end(self) -> bool:
        """Whether the last page that was taken ended its part."""
        return not self._arrived

    def clear(self) -> None:
        """Drop all pages; requests in flight end with their tasks."""
        self._pending.clear()
        self._arrived.clear()

    async def take(self) -> P | None:
        """Return the next page in the order of the list; `None` if none is pending.

        Raises:
            Exception: what fetching its part raised.
        """
        self.fill()
        while not self._arrived:
            if not self._pending:
                return None
            pending = self._pending[0]
            await pending.ready.wait()
            if not self._pending:
                return None  # dropped while this task waited
            self._pending.popleft()
            if pending.error is not None:
                raise pending.error
            self._arrived.extend(pending.pages)
            self.fill()
        return self._arrived.popleft()

    def fill(self) -> None:
        """Start as many requests as may be in flight; none after a page has failed."""
        plan = self._plan
        while self._in_flight < plan.width and not self._has_failed and len(self._pending) < plan.width + plan.spare:
            part = self._next_part()
            if part is None:
                return
            pending: _PendingPart[P] = _PendingPart()
            self._pending.append(pending)
            self._in_flight += 1
            self._tasks.start(self._run, part, pending)

    async def _run(self, part: range, pending: _PendingPart[P]) -> None:
        try:
            while part and pending in self._pending:
                page, part = await self._fetch(part)
                pending.pages.append(page)
        except Exception as error:  # noqa: BLE001  (handed to the consumer, who raises it)
            pending.error, self._has_failed = error, True
        finally:
            self._in_flight -= 1
            pending.ready.set()
        self.fill()  # also after an error: the consumer may still wait for an earlier page
