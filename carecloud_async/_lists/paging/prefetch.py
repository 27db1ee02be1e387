"""Prefetch: the records of a listing with several pages in flight, in the server's order."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._lists.paging.auto import Auto
from carecloud_async._lists.paging.iterators import (
    AnyPage,
    RecordIterator,
    RepeatDetector,
    check_whole,
    is_last,
    warn_if_short,
)
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async._lists.paging.page_reader import PageReader
from carecloud_async.errors import CareCloudError, ConfigurationError

T = TypeVar("T")


class _Block(Enum):
    """The state of the `async with` block; `CUT_SHORT` if it ended before all records were taken."""

    NOT_BEGUN = auto()
    OPEN = auto()
    ENDED = auto()
    CUT_SHORT = auto()


class Prefetch(RecordIterator[T]):
    """The records of a list, with several pages in flight: use it in `async with`, then iterate.

    Several tasks may share it: each record goes to one of them.

    Args:
        source: the list.
        width: pages in flight; `auto` for the fastest.
    """

    def __init__(self, source: ListSource[T], width: int | Auto) -> None:
        super().__init__(source.operation)
        self._reader: PageReader[AnyPage[T]] = PageReader(source, width, fetch=source.measured)
        self._watch = RepeatDetector(source.keys)
        self._offset = source.offset
        self._background = BackgroundTasks()
        self._reader.begin(self._background, next_part=self._next_part, fetch=self._fetch_part)
        self._page_size: int | None = None  # the records of the first page, which is requested alone
        self._total: int | None = None
        self._received = 0
        self._block = _Block.NOT_BEGUN
        self._is_at_end = False
        self._error: Exception | None = None

    async def __aenter__(self) -> Self:
        if self._block is not _Block.NOT_BEGUN:
            raise ConfigurationError("a prefetch serves one block: call listing.prefetch(…) again for the next")
        await self._background.__aenter__()
        self._block = _Block.OPEN
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        has_ended = self._is_at_end or self._error is not None
        self._block = _Block.ENDED if has_ended and not self._has_records else _Block.CUT_SHORT
        self._begin(())
        self._reader.clear()
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
        if self._is_at_end:
            raise StopAsyncIteration
        try:
            pages = await self._next_new_pages()
        except Exception as error:
            self._error = error.fresh() if isinstance(error, CareCloudError) else error
            raise
        self._check_block()  # the block may have ended while this task waited
        return pages

    def _check_block(self) -> None:
        """Raise unless iterating is allowed: after a block that was cut short, it must not look like the list's end."""
        if self._block is _Block.NOT_BEGUN:
            raise ConfigurationError("use prefetch in a block: async with listing.prefetch(8) as records")
        if self._block is _Block.CUT_SHORT:
            raise ConfigurationError(
                "prefetch() was iterated after its `async with` block ended: iterate inside the block"
            )

    async def _next_new_pages(self) -> Sequence[AnyPage[T]]:
        """Return the pages of the next part; none if they repeat, or at the end of the list."""
        pages, is_last_part = await self._take_part()
        repeated = self._watch.repeats(pages) if pages else False
        if self._watch.sure:
            check_whole(self._operation, received=self._received, total=self._total)
        if repeated:  # this proves no end: the server may have ignored `offset`
            is_last_part = self._watch.sure or not self._operation.paged
        self._is_at_end = is_last_part
        self._reader.fill()
        if repeated:
            return []
        self._received += sum(page.received for page in pages)
        return pages

    async def _take_part(self) -> tuple[list[AnyPage[T]], bool]:
        """Return the pages of the next part, which the detector of repeats takes as one, and whether it is the last."""
        pages: list[AnyPage[T]] = []
        while (piece := await self._reader.take()) is not None:
            asked, page = piece
            pages.append(page)
            if page.total_items is not None:
                self._total = page.total_items
            if self._page_size is None:
                self._page_size = page.received or 1
                self._offset += page.received
            if not self._operation.paged:
                return pages, True
            if not page.received:
                warn_if_short(self._operation, page)
            if is_last(page, asked):
                return pages, True
            if self._reader.is_at_part_end:
                return pages, False
        return pages, not pages

    def _next_part(self) -> range | None:
        """Return the next part to read ahead, `None` if there is none now; see `PageReader.begin`."""
        if self._block is not _Block.OPEN or self._is_at_end or self._error is not None:
            return None
        offset = self._offset
        if self._page_size is None:
            # The first page is requested alone: it shows the length of the list and the size of its pages.
            return None if self._reader.is_ahead else range(offset, offset + self._reader.count)
        # A part that begins beyond the total is requested only if no page is ahead. One that begins exactly at it is
        # requested together with the last ones, because a full page does not prove the end.
        is_wanted = self._total is None or offset <= self._total or not self._reader.is_ahead
        if not is_wanted:
            return None
        self._offset += self._page_size if self._reader.is_fixed else self._reader.count
        return range(offset, self._offset)

    async def _fetch_part(self, part: range) -> tuple[tuple[int, AnyPage[T]], range]:
        """Return the first page of a part, and the rest of the part, empty at its end; see `PageReader.begin`."""
        size = len(part) if self._reader.is_fixed else min(len(part), self._reader.count)
        asked, page = await self._reader.get(part.start, size)
        is_alone = self._page_size is None  # the first page has no rest: the next part begins where it ends
        return (asked, page), range(0) if is_alone or is_last(page, asked) else part[page.received :]
