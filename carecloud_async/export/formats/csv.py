"""CSV (RFC 4180): UTF-8, a header, dotted columns.

Columns are the model's fields in its order and then whatever else the server sends. Nested objects become columns such
as `personal_information.email`; lists stand as JSON in one column. Values are written as the server sent them; null
and absent are both empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, BinaryIO

from carecloud_async.codec.repair import load
from carecloud_async.export.formats.schema import SchemaBuilder, as_text
from carecloud_async.export.formats.sinks import Layout, Sink

__all__ = ["CsvSink"]


class CsvSink(Sink):
    """See `Sink`."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        super().__init__(file, layout)
        self._builder = SchemaBuilder(layout.into)
        self._columns: list[tuple[str, ...]] | None = None
        self._text = io.StringIO(newline="")
        # Lone carriage returns and line feeds are quoted only because both are in the line terminator.
        self._writer = csv.writer(self._text, lineterminator="\r\n")

    def infer_schema(self, lines: Sequence[bytes]) -> None:
        """See `Sink.infer_schema`."""
        self._builder.learn(lines)

    def write(self, lines: Sequence[bytes]) -> None:
        """See `Sink.write`."""
        columns = self._begun()
        self._writer.writerows([_value(record, path) for path in columns] for record in map(load, lines))
        self._flush()

    def close(self) -> None:
        """See `Sink.close`."""
        self._begun()
        self._flush()

    def _begun(self) -> list[tuple[str, ...]]:
        if self._columns is None:
            self._columns = [path for path, _ in self._builder.shape.select(self.layout.fields).leaves()]
            self._writer.writerow([".".join(path) for path in self._columns])
        return self._columns

    def _flush(self) -> None:
        self.file.write(self._text.getvalue().encode())
        self._text.seek(0)
        self._text.truncate()


def _value(record: Any, path: tuple[str, ...]) -> str:
    value = record
    for name in path:
        if not isinstance(value, dict):
            return ""
        value = value.get(name)
    return "" if value is None else as_text(value)
