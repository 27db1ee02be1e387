"""CSV (RFC 4180): UTF-8, a header, dotted columns.

Columns are the model's fields in its order, followed by other fields that the server sends. Nested objects become
columns such as `personal_information.email`; a list is JSON in one column. Values are written as the server sent them;
null and absent are both empty. A text or a number in the place of an object has no column: it is counted as lost.

Most records match the model: they are decoded straight into slots, without a dict. The others are read value by value,
with the same result.
"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from carecloud_async.codec.tolerant.broken_json import load
from carecloud_async.export.formats.csv_lines import LineMaker
from carecloud_async.export.formats.csv_rows import Path, RowDecoder
from carecloud_async.export.formats.csv_text import Row, RowText, to_cell
from carecloud_async.export.formats.pieces import pieces
from carecloud_async.export.formats.rows import LostValues, is_blank
from carecloud_async.export.formats.schema import SchemaBuilder
from carecloud_async.export.formats.sinks import IncrementalSink, Layout
from carecloud_async.runtime.thread_yield import ThreadYielder

__all__ = ["CsvSink"]


class CsvSink(IncrementalSink):
    """See `Sink`."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        super().__init__(file, layout)
        self._yielder = ThreadYielder()
        self._builder = SchemaBuilder(layout.into)
        self._columns: list[Path] = []
        self._objects: dict[Path, LostValues] = {}
        self._nulls: Counter[str] = Counter()
        self._text: RowText | None = None
        self._maker: LineMaker | None = None

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
        text, maker = self._begin()
        for piece in pieces(lines):
            try:
                self.file.write(maker.lines(piece))
            except (ValueError, RecursionError):
                self._write_untidy(piece, text, maker)
            self._yielder.rest()

    def close(self) -> None:
        """See `Sink.close`."""
        self._begin()

    def _begin(self) -> tuple[RowText, LineMaker]:
        if self._text is not None and self._maker is not None:
            return self._text, self._maker
        shape, dialect = self._builder.shape, self.layout.csv
        self._columns = self._found_columns()
        objects = dict.fromkeys(path[:size] for path in self._columns for size in range(1, len(path)))
        self._objects = {path: LostValues(".".join(path), self._nulls) for path in objects}
        self._text = text = RowText(len(self._columns), delimiter=dialect.delimiter, escape=dialect.escape_formulas)
        decoder = RowDecoder(shape, shape.select(self.layout.fields))
        self._maker = LineMaker(decoder, text, delimiter=dialect.delimiter, escape=dialect.escape_formulas)
        if dialect.bom:
            self.file.write(codecs.BOM_UTF8)
        self.file.write(text.write([".".join(path) for path in self._columns]))
        return text, self._maker

    def _found_columns(self) -> list[Path]:
        return [path for path, _ in self._builder.shape.select(self.layout.fields).leaves()]

    def _write_untidy(self, lines: Sequence[bytes], text: RowText, maker: LineMaker) -> None:
        """Write records of which some do not match the model."""
        tidy: list[bytes] = []
        read: list[Any] = []
        for line in self._yielder.each(lines):
            record = maker.read(line)
            if record is not None:
                tidy.append(line)
                read.append(record)
                continue
            self.file.write(self._run(tidy, read, text, maker) + text.write(self._slow_row(line)))
            tidy, read = [], []
        self.file.write(self._run(tidy, read, text, maker))

    def _run(self, lines: Sequence[bytes], read: Sequence[Any], text: RowText, maker: LineMaker) -> bytes:
        """Return the lines of records that all match the model."""
        try:
            return maker.lines(lines, read) if lines else b""
        except (ValueError, RecursionError):
            return b"".join([text.write(self._slow_row(line)) for line in lines])

    def _slow_row(self, line: bytes) -> Row:
        record = load(line)
        if not self._builder.knows(line):
            self._builder.shape.learn(record)
            self.outdated: bool = self.outdated or self._found_columns() != self._columns
        for path, lost in self._objects.items():
            value = _value(record, path)
            if not (isinstance(value, dict) or is_blank(value) or value == []):
                lost.lost("not an object")
        return [to_cell(_value(record, path)) for path in self._columns]


def _value(record: Any, path: Path) -> Any:
    value = record
    for name in path:
        if not isinstance(value, dict):
            return ""
        value = value.get(name)
    return value
