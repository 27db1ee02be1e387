"""`ListReader`: reads the pages of one list in turn, as records or raw, and the length of the list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Generic, TypeVar

from attrs import evolve, frozen

from carecloud_async._calls.call.call_errors import invalid_response
from carecloud_async._lists.listings.filter_parts import URI_TOO_LONG, FilterParts, Params, PartedPages
from carecloud_async._lists.paging.fetching import PageFetcher
from carecloud_async._lists.paging.iterators import ClosableIterator, OnePage, Page, Pages, ReceivedPage
from carecloud_async.errors import ApiError

__all__ = ["ListReader"]

T = TypeVar("T")
P = TypeVar("P", bound=ReceivedPage[Any])

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
        return self._pages(PageFetcher.unread, PageFetcher.keys)

    def read(self) -> ClosableIterator[Page[T]]:
        """Return the pages with their records."""
        return self._pages(PageFetcher.read, PageFetcher.keys)

    def raw(self) -> ClosableIterator[ReceivedPage[bytes]]:
        """Return the pages with each record as one line of JSON."""
        return self._pages(PageFetcher.raw, PageFetcher.raw_ids)

    async def first(self) -> T | None:
        """Return the first record; see `Listing.first`."""
        async for page in evolve(self, count=1).read():  # a null in place of a record is none
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
        if not operation.paged or (not page.received and not self.offset):
            return page.received  # the whole list, or one that is empty from its beginning
        raise invalid_response(operation, "the answer has no total_items")

    def _pages(
        self,
        fetch: Callable[[PageFetcher[T], int, int], Awaitable[P]],
        identify: Callable[[PageFetcher[Any], Any], Iterator[Any]],
    ) -> ClosableIterator[P]:
        """Return the pages.

        Args:
            fetch: gets a page by offset and count.
            identify: returns the identities of a page's records.
        """
        filters, operation = self.filters, self.fetcher.operation

        def open_part(params: Params) -> ClosableIterator[P]:
            fetcher = evolve(self.fetcher, params=params)
            get = partial(fetch, fetcher)
            if not operation.paged:
                return OnePage(lambda: get(self.offset, self.count))
            keys = partial(identify, fetcher)
            return Pages(get, identity_keys=keys, offset=self.offset, count=self.count, name=operation.call)

        if not filters.has_lists:
            return open_part(filters.params)
        return PartedPages(filters, open_part=open_part, ids=partial(identify, self.fetcher))
