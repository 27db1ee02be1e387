"""Ordered read-ahead: several requests at once, their pages handed out in the order of the list.

If a page is shorter than its part, the rest is requested before any part that was not yet requested.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
from attrs import frozen

from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._lists.paging.page_plan import PagePlan

__all__ = ["ListPart", "ReadAhead"]

P = TypeVar("P")


@frozen
class ListPart:
    """A part of a list.

    Attributes:
        offset: where it begins.
        size: the number of records to request.
        until: where it ends: its pages are requested one after another until then.
    """

    offset: int
    size: int
    until: int


class PendingPage(Generic[P]):
    """A page that a task fetches; `ready` is set when it has arrived or failed.

    Args:
        part: the part that it begins.
    """

    def __init__(self, part: ListPart) -> None:
        self.part: ListPart = part
        self.is_requested: bool = False
        self.ready: anyio.Event = anyio.Event()
        self.page: P | None = None
        self.error: Exception | None = None


class ReadAhead(Generic[P]):
    """Fetches pages before a consumer needs them, a bounded number ahead.

    Args:
        fetch: gets the first page of a part, and the rest that is missing from it.
        next_part: returns the next part, or `None` while there is nothing to fetch ahead.
        tasks: the group that the fetching runs in.
        plan: decides how many parts are in flight, and how many more pages may wait for the consumer, so that one slow
            response does not stop the others.
    """

    def __init__(
        self,
        fetch: Callable[[ListPart], Awaitable[tuple[P, ListPart | None]]],
        *,
        next_part: Callable[[], ListPart | None],
        tasks: BackgroundTasks,
        plan: PagePlan,
    ) -> None:
        self._fetch = fetch
        self._next_part = next_part
        self._tasks = tasks
        self._plan = plan
        self._pending: deque[PendingPage[P]] = deque()
        self._in_flight = 0
        self._has_failed = False

    def __len__(self) -> int:
        """Return the number of pages that are in flight or waiting to be taken."""
        return len(self._pending)

    def clear(self) -> None:
        """Drop all pages; requests in flight end with their tasks."""
        self._pending.clear()

    async def take(self) -> P | None:
        """Return the next page in the order of the list; `None` if no page is pending.

        Raises:
            Exception: what fetching it raised.
        """
        self.fill()
        if not self._pending:
            return None
        pending = self._pending[0]
        await pending.ready.wait()
        if not self._pending:
            return None  # dropped while this task waited
        self._pending.popleft()
        if pending.error is not None:
            raise pending.error
        self.fill()
        return pending.page

    def fill(self) -> None:
        """Start as many requests as may be in flight."""
        while self._in_flight < self._plan.width and (pending := self._next()) is not None:
            pending.is_requested = True
            self._in_flight += 1
            self._tasks.start(self._run, pending)

    def _next(self) -> PendingPage[P] | None:
        """Return the first page that was not requested: of a new part if there is none, unless a page has failed."""
        for one in self._pending:
            if not one.is_requested:
                return one
        if self._has_failed or len(self._pending) >= self._plan.width + self._plan.spare:
            return None
        following = self._next_part()
        if following is None:
            return None
        self._pending.append(PendingPage(following))
        return self._pending[-1]

    async def _run(self, pending: PendingPage[P]) -> None:
        try:
            pending.page, rest = await self._fetch(pending.part)
            if rest is not None and pending in self._pending:
                self._pending.insert(self._pending.index(pending) + 1, PendingPage(rest))
        except Exception as error:  # noqa: BLE001  (handed to the consumer, who raises it)
            pending.error, self._has_failed = error, True
        finally:
            self._in_flight -= 1
            pending.ready.set()
        self.fill()  # also after an error: the consumer may still wait for an earlier page
