"""Records as Arrow tables of one schema: the model's fields, and unknown ones as JSON text in a last column.

Records that match the model go through pyarrow's own JSON reader, which takes a fifth of the time of building Python
objects and lets other threads run. It is strict: it refuses a whole batch if any value is not of its column's type. The
records that do not match are then read value by value, by the tolerant rules; for all others both ways give the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from typing import Annotated, Any

import msgspec

from carecloud_async._base.codec.json_text import load_spelled
from carecloud_async._base.runtime.threads import ThreadYielder
from carecloud_async._lists.export.errors import missing_extra
from carecloud_async._lists.export.formats.rows import UNKNOWN_FIELDS, row_reader, unknown_part
from carecloud_async._lists.export.formats.schema import SchemaBuilder, Shape, is_slot_name, shape_of
from carecloud_async._lists.export.formats.sinks import Layout

__all__ = ["ArrowEncoder", "arrow_type", "require_pyarrow"]


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

        fields = dict(layout.fields)
        keeps_unknown = has_fixed_columns(layout) and (not fields or fields.pop(UNKNOWN_FIELDS, None) is not None)
        # A selection of the unknown fields alone must not become a selection of everything.
        shape = builder.shape.select(fields) if fields or not layout.fields else Shape(kind="object")
        self.nulls: Counter[str] = Counter()
        self._yielder = ThreadYielder()
        self._model = builder.shape
        self._knows = builder.knows if keeps_unknown else None
        self._zone = zone = layout.timezone if layout.timestamps == "utc" else None
        self._known = pa.schema([(name, arrow_type(child, zone=zone)) for name, child in shape.children.items()])
        self.schema: Any = self._known.append(pa.field(UNKNOWN_FIELDS, pa.string())) if keeps_unknown else self._known
        self._staged = pa.schema([pa.field(one.name, staged_type(one.type)) for one in self._known])
        self._read_row = row_reader(shape, zone=zone, nulls=self.nulls)
        self._exact = msgspec.json.Decoder(_exact_type(shape))
        self._expects_unknown = False

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
        if not self._known and self._knows is not None:  # a table without columns would have no rows either
            return pa.table([pa.array(self._unknown_texts(lines), pa.string())], schema=self.schema)
        tries_all_known = self._knows is not None and not self._expects_unknown
        staged = self._parse(lines, unexpected="error") if tries_all_known else None
        are_all_known = staged is not None
        if staged is None:
            staged = self._parse(lines)
        table = self._typed(staged) or self._read_mixed(lines)
        if self._knows is None:
            return table
        texts = [] if are_all_known else self._unknown_texts(lines)
        self._expects_unknown = any(text is not None for text in texts)
        column = pa.nulls(len(lines), pa.string()) if are_all_known else pa.array(texts, pa.string())
        return table.append_column(self.schema.field(UNKNOWN_FIELDS), column)

    def _read_by_value(self, lines: Sequence[bytes]) -> Any:
        """Return a table of the known columns, read value by value; a value that no column can hold becomes null."""
        import pyarrow as pa

        rows = [self._read_row(load_spelled(line)) for line in self._yielder.each(lines)]
        return pa.Table.from_pylist(rows, schema=self._known)

    def _parse(self, lines: Sequence[bytes], *, unexpected: str = "ignore") -> Any | None:
        """Return a table of the staged types as pyarrow reads it; `None` if it refuses a value or a field.

        Args:
            lines: the records.
            unexpected: what to do with unknown fields: `ignore` or `error`.
        """
        import pyarrow as pa
        import pyarrow.json

        data = b"\n".join(lines)
        if not self._known or not data:
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

    def _typed(self, staged: Any | None) -> Any | None:
        """Return a table of the known columns; `None` if a text is no time, or there is no table."""
        import pyarrow as pa

        if staged is None:
            return None
        kinds = zip(map(_whole, staged.columns), self._known.types, strict=True)
        try:
            columns = [read_times(column, kind, self._zone) for column, kind in kinds]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
        return pa.Table.from_arrays(columns, schema=self._known)

    def _read_mixed(self, lines: Sequence[bytes]) -> Any:
        """Read records that match the model together and the others one by one, in their order."""
        import pyarrow as pa

        exact: list[int] = []
        others: list[int] = []
        for index, line in enumerate(self._yielder.each(lines)):
            (exact if self._is_exact(line) else others).append(index)
        table = self._typed(self._parse([lines[index] for index in exact]))
        if table is None:
            return self._read_by_value(lines)
        rest = self._read_by_value([lines[index] for index in others])
        places = {index: place for place, index in enumerate([*exact, *others])}
        return pa.concat_tables([table, rest]).take([places[index] for index in range(len(lines))])

    def _is_exact(self, line: bytes) -> bool:
        try:
            self._exact.decode(line)
        except (ValueError, RecursionError):
            return False
        return True

    def _unknown_texts(self, lines: Sequence[bytes]) -> list[str | None]:
        return [self._unknown_text(line) for line in self._yielder.each(lines)]

    def _unknown_text(self, line: bytes) -> str | None:
        if self._knows is None or self._knows(line):
            return None
        record = load_spelled(line)
        found = unknown_part(record, self._model) if isinstance(record, dict) else record
        return None if found is None else msgspec.json.encode(found).decode()


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


def _exact_type(shape: Shape) -> Any:
    """Return a msgspec type that accepts exactly the values that pyarrow's reader accepts."""
    if shape.kind == "object" and shape.children:
        names = {f"f{index}": name for index, name in enumerate(shape.children) if is_slot_name(name)}
        fields = [(slot, _exact_type(shape.children[name]), None) for slot, name in names.items()]
        return msgspec.defstruct("Exact", fields, rename=names, gc=False) | None
    if shape.kind == "list" and shape.element is not None:
        return list[_exact_type(shape.element)] | None  # type: ignore[misc]
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
#: Between these days, counted from 1970, no time zone can shift a time out of Python's range. Other days are read value
#: by value. pyarrow also accepts a year 0, which Python does not.
_FIRST_DAY, _LAST_DAY = ((date(year, 1, 1) - _EPOCH).days for year in (2, 9998))
_DAY = 24 * 60 * 60 * 1_000_000

