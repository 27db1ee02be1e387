"""The state file of a nightly job: the mark of the last complete export."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from attrs import field, frozen

from carecloud_async.errors import ExportError
from carecloud_async.export.errors import BadExportError, disk_error
from carecloud_async.export.source import foreign
from carecloud_async.export.storage.checkpoint import read_durable, write_durably

__all__ = ["read_state", "write_state"]


@frozen(kw_only=True)
class _State:
    fingerprints: dict[str, str] = field(factory=dict)
    changed_since: datetime


def read_state(path: Path, fingerprints: Mapping[str, str]) -> datetime | None:
    """Read the time to begin from; `None` if there is no state yet and its folder can be written.

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
        state = read_durable(path, _State)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(path, error) from error
    except ValueError:
        raise ExportError(f"{path} is not a state file of an export: delete it to export everything again") from None
    problem = foreign(state.fingerprints, fingerprints, kind="export", own="a state file")
    if problem is not None:
        raise ExportError(f"{path} {problem}")
    return state.changed_since


def write_state(path: Path, fingerprints: Mapping[str, str], changed_since: datetime) -> None:
    """Write the time that the next export begins from, so that a crash leaves the old state or the new one.

    Raises:
        OSError: it cannot be written.
    """
    write_durably(path, _State(fingerprints=dict(fingerprints), changed_since=changed_since))
