"""`CareCloudDataSource`: the data source, and its reader of whole lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC
from typing import TYPE_CHECKING

from carecloud_async._lists.export.formats.arrow import arrow_type
from carecloud_async._lists.export.formats.rows import UNKNOWN_FIELDS
from carecloud_async._lists.export.formats.schema import shape_of
from carecloud_async.client import CareCloud
from carecloud_async.spark.changes import ChangesReader
from carecloud_async.spark.pyspark_api import (
    DataSource,  # pyright: ignore[reportAttributeAccessIssue]
    DataSourceReader,  # pyright: ignore[reportAttributeAccessIssue]
    DataSourceStreamReader,  # pyright: ignore[reportAttributeAccessIssue]
    InputPartition,  # pyright: ignore[reportAttributeAccessIssue]
    StructType,  # pyright: ignore[reportAttributeAccessIssue]
    from_arrow_schema,  # pyright: ignore[reportAttributeAccessIssue]
)
from carecloud_async.spark.reading import ListReader, Partition
from carecloud_async.spark.settings import ReadSettings, connect

if TYPE_CHECKING:
    import pyarrow

__all__ = ["CareCloudDataSource"]


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
        model = self.settings().model()  # a wrong option is told before a missing package
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
        return [InputPartition(Partition(id_range=one)) for one in self.find_ranges()]

    def read(self, partition: InputPartition) -> Iterator[pyarrow.RecordBatch]:
        """Yield the records of one partition."""
        return self.read_partition(partition.value)
