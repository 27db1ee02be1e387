"""Iterators over a list: page by page, and record by record.

Iterators are objects, not generators: leaving an `async for` early leaves nothing open. Several tasks may share one;
each record goes to one of them.

No task and no connection is held between pages. A large page is returned in batches; other tasks run between them.
Servers cap `count` and send wrong totals; `ReceivedPage.is_last` says when the two together prove the end of the list.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence, Set
from itertools import chain
from operator import length_hint
from typing import Any, Generic, Self, TypeVar

import anyio
from anyio.lowlevel import checkpoint
from attrs import frozen

from carecloud_async._base.codec import Malformed, UnreadRecords
from carecloud_async._base.codec.pages import BATCH
from carecloud_async.errors import ResponseError

__all__ = ["Page"]

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.paging")


@frozen(kw_only=True, repr=False)
class ReceivedPage(ABC, Generic[T]):
    """A page of a list; its records may be decoded or not.

    Attributes:
        offset: the position of its first record in the list.
        total_items: the length of the list as the server reports it; `None` if it does not.
        received: the number of entries that the server sent; null entries are not among the records.
    """

    offset: int
    total_items: int | None
    received: int

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of records."""

    @abstractmethod
    def batches(self) -> Iterator[list[T]]:
        """Return the records in batches; a batch that cannot be read raises each time it is asked for."""

    def is_last(self, count: int) -> bool:
        """Return whether nothing can follow, given that `count` records come on a full page.

        An empty page is the last one, and so is a short page that ends exactly at the total. After any other page the
        next one has to be requested: the server may cap `count` or send fewer records, and the total may be wrong.
        """
        if not self.received:
            return True
        return self.received < count and self.offset + self.received == self.total_items


@frozen(kw_only=True, repr=False)
class Page(ReceivedPage[T]):
    """A page of a list.

    Attributes:
        items: the records, in the server's order.
        offset: the position of its first record in the list.
        total_items: the length of the list as the server reports it; `None` if it does not.
        received: the number of entries that the server sent; null entries are not among `items`.
    """

    items: list[T]

    def __repr__(self) -> str:
        return f"Page({len(self.items)} items, offset={self.offset}, total_items={self.total_items})"

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def batches(self) -> Iterator[list[T]]:
        """Return the records in batches, between which other tasks can run."""
        return (self.items[start : start + BATCH] for start in range(0, len(self.items), BATCH))


@frozen(kw_only=True, repr=False)
class LazyPage(ReceivedPage[T]):
    """A page of a list whose records are decoded when they are returned.

    Attributes:
        records: the records, in the server's order.
        error: makes the error for a record that cannot be decoded, given the reason.
    """

    records: UnreadRecords[T]
    error: Callable[[str], ResponseError]

    def __len__(self) -> int:
        return len(self.records)

    def batches(self) -> Iterator[list[T]]:
        """See `ReceivedPage.batches`."""
        return iter(self._read, [])

    def _read(self) -> list[T]:
        try:
            return self.records.batch()
        except Malformed as error:
            problem = str(error)  # raised below: the error's context would keep the page
        raise self.error(problem)


#: The most pages in a row that hold only nulls. After them the list is taken to have no end.
MAX_EMPTY_PAGES = 10

P = TypeVar("P")

IdentityKeys = Callable[[P], Iterable[Any]]


class CycleDetector(Generic[P]):
    """Detects pages that repeat, by remembering one page (Brent's algorithm).

    Each page is compared with the remembered one, which is replaced at page 1, 2, 4, 8 …, so that a cycle of any length
    is found. For nearly all pages the first record shows that they are new, and no other record is compared.

    One page without a new record is no cycle: as many records may have been inserted before it as a page holds. It is
    skipped. A second one that repeats the same remembered page is a cycle.

    Args:
        identity_keys: returns the identities of a page's records.
    """

    def __init__(self, identity_keys: IdentityKeys[P]) -> None:
        self._identity_keys = identity_keys
        self._seen: Set[Any] = frozenset()
        self._number = 0
        self._repeats = 0
        self._empty = 0

    @property
    def sure(self) -> bool:
        """Whether the pages repeat for certain."""
        return self._repeats > 1

    def repeats(self, pages: Sequence[P]) -> bool:
        """Return whether pages, taken as one, hold only records of the remembered page.

        Raises:
            ResponseError: several pages in a row held no record at all.
        """
        first = next(self._keys(pages), None)
        self._empty = 0 if first is not None else self._empty + 1
        if self._empty >= MAX_EMPTY_PAGES:
            raise ResponseError(f"the server sent {MAX_EMPTY_PAGES} pages in a row that hold no record, only nulls")
        if first is not None and self._seen and all(key in self._seen for key in self._keys(pages)):
            self._repeats += 1
            return True
        self._number += 1
        if self._number & (self._number - 1) == 0:
            self._seen = frozenset(self._keys(pages))
            self._repeats = 0
        return False

    def _keys(self, pages: Sequence[P]) -> Iterator[Any]:
        return chain.from_iterable(map(self._identity_keys, pages))


