"""Parquet through pyarrow: real types, in row groups.

The columns are always the model's, in its order and types, so that the files of all nights have one schema; fields that
the model does not know are JSON text in a last column, `unknown_fields`. With `columns="found"`, and for lists without
a model, they have columns of their own, with the type that all their values share, or JSON text otherwise. A value that
cannot be read as its column's type becomes null, and is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from carecloud_async._lists.export.formats.arrow import ArrowEncoder, has_fixed_columns, require_pyarrow
from carecloud_async._lists.export.formats.schema import SchemaBuilder
from carecloud_async._lists.export.formats.sinks import IncrementalSink, Layout, SinkFactory, pieces

__all__ = ["ROW_GROUP", "parquet_sink"]

#: Records in a row group: some ten megabytes of customers.
ROW_GROUP = 20_000
#: Bytes of records that are read at a time: joining them holds the interpreter lock for a millisecond.
_PIECE = 4 << 20


def parquet_sink() -> SinkFactory:
    """Return the sink.

    Raises:
        BadExportError: pyarrow is not installed.
    """
    require_pyarrow()
    return ParquetSink


class ParquetSink(IncrementalSink):
    """See `Sink`."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        super().__init__(file, layout)
        self._builder = SchemaBuilder(layout.into)
        self._fixed = has_fixed_columns(layout)
        # Found columns have types that only all records together decide.
        self.outdated: bool = not self._fixed
        self._encoder: ArrowEncoder | None = None
        self._writer: Any = None
        self._tables: list[Any] = []
        self._waiting = 0

    @property
    def nulls(self) -> Mapping[str, int]:
        """See `Sink.nulls`."""
        return {} if self._encoder is None else dict(self._encoder.nulls)

    def infer_schema(self, lines: Sequence[bytes]) -> None:
        """See `Sink.infer_schema`."""
        if not self._fixed:
            self._builder.learn(lines)

    def write(self, lines: Sequence[bytes]) -> None:
        """See `Sink.write`."""
        for piece in pieces(lines, size=_PIECE):
            self._tables.append(self._begin().encode(piece))
            self._waiting += len(piece)
        self._flush_full_groups()

    def close(self) -> None:
        """See `Sink.close`."""
        self._begin()
        self._flush()
        self._writer.close()

    def abort(self) -> None:
        """See `Sink.abort`."""
        if self._writer is not None:
            self._writer.is_open = False  # otherwise its finalizer would write the footer to a closed file

    def _begin(self) -> ArrowEncoder:
        if self._encoder is None:
            import pyarrow.parquet as pq

            self._encoder = ArrowEncoder(self.layout, self._builder)
            self._writer = pq.ParquetWriter(self.file, self._encoder.schema, compression="zstd")
        return self._encoder

    def _flush(self) -> None:
        """Write the buffered records."""
        if self._waiting:
            self._writer.write_table(self._waiting_table(), row_group_size=ROW_GROUP)
            self._tables, self._waiting = [], 0

    def _flush_full_groups(self) -> None:
        """Write whole row groups; the rest stays buffered."""
        full = self._waiting - self._waiting % ROW_GROUP
        if full:
            table = self._waiting_table()
            self._writer.write_table(table.slice(0, full), row_group_size=ROW_GROUP)
            self._tables, self._waiting = [table.slice(full)], self._waiting - full

    def _waiting_table(self) -> Any:
        import pyarrow as pa

        return pa.concat_tables(self._tables)