#: pyarrow knows the clock changes that zone files list, but not the rule for the years from 2037 on (seen with
#: pyarrow 26: every summer time from 2038 on is an hour wrong). In microseconds since 1970.
_END_OF_RULES = int(datetime(2037, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


def staged_type(kind: Any) -> Any:
    """Return the type to read first: text for timestamps and dates.

    The reader would apply a timestamp's offset, which has no meaning here, and does not read dates. The cast from text
    refuses offsets and reads dates.
    """
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return pa.struct([pa.field(one.name, staged_type(one.type)) for one in kind])
    if pa.types.is_list(kind):
        return pa.list_(staged_type(kind.value_type))
    return pa.string() if pa.types.is_temporal(kind) else kind


def read_times(array: Any, kind: Any, zone: tzinfo | None) -> Any:
    """Return a column with its texts read as dates and timestamps, at any depth.

    Args:
        array: an array of the staged type.
        kind: its final type.
        zone: the zone that moments are converted to UTC from, the earlier where an hour repeats; `None` leaves them
            naive.

    Raises:
        pyarrow.ArrowInvalid: a text is neither, or of a year that needs care.
    """
    import pyarrow as pa

    if not _holds_times(kind):
        return array
    if pa.types.is_struct(kind):
        children = [read_times(array.field(index), one.type, zone) for index, one in enumerate(kind)]
        own = 1  # buffer: which values are null
    elif pa.types.is_list(kind):
        children = [read_times(array.values, kind.value_type, zone)]
        own = 2  # these, and where each list begins
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
    """Return whether a type is one of times or holds one at any depth."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(_holds_times(one.type) for one in kind)
    return _holds_times(kind.value_type) if pa.types.is_list(kind) else bool(pa.types.is_temporal(kind))


def _to_utc(moments: Any, zone: tzinfo, *, has_rules: bool) -> Any:
    """Convert naive moments from a zone to UTC; the earlier where an hour repeats.

    Args:
        moments: an array of them.
        zone: the zone.
        has_rules: whether pyarrow knows the zone's rules for all of them.
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
    converted = [one and one.replace(tzinfo=zone).astimezone(UTC) for one in moments.to_pylist()]
    return pa.array(converted, utc)
