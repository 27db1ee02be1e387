"""Prefetch: the records of a listing with several pages in flight, in the server's order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._calls.call.operation import Operation, RawResponse
from carecloud_async._lists.paging.iterators import (
    AnyPage,
    Keys,
    RecordIterator,
    RepeatDetector,
    check_whole,
    is_last,
    warn_if_short,
)
from carecloud_async._lists.paging.page_plan import PagePlan
from carecloud_async._lists.paging.read_ahead import ReadAhead
from carecloud_async.errors import CareCloudError, ConfigurationError

T = TypeVar("T")


class Prefetch(RecordIterator[T]):
    """The records of a list, with several pages in flight: use it in `async with`, then iterate.

    Several tasks may share it: each record goes to one of them.

    Args:
        fetch: gets a page by offset and count; the last argument is that of `page_plan.Send`.
        keys: returns the identities of a page's records.
        operation: what is listed.
        offset: where to begin.
        plan: decides how many pages are in flight and how many records are requested at a time.
    """

    def __init__(
        self,
        fetch: Callable[[int, int, bool], Awaitable[tuple[AnyPage[T], RawResponse | None]]],
        *,
        keys: Keys[AnyPage[T]],
        operation: Operation,
        offset: int,
        plan: PagePlan,
    ) -> None:
        super().__init__(operation)
        self._fetch = fetch
        self._watch = RepeatDetector(keys)
        self._offset = offset
        self._plan = plan
        self._background = BackgroundTasks()
        self._read_ahead: ReadAhead[tuple[AnyPage[T], bool]] = ReadAhead(
            self._fetch_part, next_part=self._next_part, tasks=self._background, plan=plan
        )
        self._begun = False
        self._page_size = 0  # the records of the first page; 0 before it
        self._total: int | None = None
        self._received = 0
        self._done = False
        self._error: Exception | None = None
        self._open = False
        self._cut_short = False

    async def __aenter__(self) -> Self:
        if self._done or self._cut_short:
            raise ConfigurationError("a prefetch serves one block: call listing.prefetch(…) again for the next")
        await self._background.__aenter__()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False
        # Iterating after the block must not look like the end of the list.
        self._cut_short = not self._done or self._has_records
        self._done = True
        self._begin(())
        self._read_ahead.clear()
        await self._background.__aexit__(kind, error, traceback)

    if not TYPE_CHECKING:  # hidden from type checkers, which must still reject these

        def __enter__(self):  # noqa: ANN204  (as above)
            raise ConfigurationError("prefetch is async: write `async with listing.prefetch(8) as records`")

        def __exit__(self, *_):  # noqa: ANN002, ANN204  (Python looks for it before it calls __enter__)
            """Do nothing."""

    async def _next_pages(self) -> Sequence[AnyPage[T]]:
        self._check_block()
        if self._error is not None:  # a list that failed must not look like one that ended
            raise self._error.with_traceback(None)
        if self._done:
            raise StopAsyncIteration
        if not self._open:
            raise ConfigurationError("use prefetch in a block: async with listing.prefetch(8) as records")
        try:
            pages = await self._next_new_pages()
        except Exception as error:
            self._done, self._error = True, error.fresh() if isinstance(error, CareCloudError) else error
            raise
        self._check_block()  # the block may have ended while this task waited
        return pages

    def _check_block(self) -> None:
        if self._cut_short:
            raise ConfigurationError(
                "prefetch() was iterated after its `async with` block ended: iterate inside the block"
            )

    async def _next_new_pages(self) -> Sequence[AnyPage[T]]:
        """Return the pages of the next part; none if they repeat, or at the end of the list."""
        pages = await self._next_part_of_list()
        repeated = bool(pages) and self._watch.repeats(pages)
        if self._watch.sure:
            check_whole(self._operation, received=self._received, total=self._total)
        if not pages or self._watch.sure:
            self._done = True
            return []
        if repeated:
            self._done = not self._operation.paged  # no end without new records: the server may have ignored `offset`
        else:
            self._received += sum(page.received for page in pages)
        self._read_ahead.fill()
        return [] if repeated else pages

    async def _next_part_of_list(self) -> list[AnyPage[T]]:
        """Return the pages that make up the next part; the detector of repeats takes them as one."""
        pages: list[AnyPage[T]] = []
        while not self._done and (piece := await self._read_ahead.take()) is not None:
            page, ends_list = piece
            pages.append(page)
            self._total = page.total_items if page.total_items is not None else self._total
            self._done = ends_list or not self._operation.paged
            if self._done and self._operation.paged and not page.received:
                warn_if_short(self._operation, page)
            if not self._page_size:
                self._page_size = page.received or 1
                self._offset += page.received
            if self._read_ahead.is_at_part_end:
                break
        return pages

    def _next_part(self) -> range | None:
        offset = self._offset
        if not self._page_size:
            # The first page is requested alone: it shows the length of the list and the size of its pages.
            begun, self._begun = self._begun, True
            return None if begun else range(offset, offset + self._plan.count)
        # A page beyond the total is requested alone. One that begins exactly at it is requested with the last ones,
        # which are full and therefore do not prove the end.
        is_wanted = self._total is None or offset <= self._total or not len(self._read_ahead)
        if self._done or not is_wanted:
            return None
        self._offset += self._page_size if self._plan.is_fixed else self._plan.count
        return range(offset, self._offset)

    async def _fetch_part(self, part: range) -> tuple[tuple[AnyPage[T], bool], range]:
        size = len(part) if self._plan.is_fixed else min(len(part), self._plan.count)
        asked, page = await self._plan.request(size, partial(self._fetch, part.start))
        is_alone = not self._page_size  # the next part begins where the first page ends
        ends_list = is_last(page, asked)
        return (page, ends_list), range(0) if ends_list or is_alone else part[page.received :]
