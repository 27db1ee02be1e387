"""What readers of whole lists and of changes share: the partitions of a list, and the records of one."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

from anyio.from_thread import start_blocking_portal
from attrs import frozen
from pyspark.sql.pandas.types import to_arrow_schema  # pyright: ignore[reportMissingImports]
from pyspark.sql.types import StructType  # pyright: ignore[reportMissingImports]

from carecloud_async._lists.export.batches import BatchOptions
from carecloud_async._lists.export.reading.ranges import IdRange, find_ranges
from carecloud_async._lists.export.reading.times import FIELD as LAST_CHANGE
from carecloud_async._lists.export.reasons import inexact_error
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.listings.arrow_stream import stream
from carecloud_async._lists.listings.listing import Listing
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async.client import CareCloud
from carecloud_async.errors import ResponseError
from carecloud_async.spark.settings import ReadSettings

if TYPE_CHECKING:
    import pyarrow

__all__ = ["ListReader", "Partition", "run"]

T = TypeVar("T")

_WHOLE = IdRange()
#: PySpark before 4.3 takes no time zone here: its times are in UTC.
_IN_UTC: dict[str, Any] = {"timezone": "UTC"} if "timezone" in signature(to_arrow_schema).parameters else {}


@frozen(kw_only=True)
class Partition:
    """What one task reads; Spark carries it in an `InputPartition`.

    Attributes:
        id_range: the range of ids.
        changed_since: only what changed at or after this time, in ISO 8601; everything if `None`.
        before: without what changed at or after this time.
        expects_records: whether the list is known to have records, so that an empty one is not exact.
    """

    id_range: IdRange = _WHOLE
    changed_since: str | None = None
    before: str | None = None
    expects_records: bool = False


class ListReader:
    """Finds the partitions of a list, and reads them. Spark pickles it, and runs it on the driver and in the tasks.

    Args:
        connect: returns the client, which each reader opens.
        settings: what is read.
        schema: the columns, as Spark knows them.
    """

    def __init__(
        self,
        *,
        connect: Callable[[], AbstractAsyncContextManager[CareCloud]],
        settings: ReadSettings,
        schema: StructType,
    ) -> None:
        self.settings: ReadSettings = settings
        self._connect = connect
        self._schema = schema

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Listing[Any]]:
        """Open the client, and the list on it."""
        async with self._connect() as client:
            yield self.settings.listing(client)

    @asynccontextmanager
    async def _open_source(self) -> AsyncIterator[ListSource[Any]]:
        async with self.open() as listing:
            yield listing.export_source()

    def find_ranges(self) -> tuple[list[IdRange], bool]:
        """Return ranges of ids that cover the list, one if it has no order of ids, and whether it has records."""
        return run(self._find_ranges)

    async def _find_ranges(self) -> tuple[list[IdRange], bool]:
        settings = self.settings
        async with self.open() as listing:
            try:
                total = await listing.total()
            except ResponseError:  # the server does not say how many there are
                return [IdRange()], False
            pages = math.ceil(total / settings.count)
            return await find_ranges(listing.export_source(), partitions=min(settings.partitions, pages)), total > 0

    def read_partition(self, partition: Partition) -> Iterator[pyarrow.RecordBatch]:
        """Yield the records of one partition, in Spark's own Arrow types.

        Raises:
            ExportError: it cannot be read exactly.
            CareCloudError: the server cannot be read.
        """
        types = to_arrow_schema(self._schema, **_IN_UTC)
        options = BatchOptions(
            concurrency=self.settings.concurrency,
            changed_since=partition.changed_since,
            id_range=None if partition.id_range.is_whole_list else partition.id_range,
            expects_records=partition.expects_records,
        )
        for batch in stream(self._open_source, options, check=self._check):
            if partition.before is not None:
                batch = _changed_before(batch, datetime.fromisoformat(partition.before))
            if batch.num_rows:
                yield batch.cast(types)

    def _check(self, report: ExportReport) -> None:
        if not report.exact and not self.settings.allow_inexact:
            name = self.settings.operation.call.removesuffix(".list")
            raise inexact_error(name, report.reasons, accept="allow_inexact=true")


def run(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function on a loop in a thread of its own."""
    with start_blocking_portal() as portal:
        result: T = portal.call(function)
    return result


def _changed_before(batch: pyarrow.RecordBatch, moment: datetime) -> pyarrow.RecordBatch:
    """Return the records that changed before a time, and those without one."""
    import pyarrow as pa
    import pyarrow.compute

    compute: Any = pyarrow.compute  # its functions are made when it is imported, and no type checker sees them
    times = batch.column(LAST_CHANGE)
    before = compute.less(times, pa.scalar(moment, times.type))
    return batch.filter(compute.or_kleene(compute.is_null(times), before))
