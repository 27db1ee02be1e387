"""One run of changes: it opens the state, reads the list, and compares both."""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path
from typing import Any

from attrs import evolve

from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async._lists.changes.comparison import Comparison
from carecloud_async._lists.changes.state_file import StateFile
from carecloud_async._lists.changes.values import ChangesOptions, ChangesReport
from carecloud_async._lists.export.errors import BadExportError, disk_errors
from carecloud_async._lists.export.reading.scan import Scan
from carecloud_async._lists.export.reading.since import Since, parse_since, require_changes
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.export.storage.remote_state import state_place
from carecloud_async._lists.paging.auto import require_int_or_auto
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async.errors import ExportError
from carecloud_async.fixes import Fix

__all__ = ["ChangesRun"]


class ChangesRun:
    """Compares a list with a state, and leaves what differs in the state's open transaction.

    Args:
        source: the list.
        state: the state file.
        options: see `Listing.changes`.

    Raises:
        BadExportError: the list cannot be compared with these options.

    Attributes:
        source: the list.
        path: the state file of this machine.
        is_remote: whether the state lives in a storage service.
    """

    def __init__(self, source: ListSource[Any], state: str | os.PathLike[str], options: ChangesOptions) -> None:
        require_int_or_auto("concurrency", options.concurrency)
        if source.offset:
            raise BadExportError("changes are those of the whole list: leave offset out")
        if options.compare_every is not None:
            require_changes(source)
        self.source: ListSource[Any] = source
        self._place = state_place(state)
        self.path: Path = self._place.path
        self.is_remote: bool = self._place.is_remote
        self._options = options
        self._opened: StateFile | None = None
        self._report: ChangesReport | None = None

    def allow_shrink(self) -> None:
        """Accept that more than half of the records are gone."""
        self._options = evolve(self._options, allow_shrink=True)

    @property
    def state(self) -> StateFile:
        """The open state.

        Raises:
            ExportError: it is not open.
        """
        if self._opened is None:
            raise ExportError("use changes in a block: async with listing.changes(…) as changes")
        return self._opened

    @property
    def report(self) -> ChangesReport:
        """The report of the last comparison.

        Raises:
            ExportError: there was none.
        """
        if self._report is None:
            raise ExportError("the list is compared when the block begins: async with listing.changes(…) as changes")
        return self._report

    def open(self) -> None:
        """Open the state, after fetching a remote one. Blocks.

        Raises:
            ExportError: it belongs to another list or identity, is damaged or in use, or cannot be read.
        """
        with disk_errors(self.path):
            self._place.fetch()
        self._opened = StateFile(self._place, self.source.fingerprints())

    def close(self) -> None:
        """Close the state; what was not committed is dropped. Blocks."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
        self._place.close()

    async def compare(self) -> None:
        """Read the list, and compare it with the open state.

        Raises:
            ExportError: more than half of the list is gone.
            CareCloudError: the server cannot be read.
        """
        source, state = self.source, self.state
        options = self._options
        since = await run_in_thread(lambda: self._since(state))
        comparison = await run_in_thread(lambda: Comparison(state, source, keep=options.keep))
        read = await Scan(
            source,
            comparison,
            Checkpoint(report=ExportReport(target="changes")),
            since=since,
            concurrency=options.concurrency,
            on_progress=options.on_progress,
            # A comparison of the whole list has its own bound (`_check_shrink`).
            expects_records=since is not None and not options.allow_shrink and comparison.known > 0,
        ).run()
        if since is None:
            await run_in_thread(lambda: self._check_shrink(comparison, read))
        await run_in_thread(lambda: self._finish(comparison, read, since))
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

    def _check_shrink(self, comparison: Comparison, read: ExportReport) -> None:
        """Raise if a reading of the whole list did not show more than half of the known records."""
        with disk_errors(self.path):
            gone = comparison.find_gone()
        is_believed = not read.reasons or read.total == 0  # a list that became empty is not exact
        if not gone or not is_believed or self._options.allow_shrink:
            return
        known = comparison.known
        # A right that is taken away while the list is read hides only its end: its total shows that.
        if read.list_changed and read.total is not None:
            gone = max(gone, known - read.total)
        if 2 * gone > known:
            raise ExportError(
                f"{self.source.name}: {gone:,} of {known:,} records are gone, more than half; a filter, a right of "
                "this user or the server may be at fault, so the state is unchanged",
                fix=Fix("if they were really deleted, pass {allow_shrink}"),
            )

    def _since(self, state: StateFile) -> Since | None:
        """Return the time that changes are wanted from; `None` to compare the whole list."""
        every = self._options.compare_every
        compared, since = state.get("compared_at", float), state.get("changed_since", str)
        if every is None or compared is None or since is None:
            return None
        age = self.source.clock.time() - compared
        # If the clock was set back, compare now.
        return parse_since(since, self.source.project) if 0 <= age < every.total_seconds() else None

    def _finish(self, comparison: Comparison, read: ExportReport, since: Since | None) -> None:
        state = self.state
        with disk_errors(self.path):
            if not read.reasons and since is None:
                comparison.delete_gone()
                state.set("compared_at", self.source.clock.time())
            if not read.reasons:
                following = read.next_changed_since
                state.set("changed_since", None if following is None else following.astimezone(UTC).isoformat())
