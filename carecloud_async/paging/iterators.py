"""Iterators over a list: page by page, and record by record.

These are iterator objects and no generators: leaving an `async for` half-way leaves nothing open behind. Several tasks
may share one: each record goes to one of them.

Nothing is held between pages. A large page is handed out in batches, between which other tasks run. The list ends where
the server has no more. Servers cap `count` below what was asked, and totals may lie: `Page.is_last` says when the two
together are proof enough.
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

from carecloud_async.codec import Malformed, UnreadRecords
from carecloud_async.codec.unread import BATCH
from carecloud_async.errors import ResponseError

__all__ = ["Page"]

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.paging")


@frozen(kw_only=True, repr=False)
class ReceivedPage(ABC, Generic[T]):
    """A part of a list, whether its records are read or not.

    Attributes:
        offset: where in the list the page begins.
        total_items: how long the list is, as the server says; `None` if it does not.
        received: how many entries the server sent; more than there are records where some were null.
    """

    offset: int
    total_items: int | None
    received: int

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of records."""

    @abstractmethod
    def batches(self) -> Iterator[list[T]]:
        """Return the records in batches that are handed out one at a time; an error of one comes again."""

    def is_last(self, count: int) -> bool:
        """Return whether nothing can follow, given that `count` records come on a full page.

        An empty page is the last, and a short one that ends exactly where the total says. Of any other only asking
        again can tell: the server may cap `count` or send fewer now and then, and a total that does not fit is wrong.
        """
        if not self.received:
            return True
        return self.received < count and self.offset + self.received == self.total_items


@frozen(kw_only=True, repr=False)
class Page(ReceivedPage[T]):
    """A part of a list.

    Attributes:
        items: the records, in the server's order.
        offset: where in the list the page begins.
        total_items: how long the list is, as the server says; `None` if it does not.
        received: how many entries the server sent; more than `items` where some were null.
    """

    items: list[T]

    def __repr__(self) -> str:
        return f"Page({len(self.items)} items, offset={self.offset}, total_items={self.total_items})"

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def batches(self) -> Iterator[list[T]]:
        """See `ReceivedPage.batches`."""
        return (self.items[start : start + BATCH] for start in range(0, len(self.items), BATCH))


