"""The changes of a run on their way to the user: a private file, which stays until the user has taken all of them.

If a run is killed after the user took a change, the next run must return that change again, even if the server has
undone it: otherwise a record that was created and deleted meanwhile would stay in the user's copy forever. So the file
is made durable and recorded in the state before the first change is returned. The next run returns the same changes,
then its own.
"""

from __future__ import annotations

import contextlib
import os
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from carecloud_async.changes.values import Kind
from carecloud_async.errors import ExportError
from carecloud_async.runtime.durable_files import create_private, open_private, sync_folder

__all__ = ["PendingChange", "PendingChanges"]

#: Changes that are read at a time.
_BATCH = 500


class PendingChange(NamedTuple):
    """One change: see `Change`.

    Attributes:
        kind, id, fields: as there.
        line: the record as one line of JSON; `None` of a deleted one.
    """

    kind: Kind
    id: str
    fields: tuple[str, ...]
    line: bytes | None


class PendingChanges:
    """Changes in the order in which they were found. Everything blocks; one thread at a time.

    Args:
        path: the file: it holds personal data and may grow as large as the list.
        size: its size as an earlier run recorded it; `None` for a new file.

    Raises:
        ExportError: the recorded file is missing or too short.
        OSError: the disk refuses.
    """

    def __init__(self, path: Path, *, size: int | None = None) -> None:
        self._path = path
        self._begin = size or 0
        try:
            self._file = create_private(path) if size is None else open_private(path)
        except FileNotFoundError:
            raise _gone(path) from None
        if os.fstat(self._file.fileno()).st_size < self._begin:
            self._file.close()
            raise _gone(path)
        self.clear()

    def add(self, kind: Kind, record_id: str, line: bytes | None, fields: tuple[str, ...] = ()) -> None:
        """Add a change; `line` is `None` for a deleted record."""
        self._file.write(msgspec.json.encode((kind, record_id, fields)))
        self._file.write(b"\n" + (line or b"") + b"\n")

    def clear(self) -> None:
        """Drop what this run added."""
        self._file.seek(self._begin)
        self._file.truncate()

    def secure(self) -> int:
        """Make the file durable; return its size."""
        self._file.flush()
        os.fsync(self._file.fileno())
        sync_folder(self._path.absolute().parent)
        return os.fstat(self._file.fileno()).st_size

    def rewind(self) -> None:
        """Begin to read."""
        self._file.flush()
        self._file.seek(0)

    def read(self) -> list[PendingChange]:
        """Return the next changes; an empty list at the end."""
        changes = []
        for head in islice(iter(self._file.readline, b""), _BATCH):
            kind, record_id, fields = msgspec.json.decode(head)
            changes.append(PendingChange(kind, record_id, tuple(fields), self._file.readline()[:-1] or None))
        return changes

    def close(self, *, keep: bool) -> None:
        """Close the file.

        Args:
            keep: whether the state has a record of it; otherwise it is removed.
        """
        # What a full disk did not take is no loss: `secure` has written what the state records.
        with contextlib.suppress(OSError):
            self._file.close()
        if not keep:
            self._path.unlink(missing_ok=True)


def _gone(path: Path) -> ExportError:
    return ExportError(
        f"{path} is missing or truncated, and it held changes that an earlier run returned and did not finish: delete "
        "the state to begin again"
    )
