"""Parquet through pyarrow: real types, in row groups.

The model's fields have the model's types (timestamps are project-local, without a zone; what cannot be read as such a
type is null); fields that the model does not know have the type that all their values share, or else are JSON text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, BinaryIO

from carecloud_async.codec.repair import load
from carecloud_async.codec.scalars import SCALARS
from carecloud_async.codec.warnings import FieldWarning
from carecloud_async.export.errors import missing_extra
from carecloud_async.export.formats.arrow import read_tidy
from carecloud_async.export.formats.schema import SchemaBuilder, Shape, as_text
from carecloud_async.export.formats.sinks import Layout, Sink, SinkFactory

__all__ = ["ROW_GROUP", "parquet_sink"]

#: Records in a row group: some ten megabytes of customers.
ROW_GROUP = 20_000

_TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "date": date, "datetime": datetime}
_INT64 = 2**63


def parquet_sink() -> SinkFactory:
    """Return the sink.

    Raises:
        BadExportError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401  (an extra)
    except ImportError:
        raise missing_extra("Parquet", "parquet") from None
    return ParquetSink


class ParquetSink(Sink):
    """See `Sink`."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        super().__init__(file, layout)
        self._builder = SchemaBuilder(layout.into)
        self._reader: Callable[[Any], Any] | None = None
        self._schema: Any = None
        self._writer: Any = None
        self._tables: list[Any] = []
        self._waiting = 0

    def infer_schema(self, lines: Sequence[bytes]) -> None:
        """See `Sink.infer_schema`."""
        self._builder.learn(lines)

    def write(self, lines: Sequence[bytes]) -> None:
        """See `Sink.write`."""
        import pyarrow as pa

        self._begin()
        table = read_tidy(lines, self._schema)
        if table is None:
            reader = self._reader or (lambda value: value)
            rows = [reader(load(line)) or {} for line in lines]
            table = pa.Table.from_pylist(rows, schema=self._schema)
        self._tables.append(table)
        self._waiting += len(lines)
        if self._waiting >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """See `Sink.close`."""
        self._begin()
        self._flush()
        self._writer.close()

    def abort(self) -> None:
        """See `Sink.abort`."""
        if self._writer is not None:
            self._writer.is_open = False  # or it would write its footer when it is collected, to a closed file

    def _begin(self) -> None:
        if self._writer is not None:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        shape = self._builder.shape.select(self.layout.fields)
        self._reader = _reader(shape, name="record")
        self._schema = pa.schema([(name, _type(child)) for name, child in shape.children.items()])
        self._writer = pq.ParquetWriter(self.file, self._schema, compression="zstd")

    def _flush(self) -> None:
        if self._tables:
            import pyarrow as pa

            self._writer.write_table(pa.concat_tables(self._tables), row_group_size=ROW_GROUP)
            self._tables, self._waiting = [], 0


def _type(shape: Shape) -> Any:
    import pyarrow as pa

    if shape.kind == "object" and shape.children:
        return pa.struct([(name, _type(child)) for name, child in shape.children.items()])
    if shape.kind == "list" and shape.element is not None:
        return pa.list_(_type(shape.element))
    simple = {
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
    }
    return simple.get(shape.kind, pa.string())


def _reader(shape: Shape, *, name: str) -> Callable[[Any], Any]:
    """Return what turns a value of JSON into one that fits the shape's type."""
    if shape.kind == "object" and shape.children:
        readers = {key: _reader(child, name=key) for key, child in shape.children.items()}

        def read_object(value: Any) -> Any:
            if not isinstance(value, dict):
                return None
            return {key: read(value[key]) for key, read in readers.items() if key in value}

        return read_object
    if shape.kind == "list" and shape.element is not None:
        read_element = _reader(shape.element, name=name)

        def read_list(value: Any) -> Any:
            if isinstance(value, dict):  # PHP turns a list with gaps into an object
                value = list(value.values())
            return [read_element(inner) for inner in value] if isinstance(value, list) else None

        return read_list
    kind = _TYPES.get(shape.kind)
    if kind is None:
        return lambda value: None if value is None else as_text(value)
    return _scalar_reader(kind, FieldWarning("export", name))


def _scalar_reader(kind: type, spot: FieldWarning) -> Callable[[Any], Any]:
    read = SCALARS[kind]
    plain = kind if kind in {str, bool} else None

    def read_scalar(value: Any) -> Any:
        if value is None or type(value) is plain:
            return value
        found = read(value, spot)
        if isinstance(found, datetime):
            return found.replace(tzinfo=None)
        if type(found) is int and not -_INT64 <= found < _INT64:
            return None
        return None if isinstance(found, float) and not math.isfinite(found) else found

    return read_scalar
