"""CSV (RFC 4180): UTF-8, a header, dotted columns.

Columns are the model's fields in its order and then whatever else the server sends. Nested objects become columns such
as `personal_information.email`; lists stand as JSON in one column. Values are written as the server sent them; null
and absent are both empty.

Most records are what the model says: they are decoded straight into slots, without a dict on the way. The others are
taken apart value by value, with the same result.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any, BinaryIO

from carecloud_async.codec.repair import load
from carecloud_async.export.formats.csv_rows import Path, RowDecoder, escape_formula, to_cell
from carecloud_async.export.formats.csv_text import Row, RowText
from carecloud_async.export.formats.schema import SchemaBuilder
from carecloud_async.export.formats.sinks import IncrementalSink, Layout

__all__ = ["CsvSink"]

#: Rows that are made at a time; the interpreter lets no other thread run meanwhile.
_ROWS = 100


class CsvSink(IncrementalSink):
    """See `Sink`."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        super().__init__(file, layout)
        self._builder = SchemaBuilder(layout.into)
        self._columns: list[Path] = []
        self._text: RowText | None = None
        self._decoder: RowDecoder | None = None

    def infer_schema(self, lines: Sequence[bytes]) -> None:
        """See `Sink.infer_schema`."""
        self._builder.learn(lines)

    def write(self, lines: Sequence[bytes]) -> None:
        """See `Sink.write`."""
        text, decoder = self._begin()
        for start in range(0, len(lines), _ROWS):
            self.file.write(self._format(lines[start : start + _ROWS], text, decoder).encode())

    def close(self) -> None:
        """See `Sink.close`."""
        self._begin()

    def _begin(self) -> tuple[RowText, RowDecoder]:
        if self._text is not None and self._decoder is not None:
            return self._text, self._decoder
        dialect = self.layout.csv
        self._columns = self._found_columns()
        self._text = text = RowText(len(self._columns), delimiter=dialect.delimiter)
        self._decoder = RowDecoder(self._builder.shape, self._columns, quote=text.quote, escape=dialect.escape_formulas)
        if dialect.bom:
            self.file.write(codecs.BOM_UTF8)
        self.file.write(self._write([".".join(path) for path in self._columns], text).encode())
        return text, self._decoder

    def _found_columns(self) -> list[Path]:
        return [path for path, _ in self._builder.shape.select(self.layout.fields).leaves()]

    def _format(self, lines: Sequence[bytes], text: RowText, decoder: RowDecoder) -> str:
        data = b"[" + b",".join(lines) + b"]"
        try:
            return _join(decoder.decode(data), text, decoder, escapes=b"\\" in data)
        except (ValueError, RecursionError):
            pass
        found: list[str] = []
        tidy: list[Any] = []
        for line in lines:
            try:
                tidy += decoder.decode(b"[" + line + b"]")
            except (ValueError, RecursionError):
                found += (_join(tidy, text, decoder), self._write(self._slow_row(line), text))
                tidy = []
        return "".join([*found, _join(tidy, text, decoder)])

    def _write(self, row: Row, text: RowText) -> str:
        return text.write([escape_formula(cell) for cell in row] if self.layout.csv.escape_formulas else row)

    def _slow_row(self, line: bytes) -> Row:
        record = load(line)
        if not self._builder.knows(line):
            self._builder.shape.learn(record)
            self.outdated: bool = self.outdated or self._found_columns() != self._columns
        return [_value(record, path) for path in self._columns]


def _join(records: Sequence[Any], text: RowText, decoder: RowDecoder, *, escapes: bool = True) -> str:
    """Return the lines of records that are what the model says.

    Args:
        records: the records.
        text: makes the lines.
        decoder: makes the rows.
        escapes: whether there may be escapes in their JSON. Quotes and line ends have no other way into a cell.
    """
    if not records:
        return ""
    quoted = decoder.quote(records, decoder.quoted)
    rows = decoder.rows(records)
    found = text.join(rows, quoted=quoted, escapes=escapes)
    if found is None:
        columns = text.columns_to_quote(rows, known=decoder.quoted)
        decoder.quoted.update(columns)  # what needed quotes once will need them again
        quoted += decoder.quote(records, columns)
        found = text.join(decoder.rows(records), quoted=quoted, escapes=escapes)
    return found or ""


def _value(record: Any, path: Path) -> Any:
    value = record
    for name in path:
        if not isinstance(value, dict):
            return ""
        value = value.get(name)
    return to_cell(value)
