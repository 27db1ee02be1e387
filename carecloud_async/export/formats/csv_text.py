"""Rows of cells as the text of CSV, cell by cell."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, TypeAlias

from carecloud_async.export.formats.csv_cells import escape_formula

__all__ = ["END", "Row", "RowText"]

#: Cells: text, whole numbers, or `None` for nothing.
Row: TypeAlias = Sequence[Any]

#: The end of a line.
END = "\r\n"


class RowText:
    """Turns rows into lines, each with its end.

    Args:
        columns: how many cells a row has.
        delimiter: the character between them.
        escape: whether formulas are escaped.
    """

    def __init__(self, columns: int, *, delimiter: str, escape: bool) -> None:
        self._delimiter = delimiter
        self._alone = columns == 1
        self._escape = escape
        self._buffer = io.StringIO(newline="")
        # Lone carriage returns and line feeds are quoted only because both are in the line terminator.
        self._writer = csv.writer(self._buffer, delimiter=delimiter, lineterminator=END)

    def write(self, row: Row) -> bytes:
        """Return any row as a line, checked character by character."""
        self._writer.writerow([escape_formula(cell) for cell in row] if self._escape else row)
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return text.encode()

    def cell(self, value: Any) -> str:
        """Return the text of a cell in a line: quoted and escaped if necessary."""
        text = "" if value is None else escape_formula(value) if self._escape else value
        text = str(text)
        needs_quotes = '"' in text or self._delimiter in text or "\n" in text or "\r" in text
        if needs_quotes or (self._alone and not text):  # an empty cell alone would be an empty line
            return '"' + text.replace('"', '""') + '"'
        return text
