"""The changes of a run on their way to the user: a private file, which stays until the user has taken all of them.

If a run is killed after the user took a change, the next run must return that change again, even if the server has
undone it: otherwise a record that was created and deleted meanwhile would stay in the user's copy forever. So the file
is made durable and recorded in the state before the first change is returned. The next run returns the same changes,
then its own.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from carecloud_async._base.runs import AppendFile, FileChangedError, Mark
from carecloud_async._lists.changes.values import Kind
from carecloud_async.errors import ExportError
from carecloud_async.fixes import DELETE_STATE

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
        earlier: what an earlier run recorded of it; `None` for a new file.

    Raises:
        ExportError: the recorded file is missing or damaged.
        OSError: the disk refuses.
    """

    def __init__(self, path: Path, *, earlier: Mark | None = None) -> None:
        self._begin = earlier or Mark()
        try:
            self._file = AppendFile.create(path) if earlier is None else AppendFile.resume(path, earlier)
        except FileChangedError as error:
            raise ExportError(
                f"{error}, and it held changes that an earlier run returned and did not finish", fix=DELETE_STATE
            ) from None

    def add(self, kind: Kind, record_id: str, line: bytes | None, fields: tuple[str, ...] = ()) -> None:
        """Add a change; `line` is `None` for a deleted record."""
        self._file.write(msgspec.json.encode((kind, record_id, fields)) + b"\n" + (line or b"") + b"\n")

    def clear(self) -> None:
        """Drop what this run added."""
        self._file.cut(self._begin)

    def secure(self) -> Mark:
        """Make the file durable; return what the state must record of it."""
        return self._file.sync()

    def rewind(self) -> None:
        """Begin to read."""
        self._file.file.flush()
        self._file.file.seek(0)

    def read(self) -> list[PendingChange]:
        """Return the next changes; an empty list at the end."""
        file, changes = self._file.file, []
        for head in islice(iter(file.readline, b""), _BATCH):
            kind, record_id, fields = msgspec.json.decode(head)
            changes.append(PendingChange(kind, record_id, tuple(fields), file.readline()[:-1] or None))
        return changes

    def close(self, *, keep: bool) -> None:
        """Close the file.

        Args:
            keep: whether the state has a record of it; otherwise it is removed.
        """
        self._file.close()
        if not keep:
            self._file.path.unlink(missing_ok=True)
