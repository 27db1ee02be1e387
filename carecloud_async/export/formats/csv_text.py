"""Values as cells of CSV, the escape of formulas, and rows of cells as lines, cell by cell."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, TypeAlias

from carecloud_async.export.formats.schema import as_text

__all__ = ["END", "FORMULA_STARTS", "Row", "RowText", "escape_formula", "to_cell"]

#: Cells: text, whole numbers, or `None` for nothing.
Row: TypeAlias = Sequence[Any]

#: The end of a line.
END = "\r\n"

#: What makes a spreadsheet take text for a formula, by the OWASP guide on CSV injection; the wide signs of East Asian
#: keyboards count as well.
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def to_cell(value: Any) -> Any:
    """Return a value as a cell; whole numbers keep their type, so that they are not formulas."""
    if value is None or type(value) is str or type(value) is int:
        return value
    text = as_text(value)
    return _Number(text) if type(value) is float else text


class _Number(str):
    """The text of a number as the server sent it: never a formula, even with a leading sign."""

    __slots__ = ()


def escape_formula(value: Any) -> Any:
    """Return a cell with an apostrophe before it if a spreadsheet would take it for a formula."""
    return f"'{value}" if type(value) is str and value.startswith(FORMULA_STARTS) else value


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
