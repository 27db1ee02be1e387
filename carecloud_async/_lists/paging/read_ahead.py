"""Ordered read-ahead: several requests at once, their pages handed out in the order of the list.

If a page is shorter than its part, the rest is requested before any later part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Generic, TypeVar

import anyio
from attrs import frozen

from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._lists.paging.page_plan import PagePlan

__all__ = ["ListPart", "ReadAhead", "divided"]

P = TypeVar("P")


@frozen
class ListPart:
    """A part of a list.

    Attributes:
        offset: where it begins.
        size: its number of records.
        until: the end of the whole part, if this is a piece of one.
    """

    offset: int
    size: int
    until: int


def divided(offset: int, until: int, *, size: int, overlap: int = 0) -> Iterator[ListPart]:
    """Yield pieces that cover the rest of a part.

    Args:
        offset: where the rest begins.
        until: where the part ends.
        size: the records of a piece.
        overlap: the records that each piece shares with the next.
    """
    while True:
        piece = ListPart(offset, min(size, until - offset), until)
        yield piece
        if offset + piece.size >= until:
            return
        offset += max(piece.size - overlap, 1)


class PendingPage(Generic[P]):
    """A page that a task fetches; `ready` is set when it has arrived or failed."""

    def __init__(self) -> None:
        self.ready: anyio.Event = anyio.Event()
        self.page: P | None = None
        self.error: Exception | None = None


class ReadAhead(Generic[P]):
    """Fetches pages before a consumer needs them, a bounded number ahead.

    Args:
        fetch: gets the page of a part, and the pieces that are missing from it.
        next_part: returns the next part, or `None` while there is nothing to fetch ahead.
        tasks: the group that the fetching runs in.
        plan: decides how many parts are in flight, and how many more pages may wait for the consumer, so that one slow
            response does not stop the others.
    """

    def __init__(
        self,
        fetch: Callable[[ListPart], Awaitable[tuple[P, Sequence[ListPart]]]],
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
        self._lacking: deque[tuple[PendingPage[P], ListPart]] = deque()
        self._in_flight = 0

    def __len__(self) -> int:
        """Return the number of pages that are in flight or waiting to be taken."""
        return len(self._pending)

    def clear(self) -> None:
        """Drop all pages; requests in flight end with their tasks."""
        self._pending.clear()
        self._lacking.clear()

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
        plan = self._plan
        while self._in_flight < plan.width:
            if self._lacking:
                pending, part = self._lacking.popleft()
            elif len(self._pending) < plan.width + plan.spare and (following := self._next_part()):
                pending, part = PendingPage(), following
                self._pending.append(pending)
            else:
                return
            self._in_flight += 1
            self._tasks.start(self._run, pending, part)

    async def _run(self, pending: PendingPage[P], part: ListPart) -> None:
        try:
            pending.page, lacking = await self._fetch(part)
            self._add(pending, lacking)
        except Exception as error:  # noqa: BLE001  (handed to the consumer, who raises it)
            pending.error = error
        finally:
            self._in_flight -= 1
            pending.ready.set()
        if pending.error is None:
            self.fill()

    def _add(self, pending: PendingPage[P], lacking: Sequence[ListPart]) -> None:
        """Queue the missing pieces of a page directly after it."""
        if not lacking or pending not in self._pending:
            return
        place = self._pending.index(pending)
        pieces = [(PendingPage[P](), part) for part in lacking]
        for number, (one, _) in enumerate(pieces, place + 1):
            self._pending.insert(number, one)
        self._lacking.extend(pieces)
