"""`Writer`: commits what pages show in a worker thread, while the next pages arrive."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.threads import (
    run_in_thread,
    run_in_thread_regardless,
    run_in_thread_until_stopped,
)
from carecloud_async._lists.export.reading.pages import RawPage
from carecloud_async._lists.export.reading.seen import Seen
from carecloud_async._lists.export.storage.checkpoint import Checkpoint

__all__ = ["RecordWriter", "Writer"]

#: With this many pages or records waiting, a commit begins at once. A kill loses those that wait.
_PAGES, _RECORDS = 4, 4000


class RecordWriter(Protocol):
    """Takes what the pages of a scan show, in their order."""

    @property
    def seen(self) -> Seen:
        """The ids of the records that were written."""
        ...

    async def put(self, rows: RawPage, checkpoint: Checkpoint, /) -> None:
        """Take a page; waits while the consumer is slower."""
        ...

    async def drain(self) -> None:
        """Wait until everything taken is written or delivered."""
        ...

    async def restart(self) -> None:
        """Drop everything that was written; everything taken is. Raises if it cannot be taken back."""
        ...


class Writer(ABC):
    """Commits pages in their order, several at a time if they arrive faster than the disk can write them.

    Args:
        clock: measures the interval.

    Attributes:
        seen: the ids of the records that were committed.
        interval: the least seconds between two commits, while only a few pages wait.
        stop: ends a commit that blocks forever (a pipe without a reader); called when the commit is cancelled. Without
            it, a commit is awaited even if it is cancelled.
    """

    interval = 0.05  # a commit computes for a millisecond and waits for the disk twice
    stop: Callable[[], None] | None = None

    def __init__(self, clock: Clock) -> None:
        self.seen: Seen = Seen()
        self._clock = clock
        self._not_before = clock.monotonic()
        self._pages: list[RawPage] = []
        self._checkpoint: Checkpoint
        self._has_failed = False

    @abstractmethod
    def commit(self, pages: Sequence[RawPage], checkpoint: Checkpoint) -> None:
        """Write the records of pages that were not shown before, and the checkpoint that includes them. Blocks."""

    @abstractmethod
    def clear(self) -> None:
        """Drop everything that was committed: the list must be read with another strategy. Blocks."""

    async def put(self, page: RawPage, checkpoint: Checkpoint) -> None:
        """Take a page, and commit those that wait if it is time to.

        Args:
            page: the page.
            checkpoint: the checkpoint to commit with them.

        Raises:
            Exception: what the commit raised.
        """
        self._pages.append(page)
        self._checkpoint = checkpoint
        are_many = len(self._pages) >= _PAGES or sum(map(len, self._pages)) >= _RECORDS
        if are_many or self._clock.monotonic() >= self._not_before:
            await self.drain()

    async def drain(self) -> None:
        """Commit the pages that wait.

        Raises:
            Exception: what the commit raised.
        """
        if not self._pages:
            return
        pages, self._pages = self._pages, []
        self._has_failed = True

        def work() -> None:
            self.commit(pages, self._checkpoint)
            self._not_before = self._clock.monotonic() + self.interval
            self._has_failed = False

        if self.stop is not None:
            await run_in_thread_until_stopped(work, stop=self.stop)
        else:
            # In any case: later pages must never be committed without these.
            await run_in_thread_regardless(work)

    async def restart(self) -> None:
        """See `RecordWriter.restart`."""
        await run_in_thread(self.clear)

    async def leave(self) -> None:
        """Commit the pages that wait if the disk allows it; for an export that has failed or was cancelled."""
        if not self._has_failed:
            with contextlib.suppress(Exception):
                await self.drain()
