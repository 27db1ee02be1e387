"""CSV (RFC 4180): UTF-8, a header, dotted columns.

Columns are the model's fields in its order, followed by other fields that the server sends. Nested objects become
columns such as `personal_information.email`; a list is JSON in one column. Values are written as the server sent them;
null and absent are both empty. A text or a number in the place of an object has no column: it is counted as lost.

Most records match the model: they are decoded without dicts, a batch at a time. The others are read value by value,
with the same result. Lines are made column by column: `csv.writer` handles one character after another, whereas here a
column's texts are searched for quotes and delimiters as one text. Most columns have none, and their cells are joined as
they are. A batch takes half the time.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, BinaryIO, Final, TypeAlias

import msgspec

from carecloud_async._base.codec.json_text import load, load_spelled, read_spelled
from carecloud_async._base.codec.pages import gc_paused
from carecloud_async._base.runtime.threads import ThreadYielder
from carecloud_async._lists.export.formats.schema import (
    LostValues,
    SchemaBuilder,
    Shape,
    as_text,
    is_blank,
    is_slot_name,
)
from carecloud_async._lists.export.formats.sinks import CsvOptions, Layout, Sink, pieces

#: The names that lead to a field.
Path: TypeAlias = tuple[str, ...]

#: Text that begins with one of these is a formula to a spreadsheet (OWASP, CSV injection); the wide signs of East Asian
#: keyboards count as well.
FORMULA_STARTS: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")

_LINE_END = "\r\n"

#: Digits up to which a number with an exponent is written without it where the decimal sign is a comma.
_MOST_DIGITS = 30

#: A decimal that a server writes as a text, as PHP does with those of MySQL.
_TEXT_OF_DECIMAL: Final = re.compile(r"-?\d+\.\d+", re.ASCII)

#: The types of values whose JSON needs no quotes, and holds no delimiter but those between them.
_PLAIN = {int, bool, type(None)}

#: The kinds of fields that are text, and the types of fields by their kind, see `Shape`; others may hold anything.
#: `float` is one of them: the decoder keeps the spelling of a number only where it expects no type.
_TEXTS = ("str", "date", "datetime")
_TYPES: dict[str, Any] = {
    **dict.fromkeys(_TEXTS, str | None),
    "int": int | None,
    "bool": bool | None,
    "list": list[Any] | None,
}


class CsvSink(Sink):
    """See `Sink`."""

    is_incremental = True

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        super().__init__(file, layout)
        self._yielder = ThreadYielder()
        self._builder = SchemaBuilder(layout.into)
        self._columns: list[Path] = []
        self._numbers: list[int] = []
        self._objects: dict[Path, LostValues] = {}
        self._nulls: Counter[str] = Counter()
        self._decoder: RecordDecoder | None = None

    @property
    def nulls(self) -> Mapping[str, int]:
        """See `Sink.nulls`."""
        return dict(self._nulls)

    def infer_schema(self, lines: Sequence[bytes]) -> None:
        """See `Sink.infer_schema`."""
        for piece in pieces(lines):
            self._builder.learn(piece)
            self._yielder.rest()

    def write(self, lines: Sequence[bytes]) -> None:
        """See `Sink.write`."""
        decoder = self._begin()
        for piece in pieces(lines):
            try:
                columns = decoder.columns(decoder.decode(piece))
            except (ValueError, RecursionError):
                columns = self._read_one_by_one(piece, decoder)
            for index in self._numbers:
                columns[index] = [_as_number(value) for value in columns[index]]
            self._write_columns(columns, rows=len(piece))
            self._yielder.rest()

    def close(self) -> None:
        """See `Sink.close`."""
        self._begin()

    def _begin(self) -> RecordDecoder:
        """Return the decoder; the first call fixes the columns and writes the header."""
        if self._decoder is None:
            self._columns = self._found_columns()
            if self.layout.csv.decimal != ".":
                leaves = self._builder.shape.select(self.layout.fields).leaves()
                self._numbers = [index for index, (_, child) in enumerate(leaves) if child.kind == "float"]
            objects = dict.fromkeys(path[:size] for path in self._columns for size in range(1, len(path)))
            self._objects = {path: LostValues(".".join(path), self._nulls) for path in objects}
            self._decoder = RecordDecoder(self._builder.shape, self._columns)
            if self.layout.csv.bom:
                self.file.write(codecs.BOM_UTF8)
            self._write_columns([[".".join(path)] for path in self._columns], rows=1)
        return self._decoder

    def _found_columns(self) -> list[Path]:
        return [path for path, _ in self._builder.shape.select(self.layout.fields).leaves()]

    def _write_columns(self, columns: Sequence[Sequence[Any]], *, rows: int) -> None:
        self.file.write(join_columns(columns, self.layout.csv, rows=rows))

    def _read_one_by_one(self, lines: Sequence[bytes], decoder: RecordDecoder) -> list[Sequence[Any]]:
        """Return the columns of records that may not match the model."""
        matching: list[Any] = []
        others: dict[int, list[Any]] = {}
        for index, line in enumerate(self._yielder.each(lines)):
            try:
                matching += decoder.decode([line])
            except (ValueError, RecursionError):
                others[index] = self._slow_row(line)
        columns = [[*column] for column in decoder.columns(matching)]
        for index, row in others.items():
            for column, value in zip(columns, row, strict=True):
                column.insert(index, value)
        return [*columns]

    def _slow_row(self, line: bytes) -> list[Any]:
        """Return the values of a record of any form; a field without a column makes the file outdated."""
        record = load_spelled(line)
        if not self._builder.knows(line):
            self._builder.shape.learn(load(line))
            self.outdated: bool = self.outdated or self._found_columns() != self._columns
        for path, lost in self._objects.items():
            value = _value(record, path)
            if not (isinstance(value, dict) or is_blank(value) or value == []):
                lost.lost("not an object")
        return [_value(record, path) for path in self._columns]


def _value(record: Any, path: Path) -> Any:
    value = record
    for name in path:
        if not isinstance(value, dict):
            return ""
        value = value.get(name)
    return value


class RecordDecoder:
    """Decodes records that match a shape into msgspec structs, and reads the values of their columns.

    Args:
        shape: the fields of a record: no others are expected.
        columns: the paths of the columns.
    """

    def __init__(self, shape: Shape, columns: Sequence[Path]) -> None:
        kind, self._tree = _struct(shape)
        self._decoder = msgspec.json.Decoder(list[kind], float_hook=read_spelled)  # type: ignore[valid-type]
        self._columns = columns
        known = {path for path, _ in shape.leaves() if all(map(is_slot_name, path))}
        self._is_possible = known.issuperset(columns)

    @gc_paused
    def decode(self, lines: Sequence[bytes]) -> list[Any]:
        """Return records for `columns`.

        Args:
            lines: the records, JSON.

        Raises:
            ValueError: one of them does not match the shape, or a column is not in it.
            RecursionError: one of them is nested too deeply.
        """
        if not self._is_possible:
            raise ValueError("a column is not in the shape")
        records: list[Any] = self._decoder.decode(b"[" + b",".join(lines) + b"]")
        return records

    @gc_paused
    def columns(self, records: Sequence[Any]) -> list[Sequence[Any]]:
        """Return the values of decoded records, column by column."""
        columns: dict[Path, Sequence[Any]] = {}
        _transpose(records, self._tree, (), columns)
        return [columns.get(path, ()) for path in self._columns]


#: The fields of a struct in their order: its name, and the fields of an object.
_Tree: TypeAlias = list[tuple[str, "_Tree | None"]]


def _struct(shape: Shape) -> tuple[Any, _Tree]:
    """Return a msgspec struct of a shape's fields, and their names.

    A record with a field that a struct cannot have does not match. Nested objects are never null.
    """
    fields: list[Any] = []
    tree: _Tree = []
    for name, child in shape.children.items():
        if not is_slot_name(name):
            continue
        slot, inner = f"f{len(fields)}", None
        if child.kind == "object" and child.children:
            kind, inner = _struct(child)
            fields.append((slot, kind, msgspec.field(default_factory=kind)))
        else:
            # An absent text is empty text, which needs no conversion.
            fields.append((slot, _TYPES.get(child.kind, Any), "" if child.kind in _TEXTS else None))
        tree.append((name, inner))
    names = {slot: name for (slot, *_), (name, _) in zip(fields, tree, strict=True)}
    return msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=True, gc=False), tree


def _transpose(records: Sequence[Any], tree: _Tree, path: Path, columns: dict[Path, Sequence[Any]]) -> None:
    """Enter the values of each field: tuples of the records take a third of the time of attributes, one by one."""
    for values, (name, inner) in zip(zip(*map(msgspec.structs.astuple, records), strict=True), tree, strict=False):
        if inner is None:
            columns[*path, name] = values
        else:
            _transpose(values, inner, (*path, name), columns)


def join_columns(columns: Sequence[Sequence[Any]], dialect: CsvOptions, *, rows: int) -> bytes:
    """Return the lines of some records, each with its end.

    Args:
        columns: JSON values, column by column. Text stays as it is, null is empty, other values are written as
            JSON.
        dialect: the delimiter, the decimal sign, and whether text that is a formula to a spreadsheet gets an apostrophe
            before it.
        rows: how many records they are; without a column, each is an empty line.
    """
    cells = [_cells(values, dialect) for values in columns]
    if len(cells) == 1:  # an empty cell alone would be an empty line
        cells = [[cell or '""' for cell in cells[0]]]
    lines = list(map(dialect.delimiter.join, zip(*cells, strict=True))) if cells else [""] * rows
    return _LINE_END.join([*lines, ""]).encode()


def _cells(values: Sequence[Any], dialect: CsvOptions) -> Sequence[str]:
    """Return the cells of a column, quoted where necessary (RFC 4180)."""
    cells = values
    if dialect.escape_formulas:
        cells = [_escape(value) for value in values]
    try:
        together = "".join(cells)
    except TypeError:  # not all are text
        if set(map(type, cells)) <= _PLAIN:  # together, in a tenth of the time
            cells = msgspec.json.encode(cells)[1:-1].decode().replace("null", "").split(",")
        else:
            write = as_text if dialect.decimal == "." else _with_comma
            cells = ["" if value is None else write(value) for value in cells]
        together = "".join(cells)
    if not _needs_quotes(together, dialect.delimiter):
        return cells
    return [_quote(cell) if _needs_quotes(cell, dialect.delimiter) else cell for cell in cells]


def _as_number(value: Any) -> Any:
    """Return a text of a decimal as a number, so that it gets the decimal sign of the other numbers of its column."""
    is_decimal = isinstance(value, str) and _TEXT_OF_DECIMAL.fullmatch(value)
    return msgspec.Raw(value.encode()) if is_decimal else value


def _with_comma(value: Any) -> str:
    """Return a value as text, a number with its decimal comma; the digits stay those of the server."""
    text = as_text(value)
    if not isinstance(value, (msgspec.Raw, float)):
        return text
    if "e" in text.lower() and abs(Decimal(text).adjusted()) <= _MOST_DIGITS:
        text = format(Decimal(text), "f")
    return text.replace(".", ",")


def _escape(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and is_formula(value) else value


def is_formula(text: str) -> bool:
    """Return whether a text is a formula to a spreadsheet, or one with an apostrophe before it.

    The latter gets one more apostrophe: without it, the text is as it was.
    """
    return text.lstrip("'").startswith(FORMULA_STARTS)


def _needs_quotes(text: str, delimiter: str) -> bool:
    return '"' in text or delimiter in text or "\r" in text or "\n" in text


def _quote(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'
