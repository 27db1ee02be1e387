"""`RecordBatches`: a list as an exact stream of Arrow record batches, without a file.

    async with client.customers.list().arrow() as batches:
        async for batch in batches:
            load(batch)                     # a pyarrow.RecordBatch of the model's columns
            remember(batches.mark)          # to continue from here: listing.arrow(after=mark)
    batches.report.records

Records are read as an export reads them, and as exactly. Memory holds the pages in flight, one batch being
made and one waiting batch: a slow consumer makes the reading wait.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from attrs import evolve, field, frozen

from carecloud_async._base.runs import why_foreign
from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._lists.export.errors import BadExportError, nesting_errors
from carecloud_async._lists.export.formats.arrow import ArrowEncoder, has_fixed_columns, require_pyarrow
from carecloud_async._lists.export.formats.schema import UNKNOWN_FIELDS, SchemaBuilder, field_names, read_fields
from carecloud_async._lists.export.formats.sinks import Layout
from carecloud_async._lists.export.reading.pages import RawPage
from carecloud_async._lists.export.reading.ranges import IdRange, NotInOrderError, RangeScan
from carecloud_async._lists.export.reading.scan import Scan
from carecloud_async._lists.export.reading.seen import Seen, TemporarySeen
from carecloud_async._lists.export.reading.since import parse_since, require_changes
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.export.report import ExportReport, OnProgress
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.paging.auto import AUTO, Auto, require_int_or_auto
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async.errors import ExportError

if TYPE_CHECKING:
    import pyarrow

_VERSION = 6

#: A batch (`None` if a page brought nothing new) and the mark after it.
_Made = tuple[Any, str | None]


@frozen(kw_only=True)
class BatchOptions:
    """The options of a stream; see `Listing.arrow`.

    Attributes:
        id_range: the range of ids to read instead of the whole list. Such a stream has no mark.
        timeless: the records without a readable `last_change` that the last run handed out; gets those of this one.
        expects_records: whether the list had records in the last run; an empty one is doubted then.
    """

    concurrency: int | Auto = AUTO
    changed_since: datetime | str | None = None
    after: str | None = field(default=None, repr=False)
    fields: Sequence[str] | None = None
    timestamps: Literal["utc", "project"] = "utc"
    on_progress: OnProgress | None = None
    id_range: IdRange | None = None
    timeless: TimelessRecords | None = None
    expects_records: bool = False


class RecordBatches:
    """An async iterator of `pyarrow.RecordBatch`, to be used in `async with`.

    Args:
        source: the list.
        options: see `Listing.arrow`.

    Raises:
        BadExportError: the list cannot be streamed, pyarrow is not installed, or `after` belongs to another stream.
    """

    def __init__(self, source: ListSource[Any], options: BatchOptions) -> None:
        require_int_or_auto("concurrency", options.concurrency)
        if source.offset:
            raise BadExportError("a stream holds the whole list: leave offset out")
        require_pyarrow()
        self._source = source
        self._options = options
        self._since = None if options.changed_since is None else parse_since(options.changed_since, source.project)
        if self._since is not None:
            require_changes(source)
        layout = Layout(
            into=source.into,
            fields=read_fields(options.fields, source.into, also=(UNKNOWN_FIELDS,)),
            timezone=source.project.timezone,
            timestamps=options.timestamps,
        )
        if not has_fixed_columns(layout):
            raise BadExportError("arrow needs a model, whose fields are the columns: pass into= a class")
        self._encoder = ArrowEncoder(layout, SchemaBuilder(layout.into))
        self._fingerprints = source.fingerprints(
            fields=field_names(layout.fields),
            changed_since=None if self._since is None else self._since.moment.isoformat(),
            format=f"arrow {options.timestamps}",
        )
        self._start = Checkpoint(report=ExportReport(target="arrow"))
        if options.after is not None:
            self._start = _read_mark(options.after, self._fingerprints)
            self._encoder.nulls.update(self._start.report.nulls)
        self._send: MemoryObjectSendStream[_Made] | None = None
        self._receive: MemoryObjectReceiveStream[_Made] | None = None
        self._tasks = BackgroundTasks()
        self._error: Exception | None = None
        self._report: ExportReport | None = None
        self._mark = options.after

    @property
    def schema(self) -> pyarrow.Schema:
        """The schema of every batch: the model's columns, and `unknown_fields`."""
        return self._encoder.schema

    @property
    def mark(self) -> str | None:
        """A text to continue after the batch that was yielded last; pass it to `Listing.arrow(after=…)`.

        It is opaque, a few kilobytes long, and bound to the list, its filters and the fields. It holds ids of records.
        `None` before the first batch, with `changed_since`, and for lists that the server does not keep in the order of
        their ids: such a stream can only be restarted.
        """
        return self._mark

    @property
    def report(self) -> ExportReport:
        """The report, available once all batches were yielded; its `target` is `arrow`.

        Raises:
            ExportError: the stream has not ended.
        """
        if self._report is None:
            raise ExportError("the stream has not ended: the report is available after the last batch")
        return self._report

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._send, self._receive = anyio.create_memory_object_stream[_Made](1)
        self._tasks.start(self._read, self._send)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        (send, self._send), (receive, self._receive) = (self._send, None), (self._receive, None)
        try:
            await self._tasks.__aexit__(kind, error, traceback)
        finally:
            # If the reading was cancelled before it began, nothing else closes its end of the channel.
            for stream in (send, receive):
                if stream is not None:
                    stream.close()

    def __aiter__(self) -> AsyncIterator[pyarrow.RecordBatch]:
        return self

    async def __anext__(self) -> pyarrow.RecordBatch:
        receive = self._receive
        if receive is None:
            raise ExportError("use a stream in a block: async with listing.arrow() as batches")
        while True:
            try:
                batch, self._mark = await receive.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError):
                if self._error is not None:
                    raise self._error from None
                if self._report is None:
                    raise ExportError(
                        "the stream was iterated after its `async with` block ended: iterate inside the block"
                    ) from None
                raise StopAsyncIteration from None
            if batch is not None:
                return batch

    async def _read(self, send: MemoryObjectSendStream[_Made]) -> None:
        try:
            report = self._start.report if self._start.complete else await self._scan(send)
            self._report = evolve(report, resumed=self._options.after is not None, nulls=dict(self._encoder.nulls))
        except Exception as error:  # noqa: BLE001  (raised by the consumer)
            self._error = error
        finally:
            send.close()

    async def _scan(self, send: MemoryObjectSendStream[_Made]) -> ExportReport:
        sent = self._start.report.records
        seen = await run_in_thread(lambda: TemporarySeen(recent=self._start.sweep.tail, written=sent))
        try:
            is_one_page = self._since is None and not self._source.operation.paged
            writer = _BatchWriter(
                encoder=self._encoder,
                send=send,
                seen=seen,
                source=self._source,
                fingerprints=self._fingerprints,
                is_one_page=is_one_page,
            )
            if self._options.id_range is not None:
                return await self._scan_range(self._options.id_range, writer)
            return await Scan(
                self._source,
                writer,
                self._start,
                since=self._since,
                concurrency=self._options.concurrency,
                on_progress=self._options.on_progress,
                timeless=self._options.timeless,
                expects_records=sent > 0 or self._options.expects_records,
            ).run()
        finally:
            await run_in_thread_regardless(seen.close)

    async def _scan_range(self, id_range: IdRange, writer: _BatchWriter) -> ExportReport:
        scan = RangeScan(self._source, id_range, accept=writer.put_lines, width=self._options.concurrency)
        try:
            await scan.read()
        except NotInOrderError:
            raise ExportError(
                f"the server does not keep {self._source.name} in the order of ids any more: split it again"
            ) from None
        return evolve(self._start.report, records=scan.records, list_changed=scan.list_changed, reasons=scan.reasons)


