"""Lists for code without async: an event loop in a thread of its own reads, and a plain iterator yields the batches.

The caller's thread may run a loop too, as in a notebook. The loop of a list ends when the iterator is closed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from anyio.from_thread import start_blocking_portal
from attrs import evolve

from carecloud_async._calls.call.caller import Caller
from carecloud_async._lists.export.batches import BatchOptions, RecordBatches
from carecloud_async._lists.export.reasons import inexact_error
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async.errors import ExportError

if TYPE_CHECKING:
    import pyarrow

__all__ = ["ArrowStream", "OpenSource", "stream"]

#: Opens a client, and a list on it.
OpenSource: TypeAlias = Callable[[], AbstractAsyncContextManager[ListSource[Any]]]


class ArrowStream:
    """A list that polars, DuckDB, pandas, pyarrow and others read as they read any Arrow data.

    It holds no records. Each reading requests them from the server; `report` describes the last reading.

    Args:
        source: the list.
        options: how it is read.
        allow_inexact: whether to accept a reading that may lack records.
    """

    def __init__(self, source: ListSource[Any], options: BatchOptions, *, allow_inexact: bool) -> None:
        self._source = source
        self._options = options
        self._allow_inexact = allow_inexact
        self._report: ExportReport | None = None
        self._error: Exception | None = None
        # A list that cannot be streamed is refused here, before anything is sent.
        self._schema = RecordBatches(source, options).schema
        self._reopened()

    @property
    def schema(self) -> pyarrow.Schema:
        """The schema: the model's columns, and `unknown_fields`."""
        return self._schema

    @property
    def report(self) -> ExportReport:
        """The report of the last reading.

        Raises:
            ExportError: no reading has ended.
            CareCloudError: the error that ended it; of an error, Arrow's C stream passes on the text alone.
        """
        if self._error is not None:
            raise self._error
        if self._report is None:
            raise ExportError("the stream was not read to its end: the report is available after the last batch")
        return self._report

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Begin a reading, and return it as Arrow's C stream (the Arrow PyCapsule interface)."""
        return self.reader().__arrow_c_stream__(requested_schema)

    def reader(self) -> pyarrow.RecordBatchReader:
        """Begin a reading, and return it as a reader of record batches, for libraries that take only these."""
        import pyarrow  # an extra

        self._report = self._error = None
        return pyarrow.RecordBatchReader.from_batches(self._schema, self._batches())

    def _batches(self) -> Iterator[pyarrow.RecordBatch]:
        try:
            yield from stream(self._open, self._options, check=self._check)
        except Exception as error:
            self._error = error
            raise

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[ListSource[Any]]:
        async with self._reopened() as caller:
            yield evolve(self._source, caller=caller)

    def _reopened(self) -> AbstractAsyncContextManager[Caller]:
        """Return a client of its own for another event loop; refuses one that would harm the listing's."""
        caller = self._source.caller
        assert caller.context.twin is not None and caller.tokens is not None  # noqa: S101, PT018  (a listing has both)
        return caller.context.twin(caller.tokens.provider, caller.options)

    def _check(self, report: ExportReport) -> None:
        if not report.exact and not self._allow_inexact:
            raise inexact_error(self._source.name, report.reasons, accept="allow_inexact=True")
        self._report = report


def stream(
    open_source: OpenSource, options: BatchOptions, *, check: Callable[[ExportReport], None]
) -> Iterator[pyarrow.RecordBatch]:
    """Yield the record batches of a list as they are read; closing the iterator ends the reading.

    Args:
        open_source: opens the client and the list.
        options: how it is read.
        check: called with the report after the last batch; an exception it raises is passed on.

    Raises:
        CareCloudError: the server cannot be read.
    """

    @asynccontextmanager
    async def open_batches() -> AsyncIterator[RecordBatches]:
        async with open_source() as source, RecordBatches(source, options) as batches:
            yield batches

    async def following(batches: RecordBatches) -> pyarrow.RecordBatch | None:
        return await anext(batches, None)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(open_batches()) as batches:
        while (batch := portal.call(following, batches)) is not None:
            yield batch
        check(batches.report)
