"""The state file of a nightly job: what the next export must know of the last complete one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from attrs import field, frozen

from carecloud_async.errors import ExportError
from carecloud_async.export.errors import BadExportError, disk_error
from carecloud_async.export.source import foreign
from carecloud_async.export.storage.checkpoint import read_durable, write_durably

__all__ = ["LastRun", "read_state", "write_state"]


@frozen(kw_only=True)
class LastRun:
    """The last complete export.

    Attributes:
        fingerprints: digests of the list that it exported.
        changed_since: the time to begin from.
        timeless: the records without a readable `last_change`; see `TimelessRecords`.
    """

    fingerprints: Mapping[str, str] = field(factory=dict)
    changed_since: datetime | None = None
    timeless: Sequence[str] = ()


def read_state(path: Path, fingerprints: Mapping[str, str]) -> LastRun | None:
    """Read a state; `None` if there is none yet and its folder can be written.

    Args:
        path: the state file.
        fingerprints: digests of the list that is exported.

    Raises:
        ExportError: the file cannot be read, is damaged, or belongs to another list, or its folder cannot be written.
    """
    folder = path.parent
    if not folder.is_dir():
        raise BadExportError(f"{path}: there is no folder {folder}: make it first, or choose another place")
    if not os.access(folder, os.W_OK):
        raise BadExportError(f"{path}: you may not write in {folder}: choose another place")
    try:
        state = read_durable(path, LastRun)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(path, error) from error
    except ValueError:
        raise ExportError(f"{path} is not a state file of an export: delete it to export everything again") from None
    problem = foreign(state.fingerprints, fingerprints, kind="export", own="a state file")
    if problem is not None:
        raise ExportError(f"{path} {problem}")
    return state


def write_state(path: Path, last: LastRun) -> None:
    """Write a state, so that a crash leaves the old one or the new one.

    Raises:
        OSError: it cannot be written.
    """
    write_durably(path, last)
