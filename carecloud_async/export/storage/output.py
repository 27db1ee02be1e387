"""The file in the target's format: written while records arrive if possible, otherwise from the journal at the end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BufferedRandom
from pathlib import Path
from typing import BinaryIO, cast

from carecloud_async.export.errors import nesting_errors
from carecloud_async.export.formats.compression import compressing
from carecloud_async.export.formats.sinks import IncrementalSink, Layout, Sink, SlicedSink
from carecloud_async.export.storage.journal import batches
from carecloud_async.export.storage.spool import Spool
from carecloud_async.export.storage.target import Target
from carecloud_async.export.storage.workspace import Workspace
from carecloud_async.runtime.cooperation import CooperativeScheduler
from carecloud_async.runtime.durable_files import create_private
from carecloud_async.runtime.threads import run_in_thread, run_in_thread_regardless

__all__ = ["Output"]


class Output:
    """The output of one export.

    If the format allows it, each commit's records are written at once, while the next pages are requested. Otherwise (a
    resumed export, columns found late, formats that need all records first) the file is written from the journal at the
    end: the journal is authoritative, and this file can always be made again from it.

    Args:
        workspace: the folder of the journal and of this file.
        target: the target, which has the format.
        layout: the layout for the sink.
        live: whether all records will be seen by `write`.
        computing: schedules the slices in which the event loop makes text.

    Attributes:
        nulls: the number of values that the format wrote as null, by dotted field name; known when it is finished.
    """

    def __init__(
        self, workspace: Workspace, target: Target, layout: Layout, *, live: bool, computing: CooperativeScheduler
    ) -> None:
        make = target.format.sink
        self.nulls: Mapping[str, int] = {}
        self._workspace = workspace
        self._compression = target.format.compression
        self._layout = layout
        self._make = make
        self._live = live and isinstance(make, type) and issubclass(make, IncrementalSink)
        self._sliced = make if isinstance(make, type) and issubclass(make, SlicedSink) else None
        self._file: BufferedRandom | None = None
        self._stream: BinaryIO | None = None
        self._sink: Sink | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None
        self._spool: Spool | None = None
        self._computing = computing

    def write(self, lines: Sequence[bytes]) -> None:
        """Take records that were just committed to the journal. Blocks while earlier ones are being written.

        Of records given to `write_in_turns`, it writes the text made so far.

        Raises:
            ExportError: one of them, or of those before, is nested too deeply for the format.
            OSError: the disk refuses.
        """
        self._wait()
        if self._spool is not None:
            self._pending = self._thread().submit(self._store, self._spool)
        elif self._live and lines and self._sliced is None:
            self._pending = self._thread().submit(self._write_live, lines)

    async def write_in_turns(self, lines: Sequence[bytes]) -> None:
        """Make the text of records in the event loop, for formats that do; it is written with later records.

        Raises:
            ExportError: one of them is nested too deeply for the format.
        """
        if self._live and lines and self._sliced is not None:
            await self._computing.run(self._slices(lines, self._sliced))

    def restart(self) -> None:
        """Discard the file: the list is read again from the start. Blocks."""
        self.close()

    async def finish(self, report: Callable[[], Awaitable[None]]) -> Path:
        """Finish the file and return it; write it from the journal if necessary.

        Args:
            report: called now and then while the journal is read.

        Raises:
            OSError: the disk refuses.
        """
        if self._make is None:
            return self._workspace.records
        try:
            await run_in_thread(self._wait)
            await report()
            if not self._live or self._sink is None:
                await run_in_thread(self._let_go)
                sink = await run_in_thread(self._open)
                if type(sink).infer_schema is not Sink.infer_schema:
                    await _each(self._workspace.records, sink.infer_schema, report)
                await _each(self._workspace.records, sink.write, report)
            await run_in_thread(self._end)
        finally:
            await run_in_thread_regardless(self.close)
        return self._workspace.output

    def close(self) -> None:
        """Close the file; an unfinished file is abandoned. Blocks while records are being written."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown()
        self._pending = None
        self._let_go()

    def _write_live(self, lines: Sequence[bytes]) -> None:
        with nesting_errors():
            is_first = self._sink is None
            sink = self._sink or self._open()
            if is_first:
                sink.infer_schema(lines)
            if not _is_outdated(sink):
                sink.write(lines)
        self._live = not _is_outdated(sink)

    def _slices(self, lines: Sequence[bytes], make: type[SlicedSink]) -> Generator[None, None, None]:
        with nesting_errors():
            sink = self._sink
            if not isinstance(sink, SlicedSink):
                self._spool = Spool()
                self._sink = sink = make(cast("BinaryIO", self._spool), self._layout)
                yield from sink.infer_schema_in_slices(lines)
            if not _is_outdated(sink):
                yield from sink.write_in_slices(lines)
        self._live = not _is_outdated(sink)

    def _store(self, spool: Spool) -> None:
        """Write the buffered text to the file."""
        stream = self._stream or self._open_stream()
        for data in spool.take():
            stream.write(data)

    def _wait(self) -> None:
        """Wait for the records that are being written; raise the error of writing them."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()
            if not self._live:
                self._let_go()

    def _thread(self) -> ThreadPoolExecutor:
        # A thread of its own: the next commit's journal is synced meanwhile. One batch waits at most.
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="carecloud-export")
        return self._executor

    def _let_go(self) -> None:
        sink, self._sink = self._sink, None
        stream, self._stream = self._stream, None
        file, self._file = self._file, None
        self._spool = None
        if sink is not None:
            sink.abort()
        for one in (stream, file):
            if one is not None:
                with contextlib.suppress(OSError, ValueError):
                    one.close()

    def _open(self) -> Sink:
        if self._make is None:  # pragma: no cover  (never asked for without a sink)
            raise TypeError
        self._sink = self._make(self._open_stream(), self._layout)
        return self._sink

    def _open_stream(self) -> BinaryIO:
        self._file = create_private(self._workspace.output)
        self._stream = compressing(self._file, self._compression)
        return self._stream

    def _end(self) -> None:
        sink = self._sink
        if sink is None:  # pragma: no cover  (made before)
            return
        sink.close()
        if self._spool is not None:
            self._store(self._spool)
        stream, file = self._stream, self._file
        if stream is None or file is None:  # pragma: no cover  (opened before)
            return
        self.nulls = sink.nulls
        self._sink = None
        stream.close()
        file.flush()
        os.fsync(file.fileno())


def _is_outdated(sink: Sink) -> bool:
    return isinstance(sink, IncrementalSink) and sink.outdated


async def _each(records: Path, function: Callable[[list[bytes]], None], report: Callable[[], Awaitable[None]]) -> None:
    source = batches(records)

    def step() -> bool:
        batch = next(source, None)
        if batch is not None:
            with nesting_errors():
                function(batch)
        return batch is not None

    try:
        while await run_in_thread(step):
            await report()
    finally:
        source.close()
