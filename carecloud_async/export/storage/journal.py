"""The records on disk: appended commit by commit, each durable before the checkpoint that includes it.

Order of a commit: write the records, sync them, write the checkpoint to a temporary file, sync it, rename it. If the
process is killed in between, the file can be longer than the checkpoint records; the excess is truncated on resume.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Generator, Iterable, Sequence
from io import BufferedRandom
from pathlib import Path

from attrs import evolve

from carecloud_async.errors import ExportError
from carecloud_async.export.storage.checkpoint import Checkpoint, write_durably
from carecloud_async.export.storage.workspace import Workspace
from carecloud_async.fixes import RESTART
from carecloud_async.runtime.durable_files import create_private, open_private
from carecloud_async.runtime.thread_yield import ThreadYielder

__all__ = ["Journal", "batches"]

_CHUNK = 1 << 20
#: Records of a finished file that are read at a time.
_BATCH = 1000


class Journal:
    """The file of records of one export. Everything blocks; one thread at a time.

    Args:
        workspace: the folder of the files.
        encode: turns the records of a commit into bytes, a piece at a time.
    """

    def __init__(self, workspace: Workspace, *, encode: Callable[[Sequence[bytes]], Iterable[bytes]]) -> None:
        self._workspace = workspace
        self._encode = encode
        self._yielder = ThreadYielder()
        self._file: BufferedRandom | None = None
        self._size = 0
        self._crc = 0

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue after a checkpoint: truncate the file to it.

        Raises:
            ExportError: the records are not those of the checkpoint.
            OSError: they cannot be read.
        """
        records = self._workspace.records
        crc, left = 0, max(checkpoint.size, 0)
        try:
            file = open_private(records)
        except FileNotFoundError:
            raise ExportError(f"cannot resume: {records} is missing", fix=RESTART) from None
        except PermissionError as error:
            raise ExportError(f"cannot resume: {error.strerror}", fix=RESTART) from error
        while left and (chunk := file.read(min(left, _CHUNK))):
            crc = zlib.crc32(chunk, crc)
            left -= len(chunk)
        if left or crc != checkpoint.crc:
            file.close()
            raise ExportError(f"cannot resume: {records} was changed since", fix=RESTART)
        file.truncate(checkpoint.size)
        file.seek(checkpoint.size)
        self._file, self._size, self._crc = file, checkpoint.size, crc

    def begin(self) -> BufferedRandom:
        """Begin the file, unless it is open; an earlier run's files are removed.

        Called at the first commit and no earlier: a run that fails before its first page must not touch them.

        Raises:
            OSError: the disk refuses.
        """
        if self._file is None:
            self._workspace.clear()
            self._workspace.forget()
            self._file = create_private(self._workspace.records)
        return self._file

    def commit(self, lines: Sequence[bytes], checkpoint: Checkpoint) -> None:
        """Append records and write the checkpoint that includes them.

        Raises:
            OSError: the disk refuses; the last checkpoint still holds.
        """
        file = self.begin()
        if lines or (checkpoint.complete and not self._size):  # without any record the file must still be valid
            for data in self._encode(lines):
                file.write(data)
                self._crc = zlib.crc32(data, self._crc)
                self._size += len(data)
                self._yielder.rest()
            file.flush()
            os.fsync(file.fileno())
        write_durably(self._workspace.checkpoint, evolve(checkpoint, size=self._size, crc=self._crc))

    def restart(self) -> None:
        """Drop all records: the list must be read with another strategy."""
        self.close()
        self._size = self._crc = 0
        self._workspace.clear()

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


def batches(path: Path) -> Generator[list[bytes], None, None]:
    """Yield the lines of an uncompressed file of records, some at a time."""
    batch: list[bytes] = []
    with path.open("rb") as file:
        for line in file:
            batch.append(line.rstrip(b"\n"))
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch
