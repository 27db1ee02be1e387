"""`Changes`: the changes of a list since the last run, as an async iterator in a block."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from attrs import evolve, field, frozen

from carecloud_async._base.codec import Malformed
from carecloud_async._base.codec.pages import read_records
from carecloud_async._base.runs import Mark, Publication
from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._calls.call.call_errors import invalid_response
from carecloud_async._lists.changes.comparison import Comparison
from carecloud_async._lists.changes.pending import PendingChange, PendingChanges
from carecloud_async._lists.changes.state_file import PUBLICATION, UNFINISHED, StateFile, pending_path
from carecloud_async._lists.changes.values import Change, ChangesOptions, ChangesReport
from carecloud_async._lists.export.errors import BadExportError, disk_errors
from carecloud_async._lists.export.reading.pages import RawPageFetcher
from carecloud_async._lists.export.reading.scan import make_report, scan
from carecloud_async._lists.export.reading.seen import Rows, TemporarySeen
from carecloud_async._lists.export.reading.since import Since, parse_since, require_changes
from carecloud_async._lists.export.report import Counts
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.export.storage.remote_state import RemoteState, local_state, remote_state
from carecloud_async._lists.export.storage.writer import Writer
from carecloud_async._lists.paging.page_plan import require_int_or_auto
from carecloud_async.errors import ExportError

__all__ = ["Changes", "has_unfinished", "open_state"]

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.changes")


@frozen(kw_only=True)
class _Unfinished:
    """Changes that an earlier run returned, and that were not all taken.

    Attributes:
        mark: the part of the file of pending changes that holds them; `None` if there are none.
        counts: their numbers, by kind.
    """

    mark: Mark | None = None
    counts: Mapping[str, int] = field(factory=lambda: {"created": 0, "updated": 0, "deleted": 0})


@frozen(repr=False)
class _Files:
    """The open files of a run."""

    state: StateFile
    pending: PendingChanges


class Changes(Generic[T]):
    """The changes of a list; use it in `async with`, then iterate.

    The list is read and compared when the block begins. If the block ends with an error, or before all changes were
    taken, the next run returns them again, and then what changed since; see `pending`.

    Args:
        source: the list.
        state: the state file.
        options: see `Listing.changes`.
        opened: the state, if it is open already; the caller closes it, and stores it where it is remote.

    Raises:
        BadExportError: the list cannot be compared with these options.
    """

    def __init__(
        self,
        source: ExportSource,
        state: str | os.PathLike[str],
        options: ChangesOptions,
        *,
        opened: StateFile | None = None,
    ) -> None:
        require_int_or_auto("concurrency", options.concurrency)
        if source.offset:
            raise BadExportError("changes are those of the whole list: leave offset out")
        if options.compare_every is not None:
            require_changes(source)
        self._source = source
        self._remote = None if opened is not None else remote_state(state)
        self._path = local_state(state) if self._remote is None else self._remote.path
        self._options = options
        self._lent = opened
        self._opened: _Files | None = None
        self._report: ChangesReport | None = None
        self._forget()

    def _forget(self) -> None:
        """Begin without anything of an earlier block."""
        self._batch: list[Change[T]] = []
        self._rows: list[PendingChange] = []  # read, and not yet in the batch
        self._earlier = _Unfinished()
        self._recorded = False
        self._secured = False
        self._taken = False

    @property
    def report(self) -> ChangesReport:
        """The report, from the beginning of the block on.

        Raises:
            ExportError: the block has not begun.
        """
        if self._report is None:
            raise ExportError("the list is compared when the block begins: async with listing.changes(…) as changes")
        return self._report

    async def __aenter__(self) -> Self:
        self._forget()
        try:
            await run_in_thread(self._open)
            await self._compare()
        except BaseException:
            await run_in_thread_regardless(self._close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._opened is not None:
                if self._taken:
                    await run_in_thread(self.commit)
                else:
                    _log.warning("%s: not all changes were taken: the next run returns them again", self._source.name)
        finally:
            await run_in_thread_regardless(self._close)

    async def hand_over(self, take: Callable[[PendingChanges], None]) -> None:
        """Pass all changes to a function in a worker thread, instead of iterating."""
        await run_in_thread(lambda: take(self._files.pending))
        self._taken = True

    def commit(self, **notes: Any) -> None:
        """Commit the state: all changes are taken. Blocks.

        Args:
            **notes: values that the state keeps under these names, from the same moment on.
        """
        state = self._files.state
        for name, value in {UNFINISHED: None, **notes}.items():
            state.set(name, value)
        state.commit(store=self._lent is None)
        self._recorded = False

    def __aiter__(self) -> AsyncIterator[Change[T]]:
        return self

    async def __anext__(self) -> Change[T]:
        if not self._batch:
            await self._read_on()
        return self._batch.pop()

    async def _read_on(self) -> None:
        if not self._rows:
            await run_in_thread(self._read_rows)
        rows = self._rows
        if not rows:
            self._taken = True
            raise StopAsyncIteration
        records = iter(self._records([one.line for one in rows if one.line is not None]))
        self._batch = [
            Change(
                kind=one.kind,
                id=one.id,
                record=None if one.line is None else next(records),
                fields=one.fields,
                raw=one.line,
            )
            for one in rows
        ]
        self._batch.reverse()
        self._rows = []

    def _records(self, lines: Sequence[bytes]) -> list[T]:
        try:
            return read_records(lines, self._source.into)
        except Malformed as error:
            problem = str(error)  # raised below: the error's context would keep the records
        raise invalid_response(self._source.operation, problem)

    def _read_rows(self) -> None:
        # Stored here, not returned: if the task that waits is cancelled, the next one finds them.
        state, pending = self._files.state, self._files.pending
        if not self._secured and any(self.report.counts.values()):
            with disk_errors(self._path):
                state.set(UNFINISHED, _Unfinished(mark=pending.secure(), counts=self.report.counts))
            state.commit()
            self._recorded = True
        self._secured = True
        self._rows = pending.read()

    @property
    def _files(self) -> _Files:
        if self._opened is None:
            raise ExportError("use changes in a block: async with listing.changes(…) as changes")
        return self._opened

    def _open(self) -> None:
        lent = self._lent
        state = open_state(self._path, self._source, remote=self._remote) if lent is None else lent
        try:
            if lent is None:
                self._require_no_file(state)
            self._earlier = state.get(UNFINISHED, _Unfinished) or _Unfinished()
            self._recorded = self._earlier.mark is not None
            with disk_errors(self._path):
                pending = PendingChanges(pending_path(self._path), earlier=self._earlier.mark)
        except BaseException:
            if lent is None:
                state.close()
            raise
        self._opened = _Files(state, pending)

    def _require_no_file(self, state: StateFile) -> None:
        noted = state.get(PUBLICATION, Publication)
        if noted is not None and noted.is_waiting:
            raise ExportError(
                f"{self._path} has changes whose file did not get its name, {noted.target}: write changes to a file "
                "once more, or give this program a state of its own"
            )

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        self._batch, self._rows = [], []
        if opened is not None:
            try:
                # Before the state, whose lock keeps other runs from it.
                opened.pending.close(keep=self._recorded)
            finally:
                if self._lent is None:
                    opened.state.close()
        if self._remote is not None:
            self._remote.close()

    async def _compare(self) -> None:
        source, state, pending = self._source, self._files.state, self._files.pending
        since = await run_in_thread(lambda: self._since(state))
        comparison = await run_in_thread(lambda: Comparison(state, pending, keep=self._options.keep))
        counts = await self._read(comparison, since)
        read = make_report(source, counts, target="changes", resumed=False)
        await run_in_thread(lambda: self._finish(comparison, counts, since, read.next_changed_since))
        earlier = self._earlier.counts
        self._report = ChangesReport(
            created=earlier["created"] + comparison.created,
            updated=earlier["updated"] + comparison.updated,
            deleted=earlier["deleted"] + comparison.deleted,
            unchanged=comparison.unchanged,
            reasons=read.reasons,
            compared=since is None,
            requests=read.requests,
            retries=read.retries,
            seconds=read.seconds,
            passes=read.passes,
            list_changed=read.list_changed,
            total=read.total,
        )

    async def _read(self, comparison: Comparison, since: Since | None) -> Counts:
        """Read the list; if known records are not in it, read it once more before they count as deleted."""
        counts = await self._scan(comparison, since)
        if since is not None or not comparison.unseen:
            return counts
        self._check_shrink(comparison, counts)
        if counts.reasons:
            return counts
        again = await self._scan(comparison, None, again=True)
        counts = evolve(
            again,
            requests=counts.requests + again.requests,
            retries=counts.retries + again.retries,
            seconds=counts.seconds + again.seconds,
            passes=counts.passes + again.passes,
            list_changed=counts.list_changed or again.list_changed,
            is_total_wrong=counts.is_total_wrong or again.is_total_wrong,
            began=counts.began,
        )
        self._check_shrink(comparison, counts)
        return counts

    def _check_shrink(self, comparison: Comparison, counts: Counts) -> None:
        is_believed = not counts.reasons or counts.total == 0  # a list that became empty is not exact
        left = counts.total if counts.list_changed and not counts.is_total_wrong else None
        if is_believed and not self._options.allow_shrink:
            comparison.check_shrink(name=self._source.name, left=left)

    def _since(self, state: StateFile) -> Since | None:
        """Return the time that changes are wanted from; `None` to compare the whole list."""
        every = self._options.compare_every
        compared, mark = state.get("compared_at", float), state.get("changed_since", str)
        if every is None or compared is None or mark is None:
            return None
        age = self._source.clock.time() - compared
        # If the clock was set back, compare now.
        return parse_since(mark, self._source.project) if 0 <= age < every.total_seconds() else None

    async def _scan(self, comparison: Comparison, since: Since | None, *, again: bool = False) -> Counts:
        """Read the list once.

        Args:
            comparison: takes the records.
            since: the time that changes are wanted from; `None` for everything.
            again: whether known records are recognized, and nothing else is taken.
        """
        identify = RawPageFetcher(self._source).identify

        seen = await run_in_thread(TemporarySeen)

        def commit(pages: list[Rows], state: Checkpoint) -> None:
            lines = seen.select_lines(pages, sweep=state.sweep)
            with disk_errors(self._path):
                if again:
                    comparison.recognize(lines, identify)
                elif lines:
                    comparison.take(lines, identify, by_text=state.by_text)

        def start_over() -> None:
            seen.clear()
            with disk_errors(self._path):
                if not again:
                    comparison.restart()

        async def restart() -> None:
            await run_in_thread(start_over)

        try:
            return await self._scan_into(commit, restart, seen, since, comparison)
        finally:
            await run_in_thread_regardless(seen.close)

    async def _scan_into(self, commit: Any, restart: Any, seen: TemporarySeen, since: Any, comparison: Any) -> Counts:
        source, options = self._source, self._options
        async with BackgroundTasks() as tasks:
            return await scan(
                source,
                Checkpoint(),
                since=since,
                concurrency=options.concurrency,
                on_progress=options.on_progress,
                # A comparison of the whole list has its own bound (`check_shrink`).
                expects_records=since is not None and not options.allow_shrink and comparison.known > 0,
                writer=Writer(commit, tasks=tasks, clock=source.clock),
                seen=lambda: seen,
                restart=restart,
            )

    def _finish(self, comparison: Comparison, counts: Counts, since: Since | None, mark: datetime | None) -> None:
        state = self._files.state
        with disk_errors(self._path):
            if not counts.reasons and since is None:
                comparison.find_deleted()
                state.set("compared_at", self._source.clock.time())
            if not counts.reasons:
                state.set("changed_since", None if mark is None else mark.astimezone(UTC).isoformat())
            comparison.finish()
            self._files.pending.rewind()


def open_state(path: Path, source: ExportSource, *, remote: RemoteState | None) -> StateFile:
    """Open the state of a list, after fetching a remote one. Blocks.

    Raises:
        ExportError: it belongs to another list or identity, is damaged or in use, or cannot be read.
    """
    if remote is not None:
        with disk_errors(path):
            remote.fetch()
    return StateFile(path, source.fingerprints(), remote=remote)


def has_unfinished(state: StateFile) -> bool:
    """Return whether a state has changes that were returned and not all taken."""
    return state.get(UNFINISHED, _Unfinished) is not None
