"""CSV (RFC 4180): UTF-8, a header, dotted columns.

Columns are the model's fields in its order, followed by other fields that the server sends. Nested objects become
columns such as `personal_information.email`; a list is JSON in one column. Values are written as the server sent them;
null and absent are both empty. A text or a number in the place of an object has no column: it is counted as lost.

Most records match the model: they are decoded without dicts, a batch at a time. The others are read value by value,
with the same result.
"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from carecloud_async._base.codec.json_text import load, load_spelled
from carecloud_async._base.runtime.thread_yield import ThreadYielder
from carecloud_async._lists.export.formats.csv_columns import Path, RecordDecoder, join_columns
from carecloud_async._lists.export.formats.pieces import pieces
from carecloud_async._lists.export.formats.rows import LostValues, is_blank
from carecloud_async._lists.export.formats.schema import SchemaBuilder
from carecloud_async._lists.export.formats.sinks import IncrementalSink, Layout

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
            self._write_columns(columns, rows=len(piece))
            self._yielder.rest()

    def close(self) -> None:
        """See `Sink.close`."""
        self._begin()

    def _begin(self) -> RecordDecoder:
        """Return the decoder; the first call fixes the columns and writes the header."""
        if self._decoder is None:
            self._columns = self._found_columns()
            objects = dict.fromkeys(path[:size] for path in self._columns for size in range(1, len(path)))
            self._objects = {path: LostValues(".".join(path), self._nulls) for path in objects}
            self._decoder = RecordDecoder(self._builder.shape, self._columns)
            if self.layout.csv.bom:
                self.file.write(codecs.BOM_UTF8)
            self._write_columns([[".".join(path)] for path in self._columns], rows=1)
        return self._decoder

    def _found_columns(self) -> list[Path]:
        return [path for path, _ in self._builder.shape.select(self.layout.fields).leaves()]

    def _write_columns(self, columns: Sequence[list[Any]], *, rows: int) -> None:
        self.file.write(join_columns(columns, self.layout.csv, rows=rows))

    def _read_one_by_one(self, lines: Sequence[bytes], decoder: RecordDecoder) -> list[list[Any]]:
        """Return the columns of records of which some do not match the model."""
        matching: list[Any] = []
        others: dict[int, list[Any]] = {}
        for index, line in enumerate(self._yielder.each(lines)):
            try:
                matching += decoder.decode([line])
            except (ValueError, RecursionError):
                others[index] = self._slow_row(line)
        columns = decoder.columns(matching) if matching else [[] for _ in self._columns]
        for index, row in others.items():
            for column, value in zip(columns, row, strict=True):
                column.insert(index, value)
        return columns

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
