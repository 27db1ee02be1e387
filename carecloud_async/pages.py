"""Listings: one list operation as pages, as records, as raw JSON, one after another.

Nothing is held between pages. The list ends where the server has no more, not where `total_items` or a short page
alone says so: servers cap `count` below what was asked, and totals may lie.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Set
from typing import Any, Generic, TypeVar

from attrs import evolve, field, frozen

from carecloud_async import codec
from carecloud_async.call import Caller
from carecloud_async.errors import ConfigurationError
from carecloud_async.operations import Operation
from carecloud_async.prefetch import Prefetch

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.pages")

#: The records of a page unless the user says otherwise; the API's own default.
DEFAULT_COUNT = 100


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
        """Tell whether nothing can follow, given that `count` records come on a full page.

        A full page is never the last: only asking again can tell. Neither is one that the total promises more than.
        """
        if not self.received:
            return True
        reached = self.total_items is None or self.offset + self.received >= self.total_items
        return reached and self.received < count


class RepeatWatch:
    """Notices that a server goes in circles, with the memory of one page.

    A page is compared with one that is moved on at page 1, 2, 4, 8 …, so that a circle of any length is found (Brent's
    algorithm).
    """

    def __init__(self) -> None:
        self._seen: Set[Any] = frozenset()
        self._number = 0

    def repeats(self, marks: Set[Any]) -> bool:
        """Tell whether a page, known by the marks of its records, brings only what was seen."""
        if marks and marks <= self._seen:
            return True
        self._number += 1
        if self._number & (self._number - 1) == 0:
            self._seen = marks
        return False


Fetch = Callable[[int, int], Awaitable[Page[T]]]


async def walk(
    fetch: Fetch[T], *, marks: Callable[[Iterable[T]], Set[Any]], offset: int, count: int, name: str
) -> AsyncIterator[Page[T]]:
    """Fetch page after page until there are no more.

    Args:
        fetch: gets a page by offset and count.
        marks: what tells records apart.
        offset: where to begin.
        count: how many records to ask for at a time.
        name: what is listed, for warnings.
    """
    watch = RepeatWatch()
    full = count
    while True:
        page = await fetch(offset, count)
        if watch.repeats(marks(page.items)):
            _log.warning("%s: the server repeats a page it has sent before; the list ends here", name)
            return
        if page.received:
            yield page
        elif page.total_items is not None and offset < page.total_items:
            _log.warning("%s: the list ended at %d, though total_items is %d", name, offset, page.total_items)
        if page.is_last(full):
            return
        offset += page.received
        # A server that caps `count` shows it by a short page with more to come.
        full = min(full, page.received)


@frozen(kw_only=True, repr=False)
class Listing(Generic[T]):
    """A list operation with its filters; nothing is sent before it is iterated or asked.

    `async for record in listing` yields every record, one page in memory at a time.
    """

    _caller: Caller = field(alias="caller")
    _operation: Operation = field(alias="operation")
    _into: type[T] = field(alias="into")
    _path_params: Mapping[str, Any] = field(alias="path_params")
    _params: Mapping[str, Any] = field(alias="params")
    _count: int = field(alias="count")
    _offset: int = field(alias="offset")

    def __repr__(self) -> str:
        return f"<Listing {self._operation.call}>"

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Yield the list page by page."""
        if not self._operation.paged:
            yield await self.page()
            return
        async for page in walk(
            self.fetch, marks=self._marks, offset=self._offset, count=self._count, name=self._operation.call
        ):
            yield page

    async def raw(self) -> AsyncIterator[bytes]:
        """Yield each record as one line of compact JSON, cut from the page unparsed: unknown fields stay in."""
        if not self._operation.paged:
            for record in (await self.fetch_raw(self._offset, self._count)).items:
                yield record
            return
        async for page in walk(
            self.fetch_raw, marks=frozenset, offset=self._offset, count=self._count, name=self._operation.call
        ):
            for record in page.items:
                yield record

    async def page(self) -> Page[T]:
        """Return the one page at `offset`."""
        return await self.fetch(self._offset, self._count)

    async def first(self) -> T | None:
        """Return the first record, or `None`; one request."""
        page = await self.fetch(self._offset, 1)
        return page.items[0] if page.items else None

    async def total(self) -> int:
        """Return how many records match, as the server counts them; one request.

        Raises:
            ResponseError: the server does not say.
        """
        page = await self.fetch(self._offset, 1)
        if page.total_items is not None:
            return page.total_items
        if not self._operation.paged:
            return page.received
        raise self._caller.broken(self._operation, "the answer has no total_items")

    async def collect(self, *, limit: int) -> list[T]:
        """Return the first records as a list, at most `limit` of them."""
        if limit < 1:
            raise ConfigurationError("collect: limit must be at least 1")
        items: list[T] = []
        listing = evolve(self, count=min(self._count, limit))
        async for page in listing.pages():
            items += page.items
            if len(items) >= limit:
                break
        return items[:limit]

    def prefetch(self, pages: int) -> Prefetch[T]:
        """Return the records with so many pages in flight, their order kept: `async with` it, then iterate."""
        if pages < 1:
            raise ConfigurationError("prefetch: at least one page must be in flight")
        return Prefetch(self.fetch, paged=self._operation.paged, offset=self._offset, count=self._count, ahead=pages)

    async def fetch(self, offset: int, count: int) -> Page[T]:
        """Get one page of records."""
        key = self._key
        return await self._fetch(offset, count, lambda body: codec.page(body, key=key, into=self._into))

    async def fetch_raw(self, offset: int, count: int) -> Page[bytes]:
        """Get one page of raw records."""
        key = self._key
        return await self._fetch(offset, count, lambda body: codec.raw_page(body, key=key))

    async def _fetch(self, offset: int, count: int, decode: Callable[[bytes], codec.DecodedPage[Any]]) -> Page[Any]:
        params = dict(self._params)
        if self._operation.paged:
            params |= {"count": count, "offset": offset}
        found = await self._caller.call(self._operation, decode=decode, path_params=self._path_params, params=params)
        return Page(items=found.items, offset=offset, total_items=found.total_items, received=found.received)

    @property
    def _key(self) -> str:
        if self._operation.result_key is None:
            raise ConfigurationError(f"{self._operation.call} is no list")
        return self._operation.result_key

    def _marks(self, items: Iterable[T]) -> Set[Any]:
        name = self._operation.id_field
        if name is None:
            return frozenset()
        return frozenset(mark for item in items if (mark := getattr(item, name)) is not None)


def listing(
    caller: Caller,
    operation: Operation,
    into: type[T],
    *,
    path_params: Mapping[str, Any] | None = None,
    count: int = DEFAULT_COUNT,
    offset: int = 0,
    **params: Any,
) -> Listing[T]:
    """Make a listing; what cannot work is refused here and not at its first page.

    Raises:
        ConfigurationError: `count` or `offset` is no sensible number.
    """
    _check_number("count", count, least=1)
    _check_number("offset", offset, least=0)
    return Listing(
        caller=caller,
        operation=operation,
        into=into,
        path_params=path_params or {},
        params=params,
        count=count,
        offset=offset,
    )


def _check_number(name: str, value: Any, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(f"{name} must be a whole number from {least} up")
