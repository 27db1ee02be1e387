"""`NightlyState`: the state of a nightly export, from which the next one knows when this one began."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from carecloud_async._base.runs import RunFile, RunKind
from carecloud_async._lists.export.errors import BadExportError
from carecloud_async._lists.export.reading.since import require_changes
from carecloud_async._lists.export.storage.export_file import Ended
from carecloud_async._lists.export.storage.remote_state import state_place
from carecloud_async._lists.export.storage.target import Target
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async.errors import ExportError
from carecloud_async.fixes import DELETE, ROOM

__all__ = ["LastRun", "NightlyState"]

_KIND: Final = RunKind(
    name="nightly export",
    file="a state file of an export",
    each="list",
    own="a state file",
    version=1,
    tables=(),
    error=ExportError,
    begin_again=DELETE,
    full=ROOM,
)
_LAST = "last"


@frozen(kw_only=True)
class LastRun:
    """The last complete export.

    Attributes:
        changed_since: the time to begin from; `None` before the first one.
        timeless: the records without a readable `last_change`; see `TimelessRecords`.
        has_records: whether the list had records.
        began_from: the time from which it began; `None` if it had everything.
    """

    changed_since: datetime | None = None
    timeless: Sequence[str] = ()
    has_records: bool = False
    began_from: datetime | None = None

    def following(self, ended: Ended) -> LastRun | None:
        """Return what the run after the one that ended must know; `None` if the watermark must not move."""
        report = ended.report
        if not report.exact or report.next_changed_since is None:
            return None
        has_records = bool(report.total if report.total is not None else report.records or self.has_records)
        return LastRun(
            changed_since=report.next_changed_since,
            timeless=ended.timeless,
            has_records=has_records,
            began_from=self.changed_since,
        )


class NightlyState:
    """The state of a nightly export; no other export uses it while it is open. Everything blocks.

    Args:
        given: a path, or the URL of an object in a storage service.
        source: the list that is exported.

    Raises:
        BadExportError: the list cannot be read by change.

    Attributes:
        is_remote: whether it lives in a storage service.
    """

    def __init__(self, given: str | os.PathLike[str], source: ListSource[Any]) -> None:
        require_changes(source)
        self._place = state_place(given)
        self._source = source
        self._run: RunFile | None = None
        self.is_remote: bool = self._place.is_remote

    def open(self, target: Target) -> None:
        """Open the state, or begin one.

        Args:
            target: the target of the export.

        Raises:
            ExportError: the file is in use, cannot be read, is damaged, or belongs to another list, its folder cannot
                be written, or it is the target itself.
        """
        self._place.fetch()
        path, shown = self._place.path, self._place.shown
        folder = path.parent
        if target.is_file(path):
            raise BadExportError(f"the target and state are the same file, {path}: give each a file of its own")
        if not folder.is_dir():
            raise BadExportError(f"{path}: there is no folder {folder}: make it first, or choose another place")
        if not os.access(folder, os.W_OK):
            raise BadExportError(f"{path}: you may not write in {folder}: choose another place")
        self._run = run = RunFile.open(path, kind=_KIND, binding=self._source.fingerprints(), resume=True, shown=shown)
        if not run.continues:
            run.begin()

    @property
    def _opened(self) -> RunFile:
        assert self._run is not None, "open comes first"  # noqa: S101
        return self._run

    @property
    def last(self) -> LastRun:
        """What is known of the last complete export."""
        return self._opened.get(_LAST, LastRun) or LastRun()

    def store(self, last: LastRun) -> None:
        """Store what the next export must know.

        Raises:
            ExportError: the disk or the storage refuses; what was stored before still holds.
        """
        run = self._opened
        with run.transaction():
            run.set(_LAST, last)
        self._place.store(run.db)

    def close(self) -> None:
        """Close it, and remove the copy of one that lives in a storage service."""
        try:
            if self._run is not None:
                self._run.close()
        finally:
            self._place.close()
