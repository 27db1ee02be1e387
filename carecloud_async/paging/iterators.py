"""Iterators over a list: page by page, and record by record.

These are iterator objects and no generators: leaving an `async for` half-way leaves nothing open behind. Several tasks
may share one: each record goes to one of them.

Nothing is held between pages. A large page is handed out in batches, between which other tasks run. The list ends where
the server has no more. Servers cap `count` below what was asked, and totals may lie: `Page.is_last` says when the two
together are proof enough.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Set
from itertools import islice
from operator import length_hint
from typing import Any, Generic, Self, TypeVar

from anyio import Lock
from anyio.lowlevel import checkpoint
from attrs import frozen

from carecloud_async.errors import ResponseError

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.paging")


@frozen(kw_only=True, repr=False)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        items: the records, in the server's order.
        offset: where in the list the page begins.
        total_items: how long the list is, as the server says; `None` if it does not.
        received: how many entries the server sent; more than `items` where some were null.
    """

    items: list[T]
    offset: int
    total_items: int | None
    received: int

    def __repr__(self) -> str:
        return f"Page({len(self.items)} items, offset={self.offset}, total_items={self.total_items})"

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def is_last(self, count: int) -> bool:
        """Return whether nothing can follow, given that `count` records come on a full page.

        An empty page is the last, and a short one that ends exactly where the total says. Of any other only asking
        again can tell: the server may cap `count` or send fewer now and then, and a total that does not fit is wrong.
        """
        if not self.received:
            return True
        return self.received < count and self.offset + self.received == self.total_items


#: Pages of nothing but nulls, one after the other, that are taken for a list without an end.
MAX_BARREN_PAGES = 10

IdentityKeys = Callable[[Iterable[T]], Iterable[Any]]


class CycleDetector(Generic[T]):
    """Detects repeated pages, remembering one (Brent's algorithm).

    A page is compared with one that is moved on at page 1, 2, 4, 8 …, so that a circle of any length is found. Of
    nearly all pages the first record shows that they are new, and no other is looked at.

    One page that brings nothing new is not a circle: a page's worth of records may have been inserted before it. It is
    passed over; the second one is believed.

    Args:
        identity_keys: returns the keys that records are told apart by; those without one are left out.
    """

    def __init__(self, identity_keys: IdentityKeys[T]) -> None:
        self._identity_keys = identity_keys
        self._seen: Set[Any] = frozenset()
        self._number = 0
        self._repeats = 0
        self._barren = 0

    @property
    def sure(self) -> bool:
        """Whether the list goes in circles."""
        return self._repeats > 1

    def repeats(self, items: Iterable[T]) -> bool:
        """Return whether a page brings only what was seen.

        Raises:
            ResponseError: several pages in a row held no record at all, so that the list has no end.
        """
        items = list(items)
        self._barren = 0 if items else self._barren + 1
        if self._barren >= MAX_BARREN_PAGES:
            raise ResponseError(f"the server sent {MAX_BARREN_PAGES} pages in a row that hold no record, only nulls")
        if self._seen and self._brings_nothing_new(items):
            self._repeats += 1
            return True
        self._number += 1
        if self._number & (self._number - 1) == 0:
            self._seen = frozenset(self._identity_keys(items))
        return False

    def _brings_nothing_new(self, items: Iterable[T]) -> bool:
        empty = True
        for key in self._identity_keys(items):
            if key not in self._seen:
                return False
            empty = False
        return not empty


def warn_of_circle(name: str) -> None:
    """Log that a list was ended because it repeats itself."""
    _log.warning("%s: the server repeats a page it has sent before; the list ends here", name)


Fetch = Callable[[int, int], Awaitable[Page[T]]]


class ClosableIterator(AsyncIterator[T]):
    """An async iterator that `contextlib.aclosing` takes, though leaving one half-way leaves nothing open."""

    @abstractmethod
    async def aclose(self) -> None:
        """End the iterator."""


class Pages(ClosableIterator[Page[T]], Generic[T]):
    """The pages of a list, one request each, until there are no more.

    Args:
        fetch: gets a page by offset and count.
        identity_keys: returns the keys that records are told apart by.
        offset: where to begin.
        count: how many records to ask for at a time.
        name: what is listed, for warnings.
    """

    def __init__(self, fetch: Fetch[T], *, identity_keys: IdentityKeys[T], offset: int, count: int, name: str) -> None:
        self._fetch = fetch
        self._offset = offset
        self._count = count
        self._full = count
        self._name = name
        self._watch = CycleDetector(identity_keys)
        self._done = False
        self._turn = Lock(fast_acquire=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page[T]:
        # Of tasks that share the iterator, one asks: two at once would get the same page, and pass over the next.
        async with self._turn:
            return await self._next()

    async def _next(self) -> Page[T]:
        while not self._done:
            page = await self._fetch(self._offset, self._count)
            self._done = page.is_last(self._full)
            if not page.received:
                self._warn_if_short(page)
                break
            self._offset += page.received
            # A server that caps `count` shows it by a short page with more to come.
            self._full = min(self._full, page.received)
            if not self._watch.repeats(page.items):
                return page
            if self._watch.sure:
                warn_of_circle(self._name)
                self._done = True
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iterator; nothing is open."""
        self._done = True

    def _warn_if_short(self, page: Page[T]) -> None:
        if page.total_items is not None and self._offset < page.total_items:
            _log.warning(
                "%s: the list ended at %d, though total_items is %d", self._name, self._offset, page.total_items
            )


class OnePage(ClosableIterator[Page[T]], Generic[T]):
    """The one page of a list operation without paging.

    Args:
        fetch: gets it.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Page[T]]]) -> None:
        self._fetch: Callable[[], Awaitable[Page[T]]] | None = fetch

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page[T]:
        fetch, self._fetch = self._fetch, None
        if fetch is None:
            raise StopAsyncIteration
        return await fetch()

    async def aclose(self) -> None:
        """End the iterator; nothing is open."""
        self._fetch = None


#: The records that are handed out before other tasks run: a checkpoint costs as much as handing out fifty.
BATCH = 250


class Batches(Generic[T]):
    """The records of one page, in batches between which other tasks run.

    Attributes:
        batch: the records that may be handed out at once.
    """

    __slots__ = ("_rest", "batch")

    def __init__(self) -> None:
        self._rest: Iterator[T] = iter(())
        self.batch: Iterator[T] = iter(())

    def __len__(self) -> int:
        """Return the number of records that are not handed out."""
        return length_hint(self._rest)

    def begin(self, items: Iterable[T]) -> None:
        """Begin with the first batch of a page."""
        self._rest = iter(items)
        # Lazy: what is not taken out of a batch stays for the next one.
        self.batch = islice(self._rest, BATCH)

    async def advance(self) -> bool:
        """Let other tasks run and go on to the next batch; return whether there is one."""
        if not length_hint(self._rest):
            return False
        await checkpoint()
        self.batch = islice(self._rest, BATCH)
        return True


class Records(ClosableIterator[T], Generic[T]):
    """The records of pages, one by one.

    Args:
        pages: where they come from.
    """

    def __init__(self, pages: ClosableIterator[Page[T]]) -> None:
        self._pages = pages
        self._batches: Batches[T] = Batches()
        self._turn = Lock(fast_acquire=True)

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
                self._batches.begin((await anext(self._pages)).items)

    async def aclose(self) -> None:
        """End the iterator; nothing is open."""
        self._batches.begin(())
        await self._pages.aclose()
