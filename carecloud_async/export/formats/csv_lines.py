r"""Records that match the model as lines of CSV: a whole batch of text at a time, rarely cell by cell.

The rows of a batch are encoded as JSON arrays, which takes a third of the time of joining their cells. If no cell holds
a quote, a delimiter, a bracket or an escape, removing the quotes and brackets turns these arrays into the lines;
counting the characters shows whether that holds. Columns whose cells may need quotes are left out of the arrays: each
has a placeholder, which is replaced at the end by the finished cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec

from carecloud_async.export.formats.csv_rows import Column, RowDecoder
from carecloud_async.export.formats.csv_text import END, FORMULA_STARTS, RowText, escape_formula, to_cell

__all__ = ["LineMaker"]

_END = END.encode()

_encode_lines = msgspec.json.Encoder().encode_lines

#: Characters that JSON escapes in the arrays, or that do not occur there.
_SPECIAL = frozenset('",[]\\') | {chr(code) for code in range(32)}


class LineMaker:
    """Makes the lines of records that match the model.

    Args:
        decoder: decodes them into rows.
        text: knows how a cell is written.
        delimiter: the character between cells.
        escape: whether formulas are escaped.
    """

    def __init__(self, decoder: RowDecoder, text: RowText, *, delimiter: str, escape: bool) -> None:
        self._decoder = decoder
        self._columns = columns = decoder.columns
        self._text = text
        self._delimiter = delimiter
        self._escape = escape
        self._byte = delimiter.encode()
        # JSON escapes both characters, so in the arrays they occur as placeholders only.
        self._hole = b"\x02" if delimiter == "\x01" else b"\x01"
        self._table = bytes.maketrans(b",", self._byte) if len(self._byte) == 1 else None
        self._formulas = [f'"{start}'.encode() for start in FORMULA_STARTS] if escape else []
        # A cell alone in its line needs quotes when it is empty.
        self._holes = {one for one, column in enumerate(columns) if not column.is_simple or len(columns) == 1}

    def read(self, record: bytes) -> Any | None:
        """Return a record for `lines`; `None` if it does not match the model."""
        try:
            return self._decoder.decode([record])[0]
        except (ValueError, RecursionError):
            return None

    def lines(self, records: Sequence[bytes], read: Sequence[Any] | None = None) -> bytes:
        """Return the lines of records, each with its end.

        Args:
            records: the records, JSON.
            read: the same, where `read` was called already; used up.

        Raises:
            ValueError: one of them holds an unexpected value.
            RecursionError: likewise.
        """
        found = self._join(self._decoder.decode(records) if read is None else read)
        if found is None:
            # A column that needed quotes once is likely to need them again.
            self._holes |= self._columns_to_quote(self._decoder.decode(records))
            found = self._join(self._decoder.decode(records))
        if found is None:
            raise ValueError
        return found

    def _join(self, records: Sequence[Any]) -> bytes | None:
        """Return the lines of records; `None` if a cell needs quotes and has no placeholder."""
        holes = [self._columns[index] for index in sorted(self._holes)]
        cells = [self._cells(records, column) for column in holes]
        hole = msgspec.Raw(self._hole)
        for column in holes:
            column.fill(records, hole)
        text = self._strip(_encode_lines(self._decoder.rows(records)), len(records))
        if text is None or not cells:
            return text
        parts = text.split(self._hole)
        filled = [b""] * (2 * len(parts) - 1)
        filled[::2] = parts
        filled[1::2] = chain.from_iterable(zip(*cells, strict=True))
        return b"".join(filled)

    def _strip(self, text: bytes, rows: int) -> bytes | None:
        """Return the arrays without quotes and brackets; `None` if a cell holds such a character or needs quotes."""
        objects = self._decoder.depth * rows
        counts = (text.count(b","), text.count(b"["), text.count(b"]"))
        if b"\\" in text or counts != ((len(self._columns) - 1) * rows, objects, objects):
            return None
        if any(start in text for start in self._formulas):
            return None
        if b"null" in text:  # a text would have a quote before it
            text = text.replace(b",null", b",").replace(b"[null", b"[")
        if self._delimiter not in ",[]" and self._byte in text:
            return None
        text = text.replace(b"\n", _END).translate(self._table, b'"[]')
        return text.replace(b",", self._byte) if self._table is None else text

    def _cells(self, records: Sequence[Any], column: Column) -> list[bytes]:
        values = column.values(records)
        if column.kind == "list":
            return self._lists(values)
        return [self._text.cell(to_cell(value)).encode() for value in values]

    def _lists(self, values: Sequence[list[Any] | None]) -> list[bytes]:
        nothing, delimiter = self._text.cell(None).encode(), self._byte
        texts = _encode_lines(values).replace(b'"', b'""').split(b"\n")
        return [
            nothing if value is None else b'"%b"' % text if b'"' in text or delimiter in text else text
            for value, text in zip(values, texts, strict=False)  # split() also returns the text after the last line end
        ]

    def _columns_to_quote(self, records: Sequence[Any]) -> set[int]:
        return {index for index, column in enumerate(self._columns) if self._is_special(column.values(records))}

    def _is_special(self, values: Sequence[Any]) -> bool:
        cells = [to_cell(value) for value in values if value is not None]
        text = "".join(map(str, cells))
        if self._delimiter in text or not _SPECIAL.isdisjoint(text):
            return True
        return self._escape and any(escape_formula(cell) is not cell for cell in cells)
