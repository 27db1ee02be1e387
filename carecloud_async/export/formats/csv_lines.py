r"""Records that are what the model says, as lines of CSV: the text of a batch at a time, hardly ever a cell.

The rows of a batch are encoded as JSON arrays, which takes a third of the time of joining their cells. Where no cell
holds a quote, a delimiter, a bracket or an escape, these arrays are the lines but for quotes and brackets, which are
deleted; counting shows whether that is so. Columns whose cells may need quotes are left out of the arrays: each has a
hole in its place, which is filled in the end with the cell as it stands in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec

from carecloud_async.export.formats.csv_cells import FORMULA_STARTS, escape_formula, to_cell
from carecloud_async.export.formats.csv_rows import Column, RowDecoder
from carecloud_async.export.formats.csv_text import END, RowText

__all__ = ["LineMaker"]

_END = END.encode()

_encode_lines = msgspec.json.Encoder().encode_lines

#: Characters that are not what they seem in the arrays, or are not there.
_SPECIAL = frozenset('",[]\\') | {chr(code) for code in range(32)}


class LineMaker:
    """Makes the lines of records that are what the model says.

    Args:
        decoder: decodes them into rows.
        text: knows how a cell is written.
        delimiter: what stands between cells.
        escape: whether formulas are escaped.
    """

    def __init__(self, decoder: RowDecoder, text: RowText, *, delimiter: str, escape: bool) -> None:
        self._decoder = decoder
        self._columns = columns = decoder.columns
        self._text = text
        self._delimiter = delimiter
        self._escape = escape
        self._byte = delimiter.encode()
        # In the arrays both are escaped: neither stands there but as a hole.
        self._hole = b"\x02" if delimiter == "\x01" else b"\x01"
        self._table = bytes.maketrans(b",", self._byte) if len(self._byte) == 1 else None
        self._formulas = [f'"{start}'.encode() for start in FORMULA_STARTS] if escape else []
        # A cell alone in its line needs quotes when it is empty.
        self._holes = {one for one, column in enumerate(columns) if not column.is_simple or len(columns) == 1}

    def read(self, record: bytes) -> Any | None:
        """Return a record for `lines`; `None` if it is not what the model says."""
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
            ValueError: there is anything unexpected in one of them.
            RecursionError: likewise.
        """
        found = self._join(self._decoder.decode(records) if read is None else read)
        if found is None:
            # What needed quotes once will need them again.
            self._holes |= self._columns_to_quote(self._decoder.decode(records))
            found = self._join(self._decoder.decode(records))
        if found is None:
            raise ValueError
        return found

    def _join(self, records: Sequence[Any]) -> bytes | None:
        """Return the lines of records; `None` if a cell needs quotes and has no hole."""
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
        """Return arrays without what makes them arrays; `None` if a cell holds such a thing, or needs quotes."""
        objects = self._decoder.depth * rows
        counts = (text.count(b","), text.count(b"["), text.count(b"]"))
        if b"\\" in text or counts != ((len(self._columns) - 1) * rows, objects, objects):
            return None
        if any(start in text for start in self._formulas):
            return None
        if b"null" in text:  # in front of one that is text there would be a quote
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
            for value, text in zip(values, texts, strict=False)  # behind the last line end there is a text, too
        ]

    def _columns_to_quote(self, records: Sequence[Any]) -> set[int]:
        return {index for index, column in enumerate(self._columns) if self._is_special(column.values(records))}

    def _is_special(self, values: Sequence[Any]) -> bool:
        cells = [to_cell(value) for value in values if value is not None]
        text = "".join(map(str, cells))
        if self._delimiter in text or not _SPECIAL.isdisjoint(text):
            return True
        return self._escape and any(escape_formula(cell) is not cell for cell in cells)
