"""The changes of a run on their way to the user: a temporary file, gone when it is closed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["PendingChanges"]

#: What is read at a time.
_BATCH = 500


class _Head(msgspec.Struct, array_like=True):
    kind: Any
    id: str
    fields: tuple[str, ...] = ()


class PendingChanges:
    """Changes in the order in which they were found. Everything blocks; one thread at a time.

    Args:
        folder: where the file lies: it holds personal data and may grow as large as the list.
    """

    def __init__(self, folder: Path) -> None:
        # Unlinked at birth: nothing stays of a killed run.
        self._file = tempfile.TemporaryFile(prefix="carecloud-", dir=folder, buffering=1 << 20)  # noqa: SIM115  (closed below)

    def add(self, kind: str, record_id: str, line: bytes | None, fields: tuple[str, ...] = ()) -> None:
        """Add a change; `line` is `None` for a deleted record."""
        self._file.write(msgspec.json.encode(_Head(kind, record_id, fields)))
        self._file.write(b"\n" + (line or b"") + b"\n")

    def clear(self) -> None:
        """Drop everything."""
        self._file.seek(0)
        self._file.truncate()

    def rewind(self) -> None:
        """Begin to read."""
        self._file.flush()
        self._file.seek(0)

    def read(self) -> list[tuple[str, str, tuple[str, ...], bytes | None]]:
        """Return the next changes; an empty list at the end."""
        return list(self._read())

    def _read(self) -> Iterator[tuple[str, str, tuple[str, ...], bytes | None]]:
        for _ in range(_BATCH):
            head = self._file.readline()
            if not head:
                return
            found = msgspec.json.decode(head, type=_Head)
            yield found.kind, found.id, found.fields, self._file.readline()[:-1] or None

    def close(self) -> None:
        """Close and drop it."""
        self._file.close()
