"""Records as Arrow tables of one schema, and as Parquet files in row groups.

The columns are those of the model, in its order and types, so that all files of a list have one schema. Fields that the
model does not know are JSON text in a last column, `unknown_fields`. With `columns="found"`, and for lists without a
model, they have columns of their own, with the type that all their values share, or JSON text otherwise. A value that
cannot be read as its column's type becomes null, and is counted.

Records that match the model go through pyarrow's own JSON reader, which takes a fifth of the time of building Python
objects and lets other threads run. It is strict: it refuses a whole batch if any value is not of its column's type. The
records that do not match are then read value by value, by the tolerant rules. Both ways give the same for a record that
matches.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from typing import Annotated, Any, BinaryIO, TypeAlias

import msgspec

from carecloud_async._base.codec.json_text import load_spelled
from carecloud_async._base.codec.misfits import SCALARS
from carecloud_async._base.runtime.threads import ThreadYielder
from carecloud_async._lists.export.errors import missing_extra
from carecloud_async._lists.export.formats.schema import (
    UNKNOWN_FIELDS,
    LostValues,
    SchemaBuilder,
    Shape,
    as_text,
    is_blank,
    is_slot_name,
    shape_of,
)
from carecloud_async._lists.export.formats.sinks import Layout, Sink, pieces

_TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "date": date, "datetime": datetime}
_INT64 = 2**63

Reader: TypeAlias = Callable[[Any], Any]

#: Records in a row group: some ten megabytes of customers.
ROW_GROUP = 20_000
#: Bytes of records that are read at a time: joining them holds the interpreter lock for a millisecond.
_PIECE = 4 << 20


def require_pyarrow() -> None:
    """Import pyarrow, which is slow.

    Raises:
        BadExportError: it is not installed.
    """
    try:
        import pyarrow.compute
        import pyarrow.json
        import pyarrow.parquet  # noqa: F401  (an extra)
    except ImportError:
        raise missing_extra("Parquet", "parquet") from None


class ParquetSink(Sink):
    """See `Sink`."""

    is_incremental = True

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        super().__init__(file, layout)
        self._builder = SchemaBuilder(layout.into)
        self._fixed = has_fixed_columns(layout)
        # The type of a found column depends on all records, so nothing can be written before they are known.
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


class ArrowEncoder:
    """Turns records into Arrow tables.

    Args:
        layout: the model, the wanted fields and the timestamps.
        builder: the fields that were found, for `columns="found"` and lists without a model.

    Attributes:
        schema: the columns.
        nulls: how many values became null because their column cannot hold them, by dotted field name.
    """

    def __init__(self, layout: Layout, builder: SchemaBuilder) -> None:
        import pyarrow as pa  # an extra

        wanted = dict(layout.fields)
        has_unknown = has_fixed_columns(layout) and (not wanted or UNKNOWN_FIELDS in wanted)
        if has_unknown:
            wanted.pop(UNKNOWN_FIELDS, None)
        # A selection of the unknown fields alone must not become a selection of everything.
        shape = builder.shape.select(wanted) if wanted or not layout.fields else Shape(kind="object")
        self.nulls: Counter[str] = Counter()
        self._yielder = ThreadYielder()
        self._unknown = _UnknownFields(builder, self._yielder) if has_unknown else None
        self._zone = zone = layout.timezone if layout.timestamps == "utc" else None
        self._columns = pa.schema([(name, arrow_type(child, zone=zone)) for name, child in shape.children.items()])
        self._staged = pa.schema([pa.field(column.name, staged_type(column.type)) for column in self._columns])
        unknown = [pa.field(UNKNOWN_FIELDS, pa.string())] if has_unknown else []
        self.schema: Any = pa.schema([*self._columns, *unknown])
        self._read_row = _object_reader(shape, "", zone, self.nulls)
        self._strict = msgspec.json.Decoder(_strict_type(shape))

    def encode(self, lines: Sequence[bytes]) -> Any:
        """Return a table of the schema with a row for each record.

        Args:
            lines: the records, one line of JSON each.

        Raises:
            Malformed: a record is nested too deeply.
            RecursionError: likewise.
        """
        import pyarrow as pa

        if not lines:
            return self.schema.empty_table()
        unknown = self._unknown
        if unknown is None:
            return self._read(lines, self._parse(lines))
        if not self._columns:  # a table without columns would have no rows either
            return pa.table([unknown.column(lines)], schema=self.schema)
        # If pyarrow accepts the batch without unknown fields, no record need be searched for them. This is not tried
        # after a batch that had some.
        staged = None if unknown.were_found else self._parse(lines, unexpected="error")
        if staged is not None:
            table, column = self._read(lines, staged), pa.nulls(len(lines), pa.string())
        else:
            table, column = self._read(lines, self._parse(lines)), unknown.column(lines)
        return table.append_column(self.schema.field(UNKNOWN_FIELDS), column)

    def _read(self, lines: Sequence[bytes], staged: Any | None) -> Any:
        """Return a table of the model's columns.

        Args:
            lines: the records.
            staged: their table of the staged types; `None` if pyarrow does not read all of them.
        """
        table = None if staged is None else self._cast(staged)
        return self._read_mixed(lines) if table is None else table

    def _read_by_value(self, lines: Sequence[bytes]) -> Any:
        """Return a table read value by value; a value that its column cannot hold becomes null."""
        import pyarrow as pa

        records = map(load_spelled, self._yielder.each(lines))
        rows = [self._read_row(record) if isinstance(record, dict) else {} for record in records]
        return pa.Table.from_pylist(rows, schema=self._columns)

    def _parse(self, lines: Sequence[bytes], *, unexpected: str = "ignore") -> Any | None:
        """Return a table of the staged types as pyarrow reads it; `None` if it refuses a value or a field.

        Args:
            lines: the records.
            unexpected: what to do with unknown fields: `ignore` or `error`.
        """
        import pyarrow as pa
        import pyarrow.json

        data = b"\n".join(lines)
        if not self._columns or not data:
            return None
        try:
            table = pyarrow.json.read_json(
                pa.BufferReader(data),
                # One block, in this thread: the export has threads of its own.
                read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + 1),
                parse_options=pyarrow.json.ParseOptions(
                    explicit_schema=self._staged, unexpected_field_behavior=unexpected
                ),
            )
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
        return table if table.num_rows == len(lines) else None

    def _cast(self, staged: Any) -> Any | None:
        """Return a table of the columns' types from one of the staged types; `None` if a text is not a time."""
        import pyarrow as pa

        kinds = zip(map(_whole, staged.columns), self._columns.types, strict=True)
        try:
            columns = [read_times(column, kind, self._zone) for column, kind in kinds]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
        return pa.Table.from_arrays(columns, schema=self._columns)

    def _read_mixed(self, lines: Sequence[bytes]) -> Any:
        """Read the records that match the model by pyarrow, the others value by value; their order is kept."""
        import pyarrow as pa

        matching: list[int] = []
        others: list[int] = []
        for index, line in enumerate(self._yielder.each(lines)):
            (matching if self._matches(line) else others).append(index)
        staged = self._parse([lines[index] for index in matching])
        table = None if staged is None else self._cast(staged)
        if table is None:
            return self._read_by_value(lines)
        rest = self._read_by_value([lines[index] for index in others])
        places = {index: place for place, index in enumerate([*matching, *others])}
        return pa.concat_tables([table, rest]).take([places[index] for index in range(len(lines))])

    def _matches(self, line: bytes) -> bool:
        try:
            self._strict.decode(line)
        except (ValueError, RecursionError):
            return False
        return True