@frozen(kw_only=True, repr=False)
class LazyPage(ReceivedPage[T]):
    """A part of a list, over a page that the codec left unread: its records are read as they are handed out.

    Attributes:
        records: the records, in the server's order.
        error: makes the error for a record that cannot be read, of the reason.
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


#: Pages of nothing but nulls, one after the other, that are taken for a list without an end.
MAX_EMPTY_PAGES = 10

P = TypeVar("P")

IdentityKeys = Callable[[P], Iterable[Any]]


class CycleDetector(Generic[P]):
    """Detects repeated pages, remembering one (Brent's algorithm).

    A page is compared with one that is moved on at page 1, 2, 4, 8 …, so that a circle of any length is found. Of
    nearly all pages the first record shows that they are new, and no other is looked at.

    One page that brings nothing new is not a circle: a page's worth of records may have been inserted before it. It is
    passed over; the second one is believed.

    Args:
        identity_keys: returns the keys that the records of a page are told apart by.
    """

    def __init__(self, identity_keys: IdentityKeys[P]) -> None:
        self._identity_keys = identity_keys
        self._seen: Set[Any] = frozenset()
        self._number = 0
        self._repeats = 0
        self._empty = 0

    @property
    def sure(self) -> bool:
        """Whether the list goes in circles."""
        return self._repeats > 1

    def repeats(self, pages: Sequence[P]) -> bool:
        """Return whether pages, taken for one, bring only what was seen.

        Raises:
            ResponseError: several pages in a row held no record at all, so that the list has no end.
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
        return False

    def _keys(self, pages: Sequence[P]) -> Iterator[Any]:
        return chain.from_iterable(map(self._identity_keys, pages))


def check_whole(name: str, *, received: int, total: int | None) -> None:
    """Check that a list whose pages repeat was read whole: a server that ignores paging may send it all at once.

    Args:
        name: what is listed.
        received: the entries of the pages that did not repeat.
        total: how long the list is, as the server says.

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


R = TypeVar("R", bound=ReceivedPage[Any])

Fetch = Callable[[int, int], Awaitable[R]]


class ClosableIterator(AsyncIterator[T]):
    """An async iterator that `contextlib.aclosing` takes, though leaving one half-way leaves nothing open."""

    @abstractmethod
    async def aclose(self) -> None:
        """End the iterator."""


class Pages(ClosableIterator[R], Generic[R]):
    """The pages of a list, one request each, until there are no more.

    Args:
        fetch: gets a page by offset and count.
        identity_keys: returns the keys that the records of a page are told apart by.
        offset: where to begin.
        count: how many records to ask for at a time.
        name: what is listed, for warnings.
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
        # Of tasks that share the iterator, one asks: two at once would get the same page, and pass over the next.
        async with self._turn:
            return await self._next()

    async def _next(self) -> R:
        while not self._done:
            page = await self._fetch(self._offset, self._count)
            if not page.received:
                self._warn_if_short(page)
                self._done = True
                break
            repeated = self._watch.repeats([page])
            # A page that brings nothing new ends nothing, even where the total says so: it may have ignored `offset`.
            self._done = self._watch.sure or (not repeated and page.is_last(self._full))
            self._offset += page.received
            # A server that caps `count` shows it by a short page with more to come.
            self._full = min(self._full, page.received)
            if not repeated:
                self._received += page.received
                return page
            if self._watch.sure:
                check_whole(self._name, received=self._received, total=page.total_items)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iterator; nothing is open."""
        self._done = True

    def _warn_if_short(self, page: R) -> None:
        if page.total_items is not None and self._offset < page.total_items:
            _log.warning(
                "%s: the list ended at %d, though total_items is %d", self._name, self._offset, page.total_items
            )


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


class Batches(Generic[T]):
    """The records of some pages, in batches between which other tasks run.

    Attributes:
        batch: the records that may be handed out at once.
    """

    __slots__ = ("_left", "_rest", "batch")

    def __init__(self) -> None:
        self.begin(())

    def __len__(self) -> int:
        """Return the number of records that are not handed out."""
        return self._left + length_hint(self.batch)

    def begin(self, pages: Sequence[ReceivedPage[T]]) -> None:
        """Begin with the first batch of pages.

        Raises:
            ResponseError: it cannot be read.
        """
        self._rest = chain.from_iterable(page.batches() for page in pages)
        self._left = sum(map(len, pages))
        self.batch: Iterator[T] = iter(())
        if self._left:
            self._take()

    async def advance(self) -> bool:
        """Let other tasks run and go on to the next batch; return whether there is one.

        Raises:
            ResponseError: it cannot be read.
        """
        if not self._left:
            return False
        await checkpoint()
        self._take()
        return True

    def _take(self) -> None:
        items = next(self._rest)
        self._left -= len(items)
        # What is not taken out of it stays for the next reader.
        self.batch = iter(items)


class Records(ClosableIterator[T], Generic[T]):
    """The records of pages, one by one.

    Args:
        pages: where they come from.
    """

    def __init__(self, pages: ClosableIterator[ReceivedPage[T]]) -> None:
        self._pages = pages
        self._batches: Batches[T] = Batches()
        self._turn = anyio.Lock(fast_acquire=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            for item in self._batches.batch:
                return item
            await self._go_on(self._batches.batch)

    async def _go_on(self, used_up: Iterator[T]) -> None:
        """Go on to the next batch, or to the next page, unless another task that shares the iterator has."""
        async with self._turn:
            if self._batches.batch is used_up and not await self._batches.advance():
                self._batches.begin([await anext(self._pages)])

    async def aclose(self) -> None:
        """End the iterator; nothing is open."""
        self._batches.begin(())
        await self._pages.aclose()
