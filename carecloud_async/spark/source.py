"""`CareCloudDataSource`: the data source, with its reader of whole lists and its reader of changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import (  # pyright: ignore[reportMissingImports]
    DataSource,
    DataSourceReader,
    DataSourceStreamReader,
    InputPartition,
)
from pyspark.sql.pandas.types import from_arrow_schema  # pyright: ignore[reportMissingImports]
from pyspark.sql.types import StructType  # pyright: ignore[reportMissingImports]

from carecloud_async._base.runs import IDENTITY, why_foreign
from carecloud_async._lists.export.formats.arrow import arrow_type
from carecloud_async._lists.export.formats.schema import UNKNOWN_FIELDS, shape_of
from carecloud_async._lists.export.reading.changed import FAR_END, NEAR_END, is_sorted_by_change
from carecloud_async._lists.export.reading.pages import RawPage, RawPageReader
from carecloud_async._lists.export.reading.since import OVERLAP, Since, parse_since, require_changes
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async.client import CareCloud
from carecloud_async.errors import ExportError
from carecloud_async.fixes import Fix
from carecloud_async.spark.reading import ListReader, Partition, run
from carecloud_async.spark.settings import ReadSettings, connect

if TYPE_CHECKING:
    import pyarrow

__all__ = ["CareCloudDataSource", "ChangesReader"]

#: The keys of an offset: its time, whether the list had records then, and digests of what the stream reads.
_BEFORE, _HAS_RECORDS, _STREAM = "changed_before", "has_records", "stream"

#: What may differ when a stream is restarted, since the same records are due.
_MAY_DIFFER = {IDENTITY, "language"}

#: The words for `why_foreign`, and the fix, if the checkpoint is that of another stream.
_WORDS = {"name": "stream", "each": "stream", "own": "a checkpoint"}
_START_EMPTY = Fix("begin this one with an empty checkpoint")

#: Records that are requested at the near end of the list, where the latest changes are.
_NEAR_ROWS = 20

#: Records that are requested at the far end, where those without a time may be.
_FAR_ROWS = 200

Offset = dict[str, Any]


class CareCloudDataSource(DataSource):
    """A list of CareCloud as a data source of Spark; see `carecloud_async.spark`."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format: `carecloud`."""
        return "carecloud"

    def connect(self) -> AbstractAsyncContextManager[CareCloud]:
        """Return the client, which each reader opens: the driver, and each task.

        Raises:
            ConfigurationError: a setting is missing or cannot work.
        """
        return connect(self.options)

    def settings(self) -> ReadSettings:
        """Return the options that say what is read.

        Raises:
            ConfigurationError: one is missing, unknown or of the wrong kind.
        """
        return ReadSettings.read(self.options)

    def schema(self) -> StructType:
        """Return the columns: the model's, and `unknown_fields`. Nothing is sent."""
        model = self.settings().model()  # a wrong option is reported before a missing package
        import pyarrow as pa

        fields = [(name, arrow_type(child, zone=UTC)) for name, child in shape_of(model).children.items()]
        return from_arrow_schema(pa.schema([*fields, (UNKNOWN_FIELDS, pa.string())]))

    def reader(self, schema: StructType) -> DataSourceReader:
        """Return the reader of the whole list, or of what changed since the option `changed_since`."""
        return _WholeReader(connect=self.connect, settings=self.settings(), schema=schema)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802  (Spark's name)
        """Return the reader of changes."""
        return ChangesReader(connect=self.connect, settings=self.settings(), schema=schema)


class _WholeReader(ListReader, DataSourceReader):
    """Reads a whole list, or what changed since a time."""

    def partitions(self) -> Sequence[InputPartition]:
        """Return what each task reads."""
        since = self.settings.changed_since
        if since is not None:
            return [InputPartition(Partition(changed_since=since))]
        ranges, has_records = self.find_ranges()
        return [InputPartition(Partition(id_range=id_range, expects_records=has_records)) for id_range in ranges]

    def read(self, partition: InputPartition) -> Iterator[pyarrow.RecordBatch]:
        """Yield the records of one partition."""
        return self.read_partition(partition.value)


class ChangesReader(ListReader, DataSourceStreamReader):
    """Reads a list batch by batch: what changed from one time to before another.

    An offset has the end time of a batch, exclusive; `None` means from the start of the list. The end is two minutes
    before the server's time, because lists show changes late. A repeated batch returns the same records, except
    records changed since then, which a later batch returns.

    The offset also tells a stream that is restarted whether the list had records, because an empty list is then not
    exact, and what the stream has read, because it must not go on with another list.

    Raises:
        BadExportError: the records of the list do not say when they changed.
    """

    #: Where the last batch ended, as far as this reader knows.
    _latest: Offset | None = None
    #: Whether the server applies the sort by the latest change; `None` until it is known.
    _sorted: bool | None = None
    #: Digests of the records without a time at the far end of the list, as it was last seen.
    _timeless: Sequence[str] = ()

    def initialOffset(self) -> Offset:  # noqa: N802  (Spark's name)
        """Return the beginning: the option `changed_since` in UTC, or `None` for everything."""
        initial = run(self._find_initial)
        if initial[_BEFORE] is not None:
            self._latest = initial  # no batch ends before it
        return initial

    async def _find_initial(self) -> Offset:
        async with self.open() as listing:
            source = listing.export_source()
            require_changes(source)
            since = self.settings.changed_since
            return _offset(None if since is None else parse_since(since, source.project).moment, source)

    def latestOffset(self) -> Offset:  # type: ignore[override]  # noqa: N802  (as Spark 4.0 has it)
        """Return the end of the next batch: the current end, or the last one if nothing changed.

        Sends one request, or two if nothing changed. The first call sends two or three more, to see whether the server
        sorts by change.
        """
        self._latest = run(self._find_latest)
        return self._latest

    async def _find_latest(self) -> Offset:
        async with self.open() as listing:
            source = listing.export_source()
            reader = RawPageReader(source)
            page = await reader.fetch(0, _NEAR_ROWS, NEAR_END)
            latest = self._latest or _offset(None, source)
            last = latest[_BEFORE]
            if reader.began is None:  # no `Date` header shows the server's time
                return latest
            if last is not None and await self._is_unchanged(reader, page, parse_since(last, source.project)):
                return latest
        end = reader.began - OVERLAP
        # Server clocks may be set back: an offset never goes back with them.
        end = end if last is None else max(end, datetime.fromisoformat(last))
        return _offset(end, source, has_records=bool(page.items))

    async def _is_unchanged(self, reader: RawPageReader, page: RawPage, since: Since) -> bool:
        """Return whether both ends of the list, sorted by change, show that nothing changed since a time.

        Args:
            reader: reads pages of the list.
            page: the page at the near end.
            since: the time.
        """
        if not page.items:
            return True
        newest = (await reader.times.read(page.items))[0]
        if not isinstance(newest, datetime) or newest >= since.local:  # some servers sort records without a time first
            return False
        far = await reader.fetch(0, _FAR_ROWS, FAR_END)
        if self._sorted is None:
            self._sorted = await is_sorted_by_change(reader, page, far)
        return self._sorted and not await self._has_new_timeless(reader, far)

    async def _has_new_timeless(self, reader: RawPageReader, far: RawPage) -> bool:
        """Return whether there may be records without a time, at the far end, that the call before did not see."""
        times = await reader.times.read(far.items)
        timeless = TimelessRecords(self._timeless)
        count, has_new = 0, False
        for key, line, time in zip(far.ids, far.items, times, strict=True):
            if not isinstance(time, datetime):
                count += 1
                has_new = has_new or timeless.is_new(line)
                timeless.remember(key, line)
        self._timeless = timeless.found
        return has_new or count == _FAR_ROWS  # behind a full page there may be more of them

    def partitions(self, start: Offset, end: Offset) -> Sequence[InputPartition]:
        """Return what each task reads: ranges of everything for the first batch, the changes in one partition later."""
        since, before = start[_BEFORE], end[_BEFORE]
        self._latest = end
        if start == end:
            return []
        run(partial(self._require_same_stream, start, end))
        had_records = start[_HAS_RECORDS] or end[_HAS_RECORDS]
        if since is not None:
            return [InputPartition(Partition(changed_since=since, before=before, expects_records=had_records))]
        ranges, has_records = self.find_ranges()
        expects_records = had_records or has_records
        return [
            InputPartition(Partition(id_range=id_range, before=before, expects_records=expects_records))
            for id_range in ranges
        ]

    async def _require_same_stream(self, *offsets: Offset) -> None:
        """Check that a stream that is restarted reads what it read before.

        Raises:
            ExportError: it reads another list, or the same one with times in another zone. A later batch has only what
                changed, so the records of that list would be missing.
        """
        async with self.open() as listing:
            source = listing.export_source()
        for offset in offsets:
            problem = why_foreign(offset[_STREAM], _digests(source), **_WORDS)
            if problem is not None:
                raise ExportError(f"the checkpoint of the stream of {source.name} {problem}", fix=_START_EMPTY)

    def read(self, partition: InputPartition) -> Iterator[pyarrow.RecordBatch]:
        """Yield the records of one partition."""
        return self.read_partition(partition.value)


def _offset(end: datetime | None, source: ListSource[Any], *, has_records: bool = False) -> Offset:
    return {
        _BEFORE: None if end is None else end.isoformat(),
        _HAS_RECORDS: has_records,
        _STREAM: _digests(source),
    }


def _digests(source: ListSource[Any]) -> Mapping[str, str]:
    """Return digests of what decides which records are due at which time."""
    fingerprints = source.fingerprints(timezone=source.project.timezone.key)
    return {name: digest for name, digest in fingerprints.items() if name not in _MAY_DIFFER}
