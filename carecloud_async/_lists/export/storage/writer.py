"""The writer: commits pages in a worker thread; the reader waits while the disk is slower."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

import anyio

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._base.runtime.threads import (
    run_in_thread,
    run_in_thread_regardless,
    run_in_thread_until_stopped,
)
from carecloud_async._lists.export.reading.pages import RawPage
from carecloud_async._lists.export.reading.seen import Seen
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async.errors import ExportError

__all__ = ["RecordWriter", "Writer"]

#: How many pages may wait for a commit, besides those being committed: a kill loses both.
_WAITING = 4
#: With this many records waiting, a commit starts at once.
_ENOUGH = 4000
#: Seconds between two smaller commits: each computes for a millisecond and waits for the disk twice.
INTERVAL = 0.05


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


class Writer:
    """Commits pages in their order, several at a time if they arrive faster than the disk can write them.

    Args:
        commit: writes what pages show, and the checkpoint that includes it; blocks.
        restart: see `RecordWriter.restart`; blocks.
        seen: returns the ids that were committed.
        tasks: where the work runs.
        clock: measures the interval.
        interval: the least seconds between the beginnings of two commits, while only a few pages wait.
        stop: ends a commit that blocks forever (a pipe without a reader); called when the commit is cancelled. Without
            it, a commit is awaited even if it is cancelled.
    """

    def __init__(
        self,
        commit: Callable[[list[RawPage], Checkpoint], None],
        *,
        restart: Callable[[], None],
        seen: Callable[[], Seen],
        tasks: BackgroundTasks,
        clock: Clock,
        interval: float = INTERVAL,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self._commit = commit
        self._restart = restart
        self._seen = seen
        self._tasks = tasks
        self._clock = clock
        self._interval = interval
        self._stop = stop
        self._not_before = clock.monotonic()
        self._pages: list[RawPage] = []
        self._checkpoint: Checkpoint
        self._busy = False
        self._draining = False
        self._error: Exception | None = None
        self._changed = anyio.Event()

    @property
    def seen(self) -> Seen:
        """See `RecordWriter.seen`."""
        return self._seen()

    async def put(self, rows: RawPage, checkpoint: Checkpoint) -> None:
        """Hand over a page; waits while the disk is slower.

        Args:
            rows: its records.
            checkpoint: the checkpoint to commit with them.

        Raises:
            Exception: what an earlier commit raised.
        """
        while len(self._pages) >= _WAITING and self._error is None:
            await self._changed.wait()
        if self._error is not None:
            raise self._error
        self._pages.append(rows)
        self._checkpoint = checkpoint
        self._begin_if_due()

    async def drain(self) -> None:
        """Wait until everything is committed.

        Raises:
            Exception: what a commit raised.
        """
        self._draining = True
        try:
            self._begin_if_due()
            while self._busy and self._error is None:
                await self._changed.wait()
        finally:
            self._draining = False
        if self._error is not None:
            raise self._error

    async def restart(self) -> None:
        """See `RecordWriter.restart`."""
        await run_in_thread(self._restart)

    async def leave(self) -> None:
        """Commit the waiting pages if the disk allows it; for an export that has failed or was cancelled.

        The tasks have ended: the commit under way is done, or its failure is known.
        """
        if self._error is None and self._pages:
            commit = self._next_commit()
            with contextlib.suppress(Exception):
                await run_in_thread_regardless(commit)

    @property
    def _is_due(self) -> bool:
        """Whether a commit should begin."""
        if not self._pages or self._error is not None:
            return False
        is_enough = len(self._pages) >= _WAITING or sum(map(len, self._pages)) >= _ENOUGH
        return is_enough or self._draining or self._clock.monotonic() >= self._not_before

    def _begin_if_due(self) -> None:
        if not self._busy and self._is_due:
            self._busy = True
            self._tasks.start(self._work)

    async def _work(self) -> None:
        try:
            while self._is_due:
                commit = self._next_commit()
                self._notify()
                self._not_before = self._clock.monotonic() + self._interval
                await self._run(commit)
        finally:
            self._busy = False
            self._notify()

    def _next_commit(self) -> Callable[[], None]:
        """Return the commit of the waiting pages, which no longer wait."""
        pages, checkpoint = self._pages, self._checkpoint
        self._pages = []
        return lambda: self._commit(pages, checkpoint)

    async def _run(self, commit: Callable[[], None]) -> None:
        committed = False

        def work() -> None:
            nonlocal committed
            commit()
            committed = True

        try:
            if self._stop is not None:
                await run_in_thread_until_stopped(work, stop=self._stop)
            else:
                # In any case: later pages must never be committed without these.
                await run_in_thread_regardless(work)
        except Exception as error:  # noqa: BLE001  (raised by the reader)
            self._error = error
        except BaseException:
            if not committed:  # how much it has written is unknown: nothing may be written after it
                self._error = ExportError("the writing was stopped")
            raise

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