class _UnknownFields:
    """Searches records for the fields that their model does not know.

    Args:
        builder: has the shape of the model.
        yielder: lets other threads run meanwhile.

    Attributes:
        were_found: whether the last records had such fields.
    """

    def __init__(self, builder: SchemaBuilder, yielder: ThreadYielder) -> None:
        self._builder, self._yielder = builder, yielder
        self.were_found: bool = False

    def column(self, lines: Sequence[bytes]) -> Any:
        """Return these fields of each record, as JSON text."""
        import pyarrow as pa

        texts = [self._text(line) for line in self._yielder.each(lines)]
        self.were_found = any(text is not None for text in texts)
        return pa.array(texts, pa.string())

    def _text(self, line: bytes) -> str | None:
        if self._builder.knows(line):
            return None
        record = load_spelled(line)
        unknown = unknown_part(record, self._builder.shape) if isinstance(record, dict) else record
        return None if unknown is None else msgspec.json.encode(unknown).decode()


def _whole(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def has_fixed_columns(layout: Layout) -> bool:
    """Return whether the columns are always the model's."""
    return layout.columns == "model" and shape_of(layout.into).kind == "object"


def arrow_type(shape: Shape, *, zone: tzinfo | None) -> Any:
    """Return the Arrow type of a node of a schema.

    Args:
        shape: the node.
        zone: the zone that timestamps are converted from; `None` leaves them naive.
    """
    import pyarrow as pa

    if shape.kind == "object" and shape.children:
        return pa.struct([(name, arrow_type(child, zone=zone)) for name, child in shape.children.items()])
    if shape.kind == "list" and shape.element is not None:
        return pa.list_(arrow_type(shape.element, zone=zone))
    simple = {
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us", tz=None if zone is None else "UTC"),
    }
    return simple.get(shape.kind, pa.string())


def _strict_type(shape: Shape) -> Any:
    """Return a msgspec type that accepts exactly the values that pyarrow's reader accepts."""
    if shape.kind == "object" and shape.children:
        names = {f"f{index}": name for index, name in enumerate(shape.children) if is_slot_name(name)}
        fields = [(slot, _strict_type(shape.children[name]), None) for slot, name in names.items()]
        return msgspec.defstruct("Strict", fields, rename=names, gc=False) | None
    if shape.kind == "list" and shape.element is not None:
        return list[_strict_type(shape.element)] | None  # type: ignore[misc]
    whole: Any = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    naive: Any = Annotated[datetime, msgspec.Meta(tz=False)]
    simple: dict[str, Any] = {
        "int": whole | None,
        "float": float | None,
        "bool": bool | None,
        "date": date | None,
        "datetime": naive | None,
    }
    return simple.get(shape.kind, str | None)


_EPOCH = date(1970, 1, 1)
#: Between these days, counted from 1970, no time zone can shift a time out of Python's range. pyarrow also accepts a
#: year 0, which Python does not. A batch with other days is read value by value.
_FIRST_DAY, _LAST_DAY = ((date(year, 1, 1) - _EPOCH).days for year in (2, 9998))
_DAY = 24 * 60 * 60 * 1_000_000

#: The end of what pyarrow knows of a zone, in microseconds since 1970: the clock changes that zone files list, but not
#: their rule for the years after (seen with pyarrow 26: every summer time from 2038 on is an hour wrong).
_END_OF_RULES = int(datetime(2037, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


def staged_type(kind: Any) -> Any:
    """Return the type to read first: text for timestamps and dates.

    pyarrow's JSON reader does not read dates, and applies the offset of a timestamp, which has no meaning here. The
    cast from text reads dates and refuses offsets.
    """
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return pa.struct([pa.field(part.name, staged_type(part.type)) for part in kind])
    if pa.types.is_list(kind):
        return pa.list_(staged_type(kind.value_type))
    return pa.string() if pa.types.is_temporal(kind) else kind


def read_times(array: Any, kind: Any, zone: tzinfo | None) -> Any:
    """Return a column with its texts read as dates and timestamps, at any depth.

    Args:
        array: an array of the staged type.
        kind: its final type.
        zone: the zone of the timestamps, which become UTC; of an hour that repeats, the first. `None` leaves
            them naive.

    Raises:
        pyarrow.ArrowInvalid: a text is neither, or its year is outside `_FIRST_DAY` to `_LAST_DAY`.
    """
    import pyarrow as pa

    if not _holds_times(kind):
        return array
    if pa.types.is_struct(kind):
        children = [read_times(array.field(index), part.type, zone) for index, part in enumerate(kind)]
        own = 1  # the buffer that tells which values are null
    elif pa.types.is_list(kind):
        children = [read_times(array.values, kind.value_type, zone)]
        own = 2  # the same, and the buffer of the offsets at which lists begin
    elif array.null_count == len(array):
        return pa.nulls(len(array), kind)
    else:
        return _read(array, kind, zone)
    return pa.Array.from_buffers(kind, len(array), array.buffers()[:own], array.null_count, array.offset, children)


def _read(texts: Any, kind: Any, zone: tzinfo | None) -> Any:
    """Read texts as dates or timestamps; at least one of them is not null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_date = pa.types.is_date(kind)
    times, unit = texts.cast(kind if is_date else pa.timestamp("us")), 1 if is_date else _DAY
    span = pc.call_function("min_max", [times])
    first, last = span["min"].value, span["max"].value
    if first < _FIRST_DAY * unit or last >= _LAST_DAY * unit:
        raise pa.ArrowInvalid("a year that needs care")
    return times if is_date or zone is None else _to_utc(times, zone, has_rules=first >= 0 and last < _END_OF_RULES)


@cache
def _holds_times(kind: Any) -> bool:
    """Return whether a type is temporal, or holds a temporal one at any depth."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(_holds_times(part.type) for part in kind)
    return _holds_times(kind.value_type) if pa.types.is_list(kind) else bool(pa.types.is_temporal(kind))


def _to_utc(moments: Any, zone: tzinfo, *, has_rules: bool) -> Any:
    """Convert naive timestamps of a zone to UTC; of an hour that repeats, the first is meant.

    Args:
        moments: an array of timestamps.
        zone: the zone.
        has_rules: whether all are within the years for which pyarrow knows the zone.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    utc = pa.timestamp("us", tz="UTC")
    name = getattr(zone, "key", None)
    if name is not None and has_rules:
        try:
            options = pc.AssumeTimezoneOptions(name, ambiguous="earliest", nonexistent="raise")
            return pc.call_function("assume_timezone", [moments], options).view(utc)
        except pa.ArrowInvalid:
            pass  # an hour that does not exist when clocks go forward, or a system without a zone database for pyarrow
    converted = [moment and moment.replace(tzinfo=zone).astimezone(UTC) for moment in moments.to_pylist()]
    return pa.array(converted, utc)


def _reader(shape: Shape, name: str, zone: tzinfo | None, nulls: Counter[str]) -> Reader:
    lost = LostValues(name, nulls)
    if shape.kind == "object" and shape.children:
        return _object_reader(shape, name, zone, nulls)
    if shape.kind == "list" and shape.element is not None:
        read_element = _reader(shape.element, name, zone, nulls)

        def read_list(value: Any) -> Any:
            if isinstance(value, dict):  # PHP turns a list with gaps into an object
                value = list(value.values())
            if isinstance(value, list):
                return [read_element(inner) for inner in value]
            return None if is_blank(value) else lost.lost("not a list")

        return read_list
    kind = _TYPES.get(shape.kind)
    if kind is None:
        return lambda value: None if value is None else as_text(value)
    return _moment_reader(zone, lost) if kind is datetime else _scalar_reader(kind, lost)


def _object_reader(shape: Shape, name: str, zone: tzinfo | None, nulls: Counter[str]) -> Reader:
    """Return a function that reads an object as a dict of values of the columns' types; a whole record has no name."""
    lost = LostValues(name, nulls)
    names = {key: f"{name}.{key}" if name else key for key in shape.children}
    readers = {key: _reader(child, names[key], zone, nulls) for key, child in shape.children.items()}

    def read_object(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: read(value[key]) for key, read in readers.items() if key in value}
        return None if is_blank(value) or value == [] else lost.lost("not an object")

    return read_object


def _scalar_reader(kind: type, lost: LostValues) -> Reader:
    read = SCALARS[kind]
    plain = kind if kind in {str, bool} else None

    def read_scalar(value: Any) -> Any:
        if value is None or type(value) is plain:
            return value
        meant = read(_plain(value), lost)
        if type(meant) is int and not -_INT64 <= meant < _INT64:
            return lost.lost("a whole number beyond 64 bits")
        return None if isinstance(meant, float) and not math.isfinite(meant) else meant

    return read_scalar


def _plain(value: Any) -> Any:
    return float(bytes(value)) if isinstance(value, msgspec.Raw) else value


def _moment_reader(zone: tzinfo | None, lost: LostValues) -> Reader:
    read = SCALARS[datetime]

    def read_moment(value: Any) -> Any:
        meant = read(_plain(value), lost)
        if meant is None or zone is None:
            return meant
        try:
            return meant.replace(tzinfo=zone).astimezone(UTC)
        except OverflowError:
            return lost.lost("a time out of range")

    return read_moment


def unknown_part(value: Any, shape: Shape) -> Any:
    """Return the part of a record that its model does not know, nested as in the record; `None` for none.

    Objects keep the fields that are unknown or have an unknown part. Lists keep their length, with null for elements
    that are wholly known, so that each part keeps its place.

    Args:
        value: the record.
        shape: the model's shape.
    """
    if shape.kind == "object" and shape.children:
        if not isinstance(value, dict):
            return None
        unknown: dict[str, Any] = {}
        for name, inner in value.items():
            child = shape.children.get(name)
            part = inner if child is None else unknown_part(inner, child)
            if child is None or part is not None:
                unknown[name] = part
        return unknown or None
    if shape.kind == "list" and shape.element is not None:
        elements = list(value.values()) if isinstance(value, dict) else value
        if not isinstance(elements, list):
            return None
        parts = [unknown_part(inner, shape.element) for inner in elements]
        return parts if any(part is not None for part in parts) else None
    return None
