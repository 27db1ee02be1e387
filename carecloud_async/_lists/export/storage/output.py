"""The file in the target's format: written while records arrive if possible, otherwise from the journal at the end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from io import BufferedRandom
from pathlib import Path

from carecloud_async._base.runtime.durable_files import create_private
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._lists.export.formats.registry import SinkStream
from carecloud_async._lists.export.formats.sinks import IncrementalSink, Layout
from carecloud_async._lists.export.storage.journal import batches
from carecloud_async._lists.export.storage.target import Target
from carecloud_async._lists.export.storage.workspace import Workspace

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

    Attributes:
        is_live: whether `write` writes the records.
        nulls: the number of values that the format wrote as null, by dotted field name; known when it is finished.
    """

    def __init__(self, workspace: Workspace, target: Target, layout: Layout, *, live: bool) -> None:
        make = target.format.sink
        self.nulls: Mapping[str, int] = {}
        self._workspace = workspace
        self._format = target.format
        self._layout = layout
        self.is_live: bool = live and isinstance(make, type) and issubclass(make, IncrementalSink)
        self._file: BufferedRandom | None = None
        self._sink: SinkStream | None = None

    def write(self, lines: Sequence[bytes]) -> None:
        """Write records that are committed to the journal, if the format allows it. Blocks.

        Raises:
            ExportError: one of them is nested too deeply for the format.
            OSError: the disk refuses.
        """
        if not self.is_live or not lines:
            return
        sink = self._sink
        if sink is None:
            sink = self._open()
            sink.infer_schema(lines)
        if not sink.outdated:
            sink.write(lines)
        if sink.outdated:
            self.is_live = False
            self.close()

    async def finish(self, report: Callable[[], Awaitable[None]]) -> Path:
        """Finish the file and return it; write it from the journal if necessary.

        Args:
            report: called now and then while the journal is read.

        Raises:
            OSError: the disk refuses.
        """
        if self._format.sink is None:
            return self._workspace.records
        try:
            await report()
            sink = self._sink
            if sink is None:
                sink = await run_in_thread(self._open)
                if sink.infers_schema:
                    await _each(self._workspace.records, sink.infer_schema, report)
                await _each(self._workspace.records, sink.write, report)
            await run_in_thread(self._end)
        finally:
            await run_in_thread_regardless(self.close)
        return self._workspace.output

    def close(self) -> None:
        """Close the file; an unfinished file is abandoned, and may be begun again. Blocks."""
        (sink, self._sink), (file, self._file) = (self._sink, None), (self._file, None)
        if sink is not None:
            sink.abandon()
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def _open(self) -> SinkStream:
        self._file = create_private(self._workspace.output)
        self._sink = SinkStream(self._file, self._format, self._layout)
        return self._sink

    def _end(self) -> None:
        sink, file = self._sink, self._file
        assert sink is not None  # noqa: S101  (opened before)
        assert file is not None  # noqa: S101  (as above)
        self.nulls = sink.finish()
        self._sink = None
        file.flush()
        os.fsync(file.fileno())


async def _each(records: Path, function: Callable[[list[bytes]], None], report: Callable[[], Awaitable[None]]) -> None:
    source = batches(records)

    def step() -> bool:
        batch = next(source, None)
        if batch is not None:
            function(batch)
        return batch is not None

    try:
        while await run_in_thread(step):
            await report()
    finally:
        source.close()
