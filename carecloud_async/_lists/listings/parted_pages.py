"""`PartedPages`: the pages of a list whose filters may be too long for one request."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Any, Generic, Self, TypeVar, cast

import anyio
from attrs import define, field

from carecloud_async._lists.listings.filter_parts import FilterParts, Params
from carecloud_async._lists.paging.iterators import ClosableIterator, Page, ReceivedPage
from carecloud_async.errors import ApiError

__all__ = ["URI_TOO_LONG", "PartedPages"]

R = TypeVar("R", bound=ReceivedPage[Any])

#: The status of a request line that the server finds too long.
URI_TOO_LONG = 414


@define(eq=False, repr=False)
class PartedPages(ClosableIterator[R], Generic[R]):
    """The pages of each part of the filters in turn; a record of an earlier part does not come again.

    If the filters fit one request, its pages are unchanged. A part that the server finds too long (414) is halved.

    Attributes:
        open_part: returns the pages of a part.
        ids: returns the identities of a page's records.
    """

    _filters: FilterParts = field(alias="filters")
    _open_part: Callable[[Params], ClosableIterator[R]] = field(alias="open_part", kw_only=True)
    _ids: Callable[[Page[Any]], Iterable[Hashable]] = field(alias="ids", kw_only=True)
    _waiting: deque[Params] | None = field(default=None, init=False)
    _part: Params = field(factory=dict, init=False)
    _pages: ClosableIterator[R] | None = field(default=None, init=False)
    _is_begun: bool = field(default=False, init=False)
    _is_split: bool = field(default=False, init=False)
    _yielded: int = field(default=0, init=False)
    _earlier: set[Hashable] = field(factory=set, init=False)
    _current: set[Hashable] = field(factory=set, init=False)
    _turn: anyio.Lock = field(factory=partial(anyio.Lock, fast_acquire=True), init=False)

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
