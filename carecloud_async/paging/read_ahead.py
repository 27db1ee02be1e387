"""Ordered read-ahead: several requests at once, their pages handed out in the order of the list."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
from attrs import define, field, frozen

from carecloud_async.paging.page_plan import PagePlan
from carecloud_async.runtime.background_tasks import BackgroundTasks

__all__ = ["Part", "ReadAhead"]

P = TypeVar("P")


@frozen
class Part:
    """A part of a list.

    Attributes:
        offset: where it begins.
        size: its number of records.
    """

    offset: int
    size: int


@define(eq=False)
class PendingPage(Generic[P]):
    """A page that one task fetches; `ready` once it is there or failed."""

    ready: anyio.Event = field(factory=anyio.Event)
    page: P | None = None
    error: Exception | None = None


class ReadAhead(Generic[P]):
    """Fetches ahead of a consumer, without running far ahead of a slow one.

    Args:
        fetch: gets a part of the list.
        next_part: returns the next part, or `None` while there is nothing to fetch ahead.
        tasks: the group that the fetching runs in.
        plan: says how many parts are in flight at once, and how many may lie waiting beside them: one slow answer must
            not stop the others at once.
    """

    def __init__(
        self,
        fetch: Callable[[Part], Awaitable[P]],
        *,
        next_part: Callable[[], Part | None],
        tasks: BackgroundTasks,
        plan: PagePlan,
    ) -> None:
        self._fetch = fetch
        self._next_part = next_part
        self._tasks = tasks
        self._plan = plan
        self._pending: deque[PendingPage[P]] = deque()
        self._in_flight = 0

    def __len__(self) -> int:
        """Return the number of pages that are in flight or waiting to be taken."""
        return len(self._pending)

    def clear(self) -> None:
        """Forget all pages; what is in flight ends with its tasks."""
        self._pending.clear()

    async def take(self) -> P | None:
        """Return the next page in the order of the list; `None` when there is nothing ahead.

        Raises:
            Exception: what fetching it raised.
        """
        self.fill()
        if not self._pending:
            return None
        pending = self._pending[0]
        await pending.ready.wait()
        if not self._pending:
            return None  # forgotten meanwhile
        self._pending.popleft()
        if pending.error is not None:
            raise pending.error
        self.fill()
        return pending.page

    def fill(self) -> None:
        """Start as many requests as may be in flight."""
        plan = self._plan
        while self._in_flight < plan.width and len(self._pending) < plan.width + plan.spare:
            part = self._next_part()
            if part is None:
                return
            pending: PendingPage[P] = PendingPage()
            self._pending.append(pending)
            self._in_flight += 1
            self._tasks.start(self._run, pending, part)

    async def _run(self, pending: PendingPage[P], part: Part) -> None:
        try:
            pending.page = await self._fetch(part)
        except Exception as error:  # noqa: BLE001  (handed to the consumer, who raises it)
            pending.error = error
        finally:
            self._in_flight -= 1
            pending.ready.set()
        if pending.error is None:
            self.fill()
