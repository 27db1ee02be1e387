"""Pages in flight: so many requests at once, their pages handed out in the order of the list."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import anyio
from attrs import define, field

from carecloud_async.export.reading.source import RawPage
from carecloud_async.runtime.background_tasks import BackgroundTasks

__all__ = ["ReadAhead"]

#: One page for so many in flight may lie waiting beside them: one slow answer must not stop the others at once. More
#: would be lost when the process is killed.
_PART = 5


@define(eq=False)
class PendingPage:
    ready: anyio.Event = field(factory=anyio.Event)
    page: RawPage | None = None
    error: Exception | None = None


class ReadAhead:
    """Fetches ahead of a consumer, who is waited for.

    Args:
        fetch: gets the page at an offset.
        following: returns the next offset, or `None` while there is nothing to fetch ahead.
        tasks: where the fetching runs.
        width: how many requests at once.
    """

    def __init__(
        self,
        fetch: Callable[[int], Awaitable[RawPage]],
        *,
        following: Callable[[], int | None],
        tasks: BackgroundTasks,
        width: int,
    ) -> None:
        self._fetch = fetch
        self._following = following
        self._tasks = tasks
        self._width = width
        self._spare = max(width // _PART, 1)
        self._seats: deque[PendingPage] = deque()
        self._flying = 0

    async def take(self) -> RawPage | None:
        """Return the next page in the list's order; `None` when there is nothing ahead.

        Raises:
            Exception: what fetching it raised.
        """
        self._fill()
        if not self._seats:
            return None
        seat = self._seats[0]
        await seat.ready.wait()
        self._seats.popleft()
        if seat.error is not None:
            raise seat.error
        self._fill()
        return seat.page

    def _fill(self) -> None:
        while self._flying < self._width and len(self._seats) < self._width + self._spare:
            offset = self._following()
            if offset is None:
                return
            seat = PendingPage()
            self._seats.append(seat)
            self._flying += 1
            self._tasks.start(self._fly, seat, offset)

    async def _fly(self, seat: PendingPage, offset: int) -> None:
        try:
            seat.page = await self._fetch(offset)
        except Exception as error:  # noqa: BLE001  (handed to the consumer, who raises it)
            seat.error = error
        finally:
            self._flying -= 1
            seat.ready.set()
        if seat.error is None:
            self._fill()
