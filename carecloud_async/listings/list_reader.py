"""`ListReader`: reads the pages of one list in turn, as records or raw, and the length of the list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import evolve, frozen

from carecloud_async.calls.call_errors import invalid_response
from carecloud_async.errors import ApiError
from carecloud_async.listings.filter_parts import FilterParts
from carecloud_async.listings.parted_pages import URI_TOO_LONG, PartedPages
from carecloud_async.paging.fetching import PageFetcher, raw_keys
from carecloud_async.paging.iterators import (
    ClosableIterator,
    Fetch,
    IdentityKeys,
    OnePage,
    Page,
    Pages,
    ReceivedPage,
)

__all__ = ["ListReader"]

T = TypeVar("T")
P = TypeVar("P", bound=ReceivedPage[Any])

#: A way to read pages (decoded later, decoded at once, or raw): returns the functions for a page and its identities.
_Way: TypeAlias = Callable[[PageFetcher[T]], tuple[Fetch[P], IdentityKeys[P]]]

_Ids: TypeAlias = Callable[[PageFetcher[Any], Page[Any]], Iterator[Any]]

#: The page size for records that are only counted.
_COUNTED_PAGE = 1000


@frozen(kw_only=True, repr=False)
class ListReader(Generic[T]):
    """Reads one list page by page, in parts if its filters are too long for one request.

    Attributes:
        fetcher: gets a page.
        offset: where to begin.
        count: the records of a page.
    """

    fetcher: PageFetcher[T]
    offset: int
    count: int

    @property
    def filters(self) -> FilterParts:
        """The filters, which may have to be split."""
        return FilterParts(fetcher=self.fetcher, offset=self.offset)

    def unread(self) -> ClosableIterator[ReceivedPage[T]]:
        """Return the pages; their records are decoded when they are returned."""
        return self._pages(lambda fetcher: (fetcher.unread, fetcher.keys), PageFetcher.keys)

    def read(self) -> ClosableIterator[Page[T]]:
        """Return the pages with their records."""
        return self._pages(lambda fetcher: (fetcher.read, fetcher.keys), PageFetcher.keys)

    def raw(self) -> ClosableIterator[ReceivedPage[bytes]]:
        """Return the pages with each record as one line of JSON."""
        return self._pages(lambda fetcher: (fetcher.raw, raw_keys), PageFetcher.raw_ids)

    async def first(self) -> T | None:
        """Return the first record; see `Listing.first`."""
        if not self.filters.has_lists:
            page = await self.fetcher.read(self.offset, 1)
            return page.items[0] if page.items else None
        async for page in evolve(self, count=1).read():
            if page.items:
                return page.items[0]
        return None

    async def total(self) -> int:
        """Return how many records match; see `Listing.total`."""
        filters = self.filters
        if len(filters.parts()) == 1:
            try:
                return await self._server_total()
            except ApiError as error:
                if error.status != URI_TOO_LONG or filters.halves(filters.params) is None:
                    raise
        return sum([len(page) async for page in evolve(self, count=_COUNTED_PAGE).raw()])

    async def _server_total(self) -> int:
        operation = self.fetcher.operation
        page = await self.fetcher.read(self.offset, 1)
        if page.total_items is not None:
            return page.total_items
        if not operation.paged:
            return page.received
        raise invalid_response(operation, "the answer has no total_items")

    def _pages(self, way: _Way[T, P], ids: _Ids) -> ClosableIterator[P]:
        """Return the pages.

        Args:
            way: how they are read.
            ids: returns the ids of a page's records, by which those of another part are recognized.
        """
        filters, fetcher = self.filters, self.fetcher
        if not filters.has_lists:
            return self._pages_of(way, fetcher)
        return PartedPages(
            filters,
            open_part=lambda params: self._pages_of(way, evolve(fetcher, params=params)),
            ids=partial(ids, fetcher),
        )

    def _pages_of(self, way: _Way[T, P], fetcher: PageFetcher[T]) -> ClosableIterator[P]:
        fetch, keys = way(fetcher)
        operation = fetcher.operation
        if not operation.paged:
            return OnePage(lambda: fetch(self.offset, self.count))
        return Pages(fetch, identity_keys=keys, offset=self.offset, count=self.count, name=operation.call)
