"""`Changes`: the changes of a list since the last run, as an async iterator in a block, or as a file."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, Self, TypeVar

from carecloud_async._base.codec import Malformed
from carecloud_async._base.codec.pages import read_records
from carecloud_async._base.runs import Publication
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._calls.call.failure import invalid_response
from carecloud_async._lists.changes.run import ChangesRun
from carecloud_async._lists.changes.state_file import PUBLICATION, PendingChange
from carecloud_async._lists.changes.values import Change, ChangesReport
from carecloud_async.errors import ExportError

if TYPE_CHECKING:
    from carecloud_async._lists.export.formats.sinks import CsvOptions

__all__ = ["Changes"]

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.changes")


class Changes(Generic[T]):
    """The changes of a list; use it in `async with`, then iterate.

    The list is read and compared when the block begins. If the block ends with an error, or before all changes were
    taken, the next run returns them again, and then what changed since. `to_file` writes them to a file instead.
    """

    def __init__(self, run: ChangesRun) -> None:
        self._run = run
        self._forget()

    def _forget(self) -> None:
        """Begin without anything of an earlier block."""
        self._batch: list[Change[T]] = []
        self._rows: list[PendingChange] = []  # read, and not yet in the batch
        self._pending: Iterator[list[PendingChange]] | None = None
        self._is_taken = False

    @property
    def report(self) -> ChangesReport:
        """The report, from the beginning of the block on.

        Raises:
            ExportError: the block has not begun.
        """
        return self._run.report

    async def __aenter__(self) -> Self:
        self._forget()
        try:
            await run_in_thread(self._open)
            await self._run.compare()
        except BaseException:
            await run_in_thread_regardless(self._close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._is_taken:
                await run_in_thread(lambda: self._run.state.commit(taken=True))
            elif kind is None:
                _log.warning("%s: not all changes were taken: the next run returns them again", self._run.source.name)
        finally:
            await run_in_thread_regardless(self._close)

    async def to_file(
        self,
        target: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        allow_shrink: bool = False,
        format: str | None = None,  # noqa: A002  (as users call it)
        columns: Literal["model", "found"] = "model",
        timestamps: Literal["utc", "project"] = "utc",
        csv: CsvOptions | None = None,
    ) -> ChangesReport:
        """Write the changes to a file, which appears whole; the state moves together with it. It needs no block.

        Lines of JSON have `change`, `id` and `record`; tables have a first column `_change`. After a run that was
        killed, the next one returns the report of its file, and reads nothing: no change is lost or written twice.

        Args:
            target: a path whose suffix names the format: `.jsonl`, `.csv`, `.parquet`; `.jsonl.gz`, `.csv.zst` …
            overwrite: replace the target if it exists.
            allow_shrink: as for `Listing.changes`; either is enough.
            format: as for `Listing.export`.
            columns: as for `Listing.export`.
            timestamps: as for `Listing.export`.
            csv: as for `Listing.export`.

        Raises:
            ExportError: it cannot start or continue; the state and the target are unchanged.
            CareCloudError: the server cannot be read.
        """
        from carecloud_async._lists.changes.file import ChangesFileOptions, publish_changes  # few programs write files
        from carecloud_async._lists.export.formats.sinks import CsvOptions

        options = ChangesFileOptions(
            overwrite=overwrite, format=format, columns=columns, timestamps=timestamps, csv=csv or CsvOptions()
        )
        if allow_shrink:
            self._run.allow_shrink()
        return await (await publish_changes(self._run, target, options)).confirmed()

    def __aiter__(self) -> AsyncIterator[Change[T]]:
        return self

    async def __anext__(self) -> Change[T]:
        if not self._batch:
            await self._read_on()
        return self._batch.pop()

    async def _read_on(self) -> None:
        if not self._rows:
            await run_in_thread(self._read_rows)
        rows = self._rows
        if not rows:
            self._is_taken = True
            raise StopAsyncIteration
        records = iter(self._records([row.line for row in rows if row.line is not None]))
        self._batch = [
            Change(
                kind=row.kind,
                id=row.id,
                record=None if row.line is None else next(records),
                fields=row.fields,
                raw=row.line,
            )
            for row in rows
        ]
        self._batch.reverse()
        self._rows = []

    def _records(self, lines: Sequence[bytes]) -> list[T]:
        try:
            return read_records(lines, self._run.source.into)
        except Malformed as error:
            problem = str(error)  # raised below: the error's context would keep the records
        raise invalid_response(self._run.source.operation, problem)

    def _read_rows(self) -> None:
        state = self._run.state
        if self._pending is None:
            if any(self.report.counts.values()):
                state.commit()
            self._pending = state.pending()
        # Stored here, not returned: if the task that waits is cancelled, the next one finds them.
        self._rows = next(self._pending, [])

    def _open(self) -> None:
        self._run.open()
        noted = self._run.state.get(PUBLICATION, Publication)
        if noted is not None and noted.is_waiting:
            raise ExportError(
                f"{self._run.path} has changes whose file did not get its name, {noted.target}: write changes to a "
                "file once more, or give this program a state of its own"
            )

    def _close(self) -> None:
        self._batch, self._rows = [], []
        self._run.close()
