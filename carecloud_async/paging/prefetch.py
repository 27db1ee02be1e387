"""Prefetch: the records of a listing with several pages in flight, in the server's order."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
from attrs import define, field

from carecloud_async.errors import ConfigurationError
from carecloud_async.paging.iterators import CycleDetector, Fetch, IdentityKeys, warn_of_circle
from carecloud_async.runtime.background_tasks import BackgroundTasks

T = TypeVar("T")


@define(eq=False)
class PendingPage:
    """The part of the list that one task fetches; `ready` once it is there or failed."""

    ready: anyio.Event = field(factory=anyio.Event)
    items: list[Any] = field(factory=list)
    received: int = 0
    last: bool = False
    total_items: int | None = None
    error: Exception | None = None


class Prefetch(Generic[T]):
    """An async iterator to be used in `async with`.

    Args:
        fetch: gets a page by offset and count.
        marks: what tells records apart.
        paged: whether the operation takes them; if not, there is one page.
        offset: where to begin.
        count: how many records to ask for at a time.
        ahead: how many pages are in flight at most.
        name: what is listed, for warnings.
    """

    def __init__(
        self,
        fetch: Fetch[T],
        *,
        marks: IdentityKeys[T],
        paged: bool,
        offset: int,
        count: int,
        ahead: int,
        name: str,
    ) -> None:
        self._fetch = fetch
        self._watch = CycleDetector(marks)
        self._name = name
        self._paged = paged
        self._offset = offset
        self._count = count
        self._ahead = ahead
        self._background = BackgroundTasks()
        self._spans: deque[PendingPage] = deque()
        self._current: Iterator[T] = iter(())
        self._step = 0
        self._total: int | None = None
        self._done = False
        self._open = False

    async def __aenter__(self) -> Self:
        await self._background.__aenter__()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False
        self._done = True
        self._spans.clear()
        await self._background.__aexit__(kind, error, traceback)

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        while True:
            for item in self._current:
                return item
            if self._done:
                raise StopAsyncIteration
            self._current = iter(await self._next_items())

    async def _next_items(self) -> list[T]:
        if not self._open:
            raise ConfigurationError("use prefetch in a block: async with listing.prefetch(8) as records")
        self._fill()
        if not self._spans:
            self._done = True
            return []
        span = self._spans[0]
        await span.ready.wait()
        self._spans.popleft()
        if span.error is not None:
            self._done = True
            raise span.error
        self._total = span.total_items if span.total_items is not None else self._total
        repeated = self._watch.repeats(span.items)
        if self._watch.sure:
            warn_of_circle(self._name)
            self._done = True
            return []
        if not self._step:
            self._step = span.received or 1
            self._offset += span.received
        self._done = span.last or not self._paged
        self._fill()
        return [] if repeated else span.items

    def _fill(self) -> None:
        if not self._step:
            # The first page comes alone: it tells how long the list is, and how many records come at a time.
            if not self._spans:
                self._start(self._offset, self._count)
            return
        while not self._done and len(self._spans) < self._ahead and self._wanted():
            self._start(self._offset, self._step)
            self._offset += self._step

    def _start(self, offset: int, count: int) -> None:
        span = PendingPage()
        self._spans.append(span)
        self._background.start(self._fetch_span, span, offset, count)

    def _wanted(self) -> bool:
        """Beyond the promised end, ask for one page at a time: the total may be too low, but seldom is.

        A page that begins exactly there is asked for beside the last ones: they will be full, and so prove no end.
        """
        return self._total is None or self._offset <= self._total or not self._spans

    async def _fetch_span(self, span: PendingPage, offset: int, count: int) -> None:
        try:
            while span.received < count:
                page = await self._fetch(offset + span.received, count - span.received)
                span.last = page.is_last(count - span.received)
                span.items += page.items
                span.received += page.received
                span.total_items = page.total_items
                if span.last or not self._step:
                    break
        except Exception as error:  # noqa: BLE001  (handed to the consumer, who raises it)
            span.error = error
        finally:
            span.ready.set()
