"""`ExportFile`: the file of an export, and the folder next to it in which it is prepared.

    run.db     how far the export is; locked while an export uses the folder, and bound to what is exported
    records    the records, durable before the checkpoint in the run file that includes them
    output     the same records in the target's format; in JSON Lines the records are the file itself

A commit writes the records that were not shown before, syncs them, then commits the transaction of the run file with
the ids shown, the checkpoint, and the length of `records`. After a kill in between, a resume cuts off the rest.

If the format allows it, the output is written beside each commit, while the next pages are requested. Otherwise (a
resumed export, columns found late, formats that need all records first) it is written from the records at the end.

The finished file gets its final name when it is whole. Then the folder is removed, or with `resume=True` keeps the
report.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial
from io import BufferedRandom
from pathlib import Path
from typing import Final

import msgspec
from attrs import evolve, frozen

from carecloud_async._base.runs import (
    AppendFile,
    FileChangedError,
    Mark,
    Publication,
    RunKind,
    WorkFolder,
    publish,
    reason_of,
)
from carecloud_async._base.runtime.durable_files import create_private
from carecloud_async._base.runtime.threads import ThreadYielder, beside
from carecloud_async._lists.export.formats.registry import SinkStream
from carecloud_async._lists.export.reading.pages import RawPage
from carecloud_async._lists.export.reading.seen import SEEN_TABLES, Seen
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.request import ExportRequest
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.export.storage.target import Target
from carecloud_async._lists.export.storage.writer import Writer
from carecloud_async.errors import ExportError
from carecloud_async.fixes import OVERWRITE, RESTART

__all__ = ["Ended", "ExportFile", "has_records"]

_KIND: Final = RunKind(
    name="export",
    file="a run file of an export",
    each="list",
    own="a target",
    version=4,
    tables=SEEN_TABLES,
    error=ExportError,
    begin_again=RESTART,
    work="export to this target",
    if_foreign=RESTART,
)
_CHECKPOINT, _RECORDS, _ENDED = "checkpoint", "records", "ended"
#: Records that are read at a time when the output is written from them.
_BATCH: Final = 1000


@frozen(kw_only=True)
class Ended:
    """The end of an export, noted before its file gets the final name.

    Attributes:
        report: what is reported.
        file: the finished file; `None` if it is not a regular file, for which no end is noted.
        replaced: the version of the object that an upload replaces, see `StoredObject`.
        timeless: the records without a readable `last_change`, for the next run; see `TimelessRecords.found`.
    """

    report: ExportReport
    file: Publication | None = None
    replaced: str | None = None
    timeless: Sequence[str] = ()

    @property
    def again(self) -> Ended:
        """The same end, as a later run returns it."""
        return evolve(self, report=evolve(self.report, resumed=True, finished_before=True))


def has_records(target: Target) -> bool:
    """Return whether an unfinished export to a target left records. Blocks."""
    return _records_of(WorkFolder(target.path)).exists()


def _records_of(folder: WorkFolder) -> Path:
    return folder.path / "records"


class ExportFile(Writer):
    """The file of one export; see the module. Everything blocks; one thread at a time.

    Args:
        request: the export.

    Attributes:
        nulls: the number of values that the format wrote as null, by dotted field name; known when it is finished.
    """

    def __init__(self, request: ExportRequest) -> None:
        super().__init__(request.source.clock)
        self._request, self._target = request, request.target
        self._encode = request.encode
        self._folder = WorkFolder(request.target.path)
        self._records_path, self._output_path = _records_of(self._folder), self._folder.path / "output"
        self._yielder = ThreadYielder()
        self._records: AppendFile | None = None
        self._is_empty = True
        self._output: BufferedRandom | None = None
        self._sink: SinkStream | None = None
        self._is_live: bool = getattr(request.target.format.sink, "is_incremental", False)
        self.nulls: Mapping[str, int] = {}

    # Beginning

    def open(self) -> Ended | None:
        """Open the folder. If an earlier run has finished this export, and its file is unchanged, return that end.

        Without `resume`, this is the end of a run that was killed before it returned its report. With `overwrite`, an
        end is never returned: the export begins anew.

        Raises:
            ExportError: the target exists and must not be replaced; another export uses the folder; it cannot be made;
                or the export that is to be resumed cannot be.
        """
        request, target = self._request, self._target
        if request.overwrite or not target.exists():
            self._open(resume=request.resume)
            if self._ended is not None:
                self._folder.run.begin()  # there is nothing to continue
            return None
        ended = self._find_end() if request.resume else self._find_end_of_killed_run()
        if ended is None:
            raise ExportError(f"{target.shown} exists already", fix=OVERWRITE)
        self._leave(ended)
        return ended.again

    def find_end(self) -> Ended | None:
        """Return the end of this export, if it is finished and its file unchanged; close the folder again."""
        ended = None
        try:
            with contextlib.suppress(ExportError):  # the folder is another export's
                ended = self._find_end()
        finally:
            self.close()
        return None if ended is None else ended.again

    def _find_end_of_killed_run(self) -> Ended | None:
        """Return the end of a run of this export that was killed before it returned its report."""
        with contextlib.suppress(ExportError):  # the folder is another export's
            ended = self._find_end()
            if ended is not None and self._folder.run.continues:
                return ended
        return None

    def _find_end(self) -> Ended | None:
        """Open the folder, if there is one, and return the end that it notes."""
        if not self._folder.path.is_dir():
            return None
        self._open(resume=True)
        return self._ended

    def _open(self, *, resume: bool) -> None:
        target = self._target
        if target.url is not None:
            try:
                target.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise ExportError(
                    f"{target.shown} is prepared in {target.path.parent}: {reason_of(error)}: set XDG_CACHE_HOME to a "
                    "folder that can be written to"
                ) from error
        self._folder.open(kind=_KIND, binding=self._request.fingerprints, resume=resume)

    @property
    def _ended(self) -> Ended | None:
        """The end that an earlier run of this export has noted, if its file has the final name and is unchanged."""
        run = self._folder.run
        if run.continues:
            ended = run.get(_ENDED, Ended)
        else:
            ended = None if run.report is None else msgspec.convert(run.report, Ended)
        return ended if ended is not None and self._is_published(ended) else None

    def _is_published(self, ended: Ended) -> bool:
        target, file = self._target, ended.file
        if file is None:
            return False
        if target.url is None:
            return file.is_published_as(target.path)
        # Until an upload succeeds, the URL holds the object that it replaces.
        stored = target.stored()
        return stored is not None and stored.version != ended.replaced and stored.size in {None, file.size}

    # Records

    def restore(self) -> Checkpoint | None:
        """Continue after the checkpoint of an earlier run, if this run resumes it.

        Raises:
            ExportError: the records are not those of the checkpoint.
            OSError: they cannot be read.
        """
        run = self._folder.run
        if not run.continues:
            return None
        checkpoint, mark = run.get(_CHECKPOINT, Checkpoint), run.get(_RECORDS, Mark)
        if checkpoint is None or mark is None:
            return None
        try:
            self._records = AppendFile.resume(self._records_path, mark)
        except FileChangedError as error:
            raise ExportError(f"cannot resume: {error}", fix=RESTART) from None
        self._is_empty, self._is_live = not mark.size, False
        self.seen = Seen(run.db, checkpoint)
        return checkpoint

    def commit(self, pages: Sequence[RawPage], checkpoint: Checkpoint) -> None:
        """Append the records that were not shown before, and store the checkpoint that includes them.

        Raises:
            ExportError: the disk refuses, and the last checkpoint still holds; or a record is nested too deeply.
        """
        with self._target.disk_errors(), contextlib.ExitStack() as stack:
            records, run = self._begin(), self._folder.run
            stack.enter_context(run.transaction())
            lines = self.seen.select_lines(pages, sweep=checkpoint.sweep)
            if lines and self._is_live:
                # In another thread, because this one mostly waits for the disk.
                stack.enter_context(beside(partial(self._write, lines)))
            self._append(records, lines, is_last=checkpoint.complete)
            run.set(_CHECKPOINT, self.seen.count(checkpoint))
            run.set(_RECORDS, records.sync())

    def _begin(self) -> AppendFile:
        """Begin the records, unless they are open, and remove what an earlier run has left.

        Called at the first commit and no earlier: a run that fails before its first page must not remove it.
        """
        if self._records is None:
            self._folder.run.begin()
            self._folder.clear()
            self._records = AppendFile.create(self._records_path)
            self._is_empty, self.seen = True, Seen(self._folder.run.db)
        return self._records

    def _append(self, records: AppendFile, lines: Sequence[bytes], *, is_last: bool) -> None:
        if lines or (is_last and self._is_empty):  # without any record the file must still be valid
            for data in self._encode(lines):
                records.write(data)
                self._is_empty = False
                self._yielder.rest()

    def clear(self) -> None:
        """See `Writer.clear`."""
        self._close_files()
        self._begin()

    # The output

    def _write(self, lines: Sequence[bytes]) -> None:
        """Write records that are being committed to the output."""
        sink = self._sink
        if sink is None:
            sink = self._open_output()
            sink.infer_schema(lines)
        if not sink.outdated:
            sink.write(lines)
        if sink.outdated:
            self._is_live = False
            self._close_output()

    def finish(self) -> Generator[None]:
        """Finish the file in the target's format; yields now and then while it is written.

        Raises:
            ExportError: a record is nested too deeply for the format.
            OSError: the disk refuses.
        """
        self._close_records()
        if self._target.format.sink is None:
            return
        yield
        sink = self._sink
        if sink is None:
            sink = self._open_output()
            for step in (sink.infer_schema, sink.write) if sink.infers_schema else (sink.write,):
                for lines in self._batches():
                    step(lines)
                    yield
        self.nulls = sink.finish()
        self._sink = None
        assert self._output is not None  # noqa: S101  (opened with the sink)
        self._output.flush()
        os.fsync(self._output.fileno())
        self._close_output()

    def _batches(self) -> Iterator[list[bytes]]:
        batch: list[bytes] = []
        with self._records_path.open("rb") as file:
            for line in file:
                batch.append(line.rstrip(b"\n"))
                if len(batch) == _BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def _open_output(self) -> SinkStream:
        self._output = create_private(self._output_path)
        self._sink = SinkStream(self._output, self._target.format, self._request.layout)
        return self._sink

    # The end

    def publish(self, report: ExportReport) -> Ended:
        """Give the finished file its final name, and clear the folder.

        Args:
            report: what is reported.

        Raises:
            ExportError: the name was taken meanwhile, or the storage refuses.
            OSError: the file system refuses.
        """
        request, target, run = self._request, self._target, self._folder.run
        file = self._records_path if target.format.sink is None else self._output_path
        replaced = None if target.url is None else target.stored()
        ended = Ended(
            report=report,
            file=Publication.of(file, target.path),
            replaced=None if replaced is None else replaced.version,
            # A continued run does not know with which text the earlier one wrote a record: the next export has all.
            timeless=() if report.resumed else request.found_timeless,
        )
        # Noted before the file has its name: a run that is killed after that must not be continued from the leftovers.
        with run.transaction():
            run.set(_ENDED, ended)
        if target.url is not None:
            target.upload(file, overwrite=request.overwrite)
        else:
            try:
                publish(file, target.path, overwrite=request.overwrite, mode=request.mode)
            except FileExistsError:
                raise ExportError(f"{target.shown} exists already", fix=OVERWRITE) from None
        self._leave(ended)
        return ended

    def _leave(self, ended: Ended) -> None:
        """Clear the folder. The run file stays with `resume`, for the report, and with a state, which needs the end."""
        self._folder.clear()
        if self._request.resume:
            self._folder.run.finish(ended)
        elif self._request.timeless is None:
            self._folder.run.remove()

    def discard(self) -> None:
        """Remove the folder of an export whose report was received, unless another run uses it."""
        with contextlib.suppress(ExportError, OSError):
            self._open(resume=False)
            self._folder.clear()
            self._folder.run.remove()
        self.close()

    def close(self) -> None:
        """Close everything; an unfinished output is abandoned, and the folder removed if it holds nothing."""
        self._close_files()
        self._folder.close()

    def _close_files(self) -> None:
        self._close_output()
        self._close_records()

    def _close_output(self) -> None:
        (sink, self._sink), (output, self._output) = (self._sink, None), (self._output, None)
        if sink is not None:
            sink.abandon()
        if output is not None:
            with contextlib.suppress(OSError):
                output.close()

    def _close_records(self) -> None:
        records, self._records = self._records, None
        if records is not None:
            records.close()