def check_whole(name: str, *, received: int, total: int | None) -> None:
    """Check that a list whose pages repeat was read whole: a server that ignores paging may send all of it at once.

    Args:
        name: what is listed.
        received: the entries of the pages that did not repeat.
        total: the length of the list as the server reports it.

    Raises:
        ResponseError: the server does not say that this is the whole list.
    """
    if total is not None and received >= total:
        return
    of_total = "" if total is None else f" of {total}"
    raise ResponseError(
        f"{name}: the server repeats pages, as if it ignored `offset`: after {received}{of_total} records nothing new "
        "came. Ask for the whole list in one page with a larger count, or narrow it by filters"
    )


def warn_if_short(name: str, page: ReceivedPage[Any]) -> None:
    """Warn if an empty page ends a list before its total: records may be missing."""
    if page.total_items is not None and page.offset < page.total_items:
        _log.warning("%s: the list ended at %d, though total_items is %d", name, page.offset, page.total_items)


R = TypeVar("R", bound=ReceivedPage[Any])

Fetch = Callable[[int, int], Awaitable[R]]


class ClosableIterator(AsyncIterator[T]):
    """An async iterator for `contextlib.aclosing`; leaving one early leaves nothing open in any case."""

    @abstractmethod
    async def aclose(self) -> None:
        """End the iterator."""


class Pages(ClosableIterator[R], Generic[R]):
    """The pages of a list, one request each, until there are no more.

    Args:
        fetch: gets a page by offset and count.
        identity_keys: returns the identities of a page's records.
        offset: where to begin.
        count: the number of records to request at a time.
        name: the name of the list in errors and warnings.
    """

    def __init__(self, fetch: Fetch[R], *, identity_keys: IdentityKeys[R], offset: int, count: int, name: str) -> None:
        self._fetch = fetch
        self._offset = offset
        self._count = count
        self._full = count
        self._name = name
        self._watch = CycleDetector(identity_keys)
        self._received = 0
        self._done = False
        self._turn = anyio.Lock(fast_acquire=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        # One task at a time requests a page: two would get the same one, and skip the next.
        async with self._turn:
            return await self._next()

    async def _next(self) -> R:
        while not self._done:
            page = await self._fetch(self._offset, self._count)
            if not page.received:
                warn_if_short(self._name, page)
                self._done = True
                break
            repeated = self._watch.repeats([page])
            if self._watch.sure:
                check_whole(self._name, received=self._received, total=page.total_items)
            # A page without new records is no end, even if the total says so: the server may have ignored `offset`.
            self._done = self._watch.sure or (not repeated and page.is_last(self._full))
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


class OnePage(ClosableIterator[R], Generic[R]):
    """The one page of a list operation without paging.

    Args:
        fetch: gets it.
    """

    def __init__(self, fetch: Callable[[], Awaitable[R]]) -> None:
        self._fetch: Callable[[], Awaitable[R]] | None = fetch

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        fetch, self._fetch = self._fetch, None
        if fetch is None:
            raise StopAsyncIteration
        return await fetch()

    async def aclose(self) -> None:
        """End the iterator; nothing is open."""
        self._fetch = None


class RecordIterator(AsyncIterator[T]):
    """The records of pages, one by one. A page is read in batches; other tasks run between them.

    Several tasks may share one: each record goes to one of them.
    """

    def __init__(self) -> None:
        self._turn = anyio.Lock(fast_acquire=True)
        self._begin(())

    @abstractmethod
    async def _next_pages(self) -> Sequence[ReceivedPage[T]]:
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

    def _begin(self, pages: Sequence[ReceivedPage[T]]) -> None:
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
        items = next(self._batches)
        self._unread -= len(items)
        # An iterator, so that a second reader continues where the first one stopped.
        self._batch = iter(items)

    @property
    def _has_records(self) -> bool:
        """Whether there are records of pages that arrived and were not returned."""
        return bool(self._unread or length_hint(self._batch))


class Records(RecordIterator[T], ClosableIterator[T]):
    """The records of pages, one by one."""

    def __init__(self, pages: ClosableIterator[ReceivedPage[T]]) -> None:
        super().__init__()
        self._pages = pages

    async def _next_pages(self) -> Sequence[ReceivedPage[T]]:
        return [await anext(self._pages)]

    async def aclose(self) -> None:
        """End the iterator; nothing is open."""
        self._begin(())
        await self._pages.aclose()
