"""Iterators over a list: page by page, and record by record.

Iterators are objects, not generators: leaving an `async for` early leaves nothing open. Several tasks may share one;
each record goes to one of them.

No task and no connection is held between pages. A large page is returned in batches; other tasks run between them.
Servers cap `count` and send wrong totals; `is_last` says when the two together prove the end of the list.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import length_hint
from typing import Any, Generic, Self, TypeAlias, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from carecloud_async._base.codec import Malformed, Page
from carecloud_async._base.codec.pages import AnyPage
from carecloud_async._calls.call.failure import invalid_response
from carecloud_async._calls.call.operation import Operation
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async.errors import ResponseError

__all__ = [
    "AnyPage",
    "ClosableIterator",
    "Keys",
    "Pages",
    "PartedPages",
    "RecordIterator",
    "Records",
    "RepeatDetector",
    "check_whole",
    "is_last",
    "warn_if_short",
]

T = TypeVar("T")
P = TypeVar("P")

#: Returns the identities of a page's records.
Keys: TypeAlias = Callable[[P], Iterable[Any]]

#: The most pages in a row that hold only nulls. After them the list is taken to have no end.
MAX_EMPTY_PAGES = 10

_log = logging.getLogger("carecloud_async.paging")


def is_last(page: AnyPage[Any], count: int) -> bool:
    """Return whether nothing can follow a page, given that `count` records come on a full one.

    An empty page is the last one, and so is a short page that ends exactly at the total. After any other page the next
    one has to be requested: the server may cap `count` or send fewer records, and the total may be wrong.
    """
    return not page.received or (page.received < count and page.offset + page.received == page.total_items)


class RepeatDetector(Generic[P]):
    """Detects a server that sends the same page again and again.

    A page that begins with the record that the page before began with is skipped. One alone is no proof: as many
    records may have been inserted before it as a page holds. A second one in a row is.

    Args:
        keys: returns the identities of a page's records.
    """

    def __init__(self, keys: Keys[P]) -> None:
        self._keys_of = keys
        self._first: Any = None
        self._repeats = 0
        self._empty = 0

    @property
    def sure(self) -> bool:
        """Whether the pages repeat for certain."""
        return self._repeats > 1

    def repeats(self, pages: Sequence[P]) -> bool:
        """Return whether pages, taken as one, begin as the pages before did.

        Raises:
            ResponseError: several pages in a row held no record at all.
        """
        first = next(chain.from_iterable(map(self._keys_of, pages)), None)
        self._empty = 0 if first is not None else self._empty + 1
        if self._empty >= MAX_EMPTY_PAGES:
            raise ResponseError(f"the server sent {MAX_EMPTY_PAGES} pages in a row that hold no record, only nulls")
        if first is None:
            return False
        self._repeats = self._repeats + 1 if first == self._first else 0
        self._first = first
        return self._repeats > 0


def check_whole(operation: Operation, *, received: int, total: int | None) -> None:
    """Check that a list whose pages repeat was read whole: a server that ignores paging may send all of it at once.

    Args:
        operation: what is listed.
        received: the entries of the pages that did not repeat.
        total: the length of the list as the server reports it.

    Raises:
        ResponseError: the server does not say that this is the whole list.
    """
    if total is not None and received >= total:
        return
    of_total = "" if total is None else f" of {total}"
    raise ResponseError(
        f"{operation.call}: the server repeats pages, as if it ignored `offset`: after {received}{of_total} records "
        "nothing new came. Ask for the whole list in one page with a larger count, or narrow it by filters"
    )


def warn_if_short(operation: Operation, page: AnyPage[Any]) -> None:
    """Warn if an empty page ends a list before its total: records may be missing."""
    if page.total_items is not None and page.offset < page.total_items:
        _log.warning(
            "%s: the list ended at %d, though total_items is %d", operation.call, page.offset, page.total_items
        )


class ClosableIterator(AsyncIterator[T]):
    """An async iterator for `contextlib.aclosing`; leaving one early leaves nothing open in any case."""

    def __aiter__(self) -> Self:
        return self

    @abstractmethod
    async def aclose(self) -> None:
        """End the iterator."""


R = TypeVar("R", bound=AnyPage[Any])


class Pages(ClosableIterator[R], Generic[R]):
    """The pages of a list, one request each, until there are no more; the one page of a list without paging.

    Args:
        source: the list.
        read: gets a page of it by offset and count.
        count: the number of records to request at a time.
    """

    def __init__(
        self, source: ListSource[Any], read: Callable[[ListSource[Any], int, int], Awaitable[R]], *, count: int
    ) -> None:
        self._source, self._read = source, read
        self._operation, self._offset = source.operation, source.offset
        self._count = self._full = count
        self._watch = RepeatDetector(source.keys)
        self._received = 0
        self._done = False
        self._turn = anyio.Lock(fast_acquire=True)

    async def __anext__(self) -> R:
        # One task at a time requests a page: two would get the same one, and skip the next.
        async with self._turn:
            return await self._next()

    async def _next(self) -> R:
        while not self._done:
            page = await self._read(self._source, self._offset, self._count)
            if not self._operation.paged:
                self._done = True
                return page
            if not page.received:
                warn_if_short(self._operation, page)
                self._done = True
                break
            repeated = self._watch.repeats([page])
            if self._watch.sure:
                check_whole(self._operation, received=self._received, total=page.total_items)
            # A page without new records is no end, even if the total says so: the server may have ignored `offset`.
            self._done = self._watch.sure or (not repeated and is_last(page, self._full))
            self._offset += page.received
            # A server that caps `count` sends a short page before the end.
            self._full = min(self._full, page.received)
            if not repeated:
                self._received += page.received
                return page
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iterator; nothing is open."""
        self._done = True


