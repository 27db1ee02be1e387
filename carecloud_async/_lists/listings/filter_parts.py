"""Splits filters that are too long for one request into parts that each fit one, and reads the pages of the parts.

The values of a list-valued filter are alternatives: a record matches if it matches any of them. The records of the
whole filter are therefore the union of the records of its parts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any, Generic, Self, TypeAlias, TypeVar, cast

import anyio
from attrs import frozen

from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async._calls.call.request_line import MAX_REQUEST_LINE, MAX_VARIABLES, RequestSize
from carecloud_async._lists.paging.fetching import PageFetcher
from carecloud_async._lists.paging.iterators import ClosableIterator, Page, ReceivedPage
from carecloud_async.errors import ApiError, ConfigurationError

__all__ = ["URI_TOO_LONG", "FilterParts", "Params", "PartedPages"]

Params: TypeAlias = Mapping[str, Any]

#: The longest parameters that paging and the order of an export add to a query.
_PAGING = {"count": 10**6, "offset": 10**9, "sort_field": "x" * 50, "sort_direction": "DESC"}

R = TypeVar("R", bound=ReceivedPage[Any])

#: The status of a request line that the server finds too long.
URI_TOO_LONG = 414


@frozen(kw_only=True, repr=False)
class FilterParts:
    """The filters of one listing, which may be split.

    Attributes:
        fetcher: gets the pages; has the operation, filters and order.
        offset: records to skip.
    """

    fetcher: PageFetcher[Any]
    offset: int

    @property
    def params(self) -> Params:
        """Filters and order."""
        return self.fetcher.params

    @property
    def has_lists(self) -> bool:
        """Whether a filter has several values, so that it could be split."""
        return bool(self._lists(self.params))

    def parts(self) -> list[Params]:
        """Return the filters in parts that each fit one request; usually one part is enough.

        Raises:
            ConfigurationError: they do not fit and cannot be split, since the list is sorted or does not begin at its
                start.
        """
        if not self.has_lists:
            return [self.params]
        parts = self._split(self.params)
        if len(parts) > 1 and not self._may_be_split:
            raise self._refused("a sorted list, or one with an offset,", parts)
        return parts

    def require_one(self, what: str) -> None:
        """Raise if the filters need several parts, for operations that need a single list.

        Args:
            what: the operation, such as `an export`.

        Raises:
            ConfigurationError: the filters do not fit one request; the message has the bounds and what to do.
        """
        parts = self._split(self.params) if self.has_lists else []
        if len(parts) > 1:
            raise self._refused(what, parts)

    def halves(self, part: Params) -> tuple[Params, Params] | None:
        """Return the halves of a part, for a server that accepts less; `None` if it cannot be split."""
        return self._halve(part) if self._may_be_split else None

    @property
    def _may_be_split(self) -> bool:
        return not self.offset and self.params.get("sort_field") is None and self.params.get("sort_direction") is None

    def _split(self, params: Params) -> list[Params]:
        halves = None if self._size(params).fits else self._halve(params)
        return [params] if halves is None else [part for half in halves for part in self._split(half)]

    def _size(self, params: Params) -> RequestSize:
        fetcher = self.fetcher
        paging = _PAGING if fetcher.operation.paged else {}
        query = {**params, **paging}
        return fetcher.caller.request_size(fetcher.operation, path_params=fetcher.path_params, params=query)

    def _halve(self, params: Params) -> tuple[Params, Params] | None:
        lists = self._lists(params)
        if not lists:
            return None
        longest = max(lists, key=lambda name: sum(len(str(value)) + len(name) for value in lists[name]))
        values = lists[longest]
        middle = len(values) // 2
        return {**params, longest: values[:middle]}, {**params, longest: values[middle:]}

    def _lists(self, params: Params) -> dict[str, list[Any]]:
        """Return the filters with several alternative values, duplicates removed."""
        known = self.fetcher.operation.multi_value_parameters
        found = {name: _distinct(params[name]) for name in params if name.removesuffix("[]") in known}
        return {name: values for name, values in found.items() if len(values) > 1}

    def _refused(self, what: str, parts: Collection[Params]) -> ConfigurationError:
        fewest = {name: min(len(part[name]) for part in parts) for name in self._lists(self.params)}
        name = min(fewest, key=lambda name: fewest[name] / len(self.params[name]))
        return ConfigurationError(
            f"{self.fetcher.operation.call}: {name} makes {self._size(self.params)}, and servers take "
            f"{MAX_REQUEST_LINE:,} bytes and {MAX_VARIABLES:,} variables; {what} cannot be put together from parts. "
            f"Give some {fewest[name]} values at a time, or iterate the listing from its start without an order, which "
            "asks in parts"
        )


def _distinct(values: Any) -> list[Any]:
    if not isinstance(values, Collection) or isinstance(values, str | bytes | Mapping):
        return []
    distinct: list[Any] = conceal(list(dict.fromkeys(values)))
    return distinct


class PartedPages(ClosableIterator[R], Generic[R]):
    """The pages of each part of the filters in turn; a record of an earlier part does not come again.

    If the filters fit one request, its pages are unchanged. A part that the server finds too long (414) is halved.

    Args:
        filters: what may be split.
        open_part: returns the pages of a part.
        ids: returns the identities of a page's records.
    """

    def __init__(
        self,
        filters: FilterParts,
        *,
        open_part: Callable[[Params], ClosableIterator[R]],
        ids: Callable[[Page[Any]], Iterable[Hashable]],
    ) -> None:
        self._filters = filters
        self._open_part = open_part
        self._ids = ids
        self._waiting: deque[Params] | None = None
        self._part: Params = {}
        self._pages: ClosableIterator[R] | None = None
        self._is_begun = False
        self._is_split = False
        self._yielded = 0
        self._earlier: set[Hashable] = set()
        self._current: set[Hashable] = set()
        self._turn = anyio.Lock(fast_acquire=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        async with self._turn:
            while True:
                page = await self._next_page()
                if not self._is_split:
                    return page
                new = self._without_earlier(page)
                if new.items:
                    return cast("R", new)

    async def aclose(self) -> None:
        """End the iterator; nothing is open."""
        self._waiting = deque()
        self._pages = None

    async def _next_page(self) -> R:
        while True:
            pages = self._pages or self._open_next()
            try:
                page = await anext(pages)
            except StopAsyncIteration:
                self._pages = None
                self._earlier |= self._current
                self._current = set()
            except ApiError as error:
                if error.status != URI_TOO_LONG or not self._halve():
                    raise
            else:
                self._is_begun = True
                return page

    def _open_next(self) -> ClosableIterator[R]:
        if self._waiting is None:
            self._waiting = deque(self._filters.parts())
            self._is_split = len(self._waiting) > 1
        if not self._waiting:
            raise StopAsyncIteration
        self._part = self._waiting.popleft()
        self._is_begun = False
        self._pages = self._open_part(self._part)
        return self._pages

    def _halve(self) -> bool:
        """Put the halves of the part in its place, if nothing of it came yet; return whether that was done."""
        halves = None if self._is_begun else self._filters.halves(self._part)
        if halves is None or self._waiting is None:
            return False
        self._waiting.extendleft(reversed(halves))
        self._pages = None
        self._is_split = True
        return True

    def _without_earlier(self, page: R) -> Page[Any]:
        """Return the page without records of earlier parts: a record may match values of several."""
        items = [item for batch in page.batches() for item in batch]
        whole = Page(items=items, offset=page.offset, total_items=None, received=page.received)
        ids = list(self._ids(whole))
        self._current.update(ids)
        new = [item for item, one in zip(items, ids, strict=True) if one not in self._earlier]
        offset, self._yielded = self._yielded, self._yielded + len(new)
        return Page(items=new, offset=offset, total_items=None, received=len(new))
