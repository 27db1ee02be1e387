"""`Changes`: the changes of a list since the last run, as an async iterator in a block."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, Self, TypeVar

from attrs import evolve

from carecloud_async._base.codec import Malformed
from carecloud_async._base.codec.pages import read_records
from carecloud_async._base.runs import Publication
from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._calls.call.call_errors import invalid_response
from carecloud_async._lists.changes.comparison import Comparison
from carecloud_async._lists.changes.state_file import PUBLICATION, PendingChange, StateFile
from carecloud_async._lists.changes.values import Change, ChangesOptions, ChangesReport
from carecloud_async._lists.export.errors import BadExportError, disk_errors
from carecloud_async._lists.export.reading.pages import RawPageFetcher
from carecloud_async._lists.export.reading.scan import make_report, scan
from carecloud_async._lists.export.reading.seen import Rows
from carecloud_async._lists.export.reading.since import Since, parse_since, require_changes
from carecloud_async._lists.export.report import Counts
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.export.storage.remote_state import RemoteState, local_state, remote_state
from carecloud_async._lists.export.storage.writer import Writer
from carecloud_async._lists.paging.page_plan import require_int_or_auto
from carecloud_async.errors import ExportError
from carecloud_async.fixes import Fix

if TYPE_CHECKING:
    from carecloud_async._lists.export.formats.sinks import CsvOptions

__all__ = ["Changes", "open_state"]

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.changes")


class Changes(Generic[T]):
    """The changes of a list; use it in `async with`, then iterate.

    The list is read and compared when the block begins. If the block ends with an error, or before all changes were
    taken, the next run returns them again, and then what changed since. `to_file` writes them to a file instead.

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
        self._source, self._state_place = source, state
        self._remote = None if opened is not None else remote_state(state)
        self._path = local_state(state) if self._remote is None else self._remote.path
        self._options = options
        self._lent = opened
        self._opened: StateFile | None = None
        self._report: ChangesReport | None = None
        self._forget()

    def _forget(self) -> None:
        """Begin without anything of an earlier block."""
        self._batch: list[Change[T]] = []
        self._rows: list[PendingChange] = []  # read, and not yet in the batch
        self._pending: Iterator[list[PendingChange]] | None = None
        self._is_taken = False

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
            if kind is None and self._opened is not None and self._lent is None:
                if self._is_taken:
                    await run_in_thread(lambda: self._state.commit(taken=True))
                else:
                    _log.warning("%s: not all changes were taken: the next run returns them again", self._source.name)
        finally:
            await run_in_thread_regardless(self._close)

    async def to_file(
        self,
        target: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        format: str | None = None,  # noqa: A002  (as users call it)
        columns: Literal["model", "found"] = "model",
        timestamps: Literal["utc", "project"] = "utc",
        csv: CsvOptions | None = None,
    ) -> ChangesReport:
        """Write the changes to a file, which appears whole; the state moves together with it. It needs no block.

        Lines of JSON have `change`, `id` and `record`; tables have a first column `_change`. After a run that was
        killed, the next one returns the report of its file, and reads nothing: no change is lost or written twice.

        Args:
            target: a path whose suffix names the format: `.jsonl`, `.csv`, `.parquet`; `.jsonl.gz`, `.csv.zst` …
            overwrite: replace the target if it exists.
            format: as for `Listing.export`.
            columns: as for `Listing.export`.
            timestamps: as for `Listing.export`.
            csv: as for `Listing.export`.

        Raises:
            ExportError: it cannot start or continue; the state and the target are unchanged.
            CareCloudError: the server cannot be read.
        """
        from carecloud_async._lists.changes.file import ChangesFileOptions, write_changes  # few programs write files
        from carecloud_async._lists.export.formats.sinks import CsvOptions

        options = ChangesFileOptions(
            overwrite=overwrite, format=format, columns=columns, timestamps=timestamps, csv=csv or CsvOptions()
        )
        return await write_changes(self._source, target, self._state_place, self._options, options)

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
            self._is_taken = True
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
        state = self._state
        if self._pending is None:
            if any(self.report.counts.values()):
                state.commit()
            self._pending = state.pending()
        # Stored here, not returned: if the task that waits is cancelled, the next one finds them.
        self._rows = next(self._pending, [])

    @property
    def _state(self) -> StateFile:
        if self._opened is None:
            raise ExportError("use changes in a block: async with listing.changes(…) as changes")
        return self._opened

    def _open(self) -> None:
        self._opened = self._lent or open_state(self._path, self._source, remote=self._remote)
        if self._lent is None:
            self._require_no_file(self._opened)

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
        if opened is not None and self._lent is None:
            opened.close()
        if self._remote is not None:
            self._remote.close()

    async def _compare(self) -> None:
        source, state = self._source, self._state
        identify = RawPageFetcher(source).identify
        since = await run_in_thread(lambda: self._since(state))
        comparison = await run_in_thread(lambda: Comparison(state, keep=self._options.keep, identify=identify))
        counts = await self._read(comparison, since)
        read = make_report(source, counts, target="changes", resumed=False)
        await run_in_thread(lambda: self._finish(comparison, counts, since, read.next_changed_since))
        changed = comparison.earlier + comparison.counts
        self._report = ChangesReport(
            created=changed["created"],
            updated=changed["updated"],
            deleted=changed["deleted"],
            unchanged=changed["unchanged"],
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
        if since is not None:
            return counts
        with disk_errors(self._path):
            await run_in_thread(comparison.find_gone)
        if not await self._check_shrink(comparison, counts) or counts.reasons:
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
        await self._check_shrink(comparison, counts)
        return counts

    async def _check_shrink(self, comparison: Comparison, counts: Counts) -> int:
        """Return how many known records were not shown; raise if they are more than half of the list."""
        unseen = await run_in_thread(lambda: comparison.unseen)
        is_believed = not counts.reasons or counts.total == 0  # a list that became empty is not exact
        if not unseen or not is_believed or self._options.allow_shrink:
            return unseen
        known = comparison.known
        # A right that is taken away while the list is read hides only its end: its total shows that.
        has_left = counts.list_changed and not counts.is_total_wrong and counts.total is not None
        gone = max(unseen, known - (counts.total or 0)) if has_left else unseen
        if 2 * gone > known:
            raise ExportError(
                f"{self._source.name}: {gone:,} of {known:,} records are gone, more than half; a filter, a right of "
                "this user or the server may be at fault, so the state is unchanged",
                fix=Fix("if they were really deleted, pass {allow_shrink}"),
            )
        return unseen

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
        source, options, seen = self._source, self._options, comparison.seen
        take = comparison.recognize if again else comparison.take

        def commit(pages: list[Rows], state: Checkpoint) -> None:
            with disk_errors(self._path):
                if rows := seen.select(pages, sweep=state.sweep):
                    take(rows, by_text=state.by_text)

        async with BackgroundTasks() as tasks:
            return await scan(
                source,
                Checkpoint(),
                since=since,
                concurrency=options.concurrency,
                on_progress=options.on_progress,
                # A comparison of the whole list has its own bound (`_check_shrink`).
                expects_records=since is not None and not options.allow_shrink and comparison.known > 0,
                writer=Writer(commit, tasks=tasks, clock=source.clock),
                seen=lambda: seen,
                restart=partial(run_in_thread, seen.clear if again else comparison.restart),
            )

    def _finish(self, comparison: Comparison, counts: Counts, since: Since | None, mark: datetime | None) -> None:
        state = self._state
        with disk_errors(self._path):
            if not counts.reasons and since is None:
                comparison.delete_gone()
                state.set("compared_at", self._source.clock.time())
            if not counts.reasons:
                state.set("changed_since", None if mark is None else mark.astimezone(UTC).isoformat())


def open_state(path: Path, source: ExportSource, *, remote: RemoteState | None) -> StateFile:
    """Open the state of a list, after fetching a remote one. Blocks.

    Raises:
        ExportError: it belongs to another list or identity, is damaged or in use, or cannot be read.
    """
    if remote is not None:
        with disk_errors(path):
            remote.fetch()
    return StateFile(path, source.fingerprints(), remote=remote)