@frozen(kw_only=True, repr=False)
class _BatchWriter:
    """Makes batches of records in a worker thread and sends them; waits while the consumer is slower.

    Attributes:
        encoder: makes them.
        send: takes them.
        seen: the ids of their records.
        source: the list.
        fingerprints: what a mark is bound to.
        is_one_page: whether the list has no paging, and is read whole: the mark after it is its end.
    """

    encoder: ArrowEncoder
    send: MemoryObjectSendStream[_Made]
    seen: Seen
    source: ListSource[Any]
    fingerprints: dict[str, str]
    is_one_page: bool

    async def put(self, rows: RawPage, state: Checkpoint) -> None:
        await self.send.send(await run_in_thread(lambda: self._make(rows, state)))

    def _make(self, rows: RawPage, state: Checkpoint) -> _Made:
        lines = self.seen.select_lines([rows], sweep=state.sweep)
        batch = self._encode(lines) if lines else None
        # The ids of a list in no order are stored on this machine only.
        if not (self.is_one_page or (self.seen.is_ordered and state.sweep.evidence.orders)):
            return batch, None
        state = self.seen.count(state)
        state = evolve(state, report=evolve(state.report, nulls=dict(self.encoder.nulls)))
        return batch, _make_mark(state, self.fingerprints)

    async def put_lines(self, lines: list[bytes]) -> None:
        """Send a batch without a mark: a stream cannot continue after it."""
        await self.send.send((await run_in_thread(lambda: self._encode(lines)), None))

    async def drain(self) -> None:
        """Do nothing: each batch is sent before the next page is taken."""

    async def restart(self) -> None:
        if self.seen.written:
            raise ExportError(
                f"several records of {self.source.name} have one id, and batches that were yielded cannot be taken "
                "back: export to a file"
            )
        await run_in_thread(self.seen.clear)

    def _encode(self, lines: list[bytes]) -> Any:
        with nesting_errors():
            return self.encoder.encode(lines).combine_chunks().to_batches()[0]


class _Mark(msgspec.Struct):
    version: int
    fingerprints: dict[str, str]
    checkpoint: Checkpoint


def _make_mark(checkpoint: Checkpoint, fingerprints: dict[str, str]) -> str:
    data = msgspec.json.encode(_Mark(_VERSION, fingerprints, checkpoint))
    return base64.urlsafe_b64encode(zlib.compress(data)).decode()


def _read_mark(mark: str, fingerprints: Mapping[str, str]) -> Checkpoint:
    try:
        data = zlib.decompressobj().decompress(base64.urlsafe_b64decode(mark), 1 << 20)
        read = msgspec.json.decode(data, type=_Mark)
    except (ValueError, TypeError, zlib.error):
        raise BadExportError("after is not a mark of a stream: pass a value of batches.mark") from None
    problem = why_foreign(read.fingerprints, fingerprints, name="stream", each="list", own="a mark")
    if read.version != _VERSION:
        problem = "was made by another version of this package"
    if problem is not None:
        raise BadExportError(f"after {problem}, or leave it out to begin again")
    return read.checkpoint
