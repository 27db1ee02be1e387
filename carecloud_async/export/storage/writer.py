"""The writer: commits in a worker thread what the reader brings; a reader that is ahead of the disk waits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import anyio
import anyio.to_thread

from carecloud_async.errors import ExportError
from carecloud_async.runtime.background_tasks import BackgroundTasks
from carecloud_async.runtime.clock import Clock

__all__ = ["RecordWriter", "Writer"]

State = TypeVar("State")
State_contra = TypeVar("State_contra", contravariant=True)

#: How many pages may wait while others are being committed: a kill costs them. More where a commit takes its time
#: (seconds), so that it is worth it.
_WAITING = 1
_WAITING_FOR_SLOW = 4
_SLOW = 0.02


class RecordWriter(Protocol[State_contra]):
    """Takes the records of a scan in their order."""

    async def put(self, lines: list[bytes], state: State_contra, /) -> None:
        """Take a page; waits while the other side is behind."""
        ...

    async def drain(self) -> None:
        """Wait until everything taken is where it belongs."""
        ...


class Writer(Generic[State]):
    """Commits pages in their order, several at a time where the disk is the slower side.

    Args:
        commit: writes records and the state that includes them; blocks.
        tasks: where the work runs.
        clock: the clock.
        abort: whether a commit that blocks for good (a pipe that nobody reads) is left alone when cancelled.
    """

    def __init__(
        self, commit: Callable[[list[bytes], State], None], *, tasks: BackgroundTasks, clock: Clock, abort: bool = False
    ) -> None:
        self._commit = commit
        self._abandon = abort
        self._clock = clock
        self._most = _WAITING
        self._lines: list[bytes] = []
        self._state: State | None = None
        self._pages = 0
        self._busy = False
        self._error: Exception | None = None
        self._changed = anyio.Event()
        self._tasks = tasks

    async def put(self, lines: list[bytes], state: State) -> None:
        """Hand over a page; waits while the disk is behind.

        Args:
            lines: its records.
            state: what holds once they are written.

        Raises:
            Exception: what an earlier commit raised.
        """
        while self._pages >= self._most and self._error is None:
            await self._changed.wait()
        self._check()
        self._lines += lines
        self._state = state
        self._pages += 1
        if not self._busy:
            self._busy = True
            self._tasks.start(self._work)

    async def drain(self) -> None:
        """Wait until everything is committed.

        Raises:
            Exception: what a commit raised.
        """
        while self._busy and self._error is None:
            await self._changed.wait()
        self._check()

    async def leave(self) -> None:
        """Commit what still waits, as far as the disk lets it; for an export that has failed or was cancelled."""
        with contextlib.suppress(Exception):
            await self.drain()
            # The task that worked may have been cancelled together with everything else.
            if self._pages and self._state is not None:
                lines, self._lines, self._pages = self._lines, [], 0
                await anyio.to_thread.run_sync(self._commit, lines, self._state)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    async def _work(self) -> None:
        try:
            while self._pages and self._error is None and (state := self._state) is not None:
                lines, self._lines, self._pages = self._lines, [], 0
                self._tell()
                began = self._clock.monotonic()
                # Shielded from its very beginning: later pages must never be committed without these.
                with anyio.CancelScope(shield=not self._abandon):
                    await anyio.to_thread.run_sync(self._commit, lines, state, abandon_on_cancel=self._abandon)
                slow = self._clock.monotonic() - began > _SLOW
                self._most = _WAITING_FOR_SLOW if slow else _WAITING
        except Exception as error:  # noqa: BLE001  (handed to the reader, who raises it)
            self._error = error
        except BaseException:
            # Nobody knows how far it came: nothing may be written behind it.
            self._error = ExportError("the writing was stopped")
            raise
        finally:
            self._busy = False
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
