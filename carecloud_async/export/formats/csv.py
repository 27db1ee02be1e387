"""CSV (RFC 4180): UTF-8, a header, dotted columns.

Columns are the model's fields in its order and then whatever else the server sends. Nested objects become columns such
as `personal_information.email`; lists stand as JSON in one column. Values are written as the server sent them; null
and absent are both empty.

Most records are what the model says: they are decoded straight into slots, without a dict on the way. The others are
taken apart value by value, with the same result.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, BinaryIO

import msgspec

from carecloud_async.codec.repair import load
from carecloud_async.export.formats.schema import SchemaBuilder, Shape, as_text, is_slot_name
from carecloud_async.export.formats.sinks import IncrementalSink, Layout

__all__ = ["CsvSink"]

Path = tuple[str, ...]

#: Rows that are written at a time; the interpreter lets no other thread run meanwhile.
_ROWS = 100

#: What makes a spreadsheet take text for a formula, by the OWASP guide on CSV injection; the wide signs of East Asian
#: keyboards count as well.
_FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


class CsvSink(IncrementalSink):
    """See `Sink`."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        super().__init__(file, layout)
        self._builder = SchemaBuilder(layout.into)
        self._columns: list[Path] | None = None
        self._row: Callable[[bytes], Sequence[Any]] = lambda _: ()
        self._text = io.StringIO(newline="")
        # Lone carriage returns and line feeds are quoted only because both are in the line terminator.
        self._writer = csv.writer(self._text, delimiter=layout.csv.delimiter, lineterminator="\r\n")

    def infer_schema(self, lines: Sequence[bytes]) -> None:
        """See `Sink.infer_schema`."""
        self._builder.learn(lines)

    def write(self, lines: Sequence[bytes]) -> None:
        """See `Sink.write`."""
        self._begin()
        for start in range(0, len(lines), _ROWS):
            rows: Iterable[Sequence[Any]] = map(self._row, lines[start : start + _ROWS])
            if self.layout.csv.escape_formulas:
                rows = ([_escape_formula(value) for value in row] for row in rows)
            self._writer.writerows(rows)
        self._flush()

    def close(self) -> None:
        """See `Sink.close`."""
        self._begin()
        self._flush()

    def _begin(self) -> None:
        if self._columns is not None:
            return
        self._columns = self._found_columns()
        fast = _row_decoder(self._builder.shape, self._columns)
        self._row = lambda line: _decode_row(line, fast) or self._slow_row(line)
        if self.layout.csv.bom:
            self.file.write(codecs.BOM_UTF8)
        names = [".".join(path) for path in self._columns]
        self._writer.writerow(map(_escape_formula, names) if self.layout.csv.escape_formulas else names)

    def _found_columns(self) -> list[Path]:
        return [path for path, _ in self._builder.shape.select(self.layout.fields).leaves()]

    def _slow_row(self, line: bytes) -> Sequence[Any]:
        record = load(line)
        if not self._builder.knows(line):
            self._builder.shape.learn(record)
            self.outdated: bool = self.outdated or self._found_columns() != self._columns
        return [_value(record, path) for path in self._columns or ()]

    def _flush(self) -> None:
        self.file.write(self._text.getvalue().encode())
        self._text.seek(0)
        self._text.truncate()


def _value(record: Any, path: Path) -> Any:
    value = record
    for name in path:
        if not isinstance(value, dict):
            return ""
        value = value.get(name)
    return _cell(value)


def _cell(value: Any) -> Any:
    """Return a value as the csv module is to see it; whole numbers keep their type, so that they are not formulas."""
    if value is None or type(value) is str or type(value) is int:
        return value
    text = as_text(value)
    return _Number(text) if type(value) is float else text


class _Number(str):
    """The text of a number as the server sent it: never a formula, whatever sign it begins with."""

    __slots__ = ()


def _escape_formula(value: Any) -> Any:
    return f"'{value}" if type(value) is str and value.startswith(_FORMULA_STARTS) else value


def _decode_row(line: bytes, decode: Callable[[bytes], Sequence[Any]]) -> Sequence[Any] | None:
    """Return the row of a record that is what the model says, or `None`."""
    try:
        return decode(line)
    except (ValueError, RecursionError, AttributeError):
        return None


def _row_decoder(shape: Shape, columns: Sequence[Path]) -> Callable[[bytes], Sequence[Any]]:
    """Return what decodes a record into its row, and raises a `ValueError` for one with anything unexpected in it.

    Args:
        shape: the fields of a record, selected or not: all of them are expected.
        columns: the wanted ones.
    """
    slots: dict[Path, str] = {}
    decoder = msgspec.json.Decoder(_slotted(shape, (), "", slots))
    if not columns or any(path not in slots for path in columns):  # a selection of what no record has
        return _refuse
    read = attrgetter(*(slots[path] for path in columns))
    kinds = dict(shape.leaves())
    texts = [index for index, path in enumerate(columns) if kinds[path].kind not in {"str", "int", "date", "datetime"}]
    single = len(columns) == 1

    def decode(line: bytes) -> Sequence[Any]:
        found = read(decoder.decode(line))
        row = [found] if single else list(found)
        for index in texts:
            if row[index] is not None:
                row[index] = _cell(row[index])
        return row

    return decode


def _refuse(_: bytes) -> Sequence[Any]:
    raise ValueError


def _slotted(shape: Shape, path: Path, prefix: str, slots: dict[Path, str]) -> Any:
    """Return a msgspec struct of a shape's fields, nested ones never null; note the slot of each leaf."""
    fields: list[Any] = []
    names: dict[str, str] = {}
    for index, (name, child) in enumerate(shape.children.items()):
        if not is_slot_name(name):
            continue  # records with such a field are read value by value
        slot = f"f{index}"
        names[slot] = name
        if child.kind == "object" and child.children:
            inner = _slotted(child, (*path, name), f"{prefix}{slot}.", slots)
            fields.append((slot, inner, msgspec.field(default_factory=inner)))
        else:
            slots[*path, name] = f"{prefix}{slot}"
            fields.append((slot, _slot_type(child), None))
    return msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, gc=False)


def _slot_type(shape: Shape) -> Any:
    if shape.kind in {"str", "date", "datetime"}:
        return str | None
    return int | None if shape.kind == "int" else Any
