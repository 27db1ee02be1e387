"""The records on disk: appended commit by commit, each durable before the checkpoint that includes it.

Order of a commit: write the records that were not shown before, sync them, then commit the transaction of the run file
with the ids shown, the checkpoint and the part of the file that counts. If the process is killed in between, the file
is longer than that part; the excess is cut on resume.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from pathlib import Path

from carecloud_async._base.runs import AppendFile, FileChangedError, Mark
from carecloud_async._base.runtime.threads import ThreadYielder, beside
from carecloud_async._lists.export.reading.seen import Rows, Seen
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.export.storage.workspace import Workspace
from carecloud_async.errors import ExportError
from carecloud_async.fixes import RESTART

__all__ = ["Journal", "batches"]

_CHECKPOINT, _RECORDS = "checkpoint", "records"
#: Records of a finished file that are read at a time.
_BATCH = 1000


class Journal:
    """The records of one export, and its checkpoint. Everything blocks; one thread at a time.

    Args:
        workspace: the folder of the files.
        encode: turns the records of a commit into bytes, a piece at a time.

    Attributes:
        seen: the ids of the records that were committed.
    """

    def __init__(self, workspace: Workspace, *, encode: Callable[[Sequence[bytes]], Iterable[bytes]]) -> None:
        self._workspace = workspace
        self._encode = encode
        self._yielder = ThreadYielder()
        self._file: AppendFile | None = None
        self._is_empty = True
        self.seen: Seen = Seen()

    def restore(self) -> Checkpoint | None:
        """Continue after the checkpoint of an earlier run, if this run resumes it.

        Raises:
            ExportError: the records are not those of the checkpoint.
            OSError: they cannot be read.
        """
        run = self._workspace.run
        checkpoint, mark = (
            (run.get(_CHECKPOINT, Checkpoint), run.get(_RECORDS, Mark)) if run.continues else (None, None)
        )
        if checkpoint is None or mark is None:
            return None
        try:
            self._file = AppendFile.resume(self._workspace.records, mark)
        except FileChangedError as error:
            raise ExportError(f"cannot resume: {error}", fix=RESTART) from None
        self._is_empty = not mark.size
        self.seen = Seen(
            run.db,
            known=checkpoint.known,
            written=checkpoint.report.records,
            sweep=checkpoint.sweep.number,
            shown=checkpoint.shown,
        )
        return checkpoint

    def begin(self) -> AppendFile:
        """Begin the file, unless it is open; what an earlier run has left is dropped.

        Called at the first commit and no earlier: a run that fails before its first page must not touch it.

        Raises:
            ExportError: the disk refuses.
            OSError: as above.
        """
        if self._file is None:
            self._workspace.run.begin()
            self._workspace.clear()
            self._file = AppendFile.create(self._workspace.records)
            self._is_empty, self.seen = True, Seen(self._workspace.run.db)
        return self._file

    def commit(
        self,
        pages: Sequence[Rows],
        checkpoint: Checkpoint,
        *,
        write: Callable[[Sequence[bytes]], None] | None = None,
    ) -> None:
        """Append the records that were not shown before, and store the checkpoint that includes them.

        Args:
            pages: what the pages show.
            checkpoint: the checkpoint.
            write: takes the new records in another thread, because this one mostly waits for the disk.

        Raises:
            ExportError: the disk refuses; the last checkpoint still holds.
            OSError: as above.
        """
        file, run = self.begin(), self._workspace.run
        with contextlib.ExitStack() as stack, run.transaction():
            lines = self.seen.select_lines(pages, sweep=checkpoint.sweep)
            if write is not None:
                stack.enter_context(beside(partial(write, lines)))  # goes on while the transaction is committed
            self._append(file, lines, is_last=checkpoint.complete)
            run.set(_CHECKPOINT, self.seen.count(checkpoint))
            run.set(_RECORDS, file.sync())

    def _append(self, file: AppendFile, lines: Sequence[bytes], *, is_last: bool) -> None:
        if lines or (is_last and self._is_empty):  # without any record the file must still be valid
            for data in self._encode(lines):
                file.write(data)
                self._is_empty = False
                self._yielder.rest()

    def restart(self) -> None:
        """Drop all records: the list must be read with another strategy."""
        self.close()
        self.begin()

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
