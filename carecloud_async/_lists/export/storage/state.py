"""The state file of a nightly job: what the next export must know of the last complete one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from attrs import frozen

from carecloud_async._base.runs import RunFile, RunKind
from carecloud_async._lists.export.errors import BadExportError
from carecloud_async.errors import ExportError
from carecloud_async.fixes import DELETE, ROOM

__all__ = ["LastRun", "open_state", "read_last", "write_last"]

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


def open_state(path: Path, fingerprints: Mapping[str, str], *, shown: str | None = None) -> RunFile:
    """Open the state of a nightly job, or begin one; no other export uses it until it is closed.

    Args:
        path: the state file.
        fingerprints: digests of the list that is exported.
        shown: what messages call it; its path if left out.

    Raises:
        ExportError: the file is in use, cannot be read, is damaged, or belongs to another list, or its folder cannot be
            written.
    """
    folder = path.parent
    if not folder.is_dir():
        raise BadExportError(f"{path}: there is no folder {folder}: make it first, or choose another place")
    if not os.access(folder, os.W_OK):
        raise BadExportError(f"{path}: you may not write in {folder}: choose another place")
    state = RunFile.open(path, kind=_KIND, binding=fingerprints, resume=True, shown=shown)
    if not state.continues:
        state.begin()
    return state


def read_last(state: RunFile) -> LastRun:
    """Return what is known of the last complete export."""
    return state.get(_LAST, LastRun) or LastRun()


def write_last(state: RunFile, last: LastRun) -> None:
    """Store what the next export must know.

    Raises:
        ExportError: the disk refuses; what was stored before still holds.
    """
    with state.transaction():
        state.set(_LAST, last)