class PartedPages(ClosableIterator[Page[T]], Generic[T]):
    """The pages of several parts of a list in turn; a record of an earlier part does not come again.

    Args:
        parts: the pages of each part.
        keys: returns the identities of a page's records.
    """

    def __init__(self, parts: Iterable[ClosableIterator[AnyPage[T]]], keys: Keys[AnyPage[T]]) -> None:
        self._parts = deque(parts)
        self._keys = keys
        self._yielded = 0
        self._earlier: set[Any] = set()
        self._current: set[Any] = set()
        self._turn = anyio.Lock(fast_acquire=True)

    async def __anext__(self) -> Page[T]:
        async with self._turn:
            while self._parts:
                try:
                    page = self._without_earlier(await anext(self._parts[0]))
                except StopAsyncIteration:
                    self._parts.popleft()
                    self._earlier |= self._current
                else:
                    if page.items:
                        return page
            raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iterator; nothing is open."""
        self._parts.clear()

    def _without_earlier(self, page: AnyPage[T]) -> Page[T]:
        """Return the page without records of earlier parts: a record may match values of several."""
        keys = list(self._keys(page))
        items = chain.from_iterable(page.batches())
        self._current.update(keys)
        new = [item for key, item in zip(keys, items, strict=True) if key not in self._earlier]
        offset, self._yielded = self._yielded, self._yielded + len(new)
        return Page(items=new, offset=offset, total_items=None, received=len(new))


class RecordIterator(AsyncIterator[T]):
    """The records of pages, one by one. A page is read in batches; other tasks run between them.

    Several tasks may share one: each record goes to one of them.

    Args:
        operation: what is listed.
    """

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._turn = anyio.Lock(fast_acquire=True)
        self._begin(())

    @abstractmethod
    async def _next_pages(self) -> Sequence[AnyPage[T]]:
        """Return the next pages of the list.

        Raises:
            StopAsyncIteration: there are no more.
        """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            for item in self._batch:
                return item
            await self._go_on(self._batch)

    async def _go_on(self, used_up: Iterator[T]) -> None:
        """Begin the next batch or page, unless another task that shares the iterator has done so."""
        async with self._turn:
            if self._batch is not used_up:
                return
            if self._unread:
                await checkpoint()
                if self._unread:  # unless the iterator was closed meanwhile
                    self._take()
            else:
                self._begin(await self._next_pages())

    def _begin(self, pages: Sequence[AnyPage[T]]) -> None:
        """Begin with the first batch of pages, in place of what is left of earlier ones.

        Raises:
            ResponseError: it cannot be read.
        """
        self._batches = chain.from_iterable(page.batches() for page in pages)
        self._unread = sum(map(len, pages))  # the records of the batches that have not begun
        self._batch: Iterator[T] = iter(())
        if self._unread:
            self._take()

    def _take(self) -> None:
        try:
            items = next(self._batches)
        except Malformed as error:
            problem = str(error)  # raised below: the error's context would keep the page
        else:
            self._unread -= len(items)
            # An iterator, so that a second reader continues where the first one stopped.
            self._batch = iter(items)
            return
        raise invalid_response(self._operation, problem)

    @property
    def _has_records(self) -> bool:
        """Whether there are records of pages that arrived and were not returned."""
        return bool(self._unread or length_hint(self._batch))


class Records(RecordIterator[T], ClosableIterator[T]):
    """The records of pages, one by one."""

    def __init__(self, pages: ClosableIterator[AnyPage[T]], operation: Operation) -> None:
        super().__init__(operation)
        self._pages = pages

    async def _next_pages(self) -> Sequence[AnyPage[T]]:
        return [await anext(self._pages)]

    async def aclose(self) -> None:
        """End the iterator; nothing is open."""
        self._begin(())
        await self._pages.aclose()
