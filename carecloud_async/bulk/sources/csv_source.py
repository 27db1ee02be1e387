"""CSV (RFC 4180) as rows. The delimiter and byte order marks are recognised; any other encoding is named."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from typing import Any, BinaryIO, Final, cast

import anyio.lowlevel

from carecloud_async._lists.export.formats.csv import is_formula
from carecloud_async.bulk.errors import BadSourceError
from carecloud_async.bulk.sources.encodings import encoding_of, name_encoding
from carecloud_async.bulk.sources.files import LONG_LINE, MAX_LINE, is_workbook, read_error, read_lines, workbook
from carecloud_async.bulk.sources.source import BATCH, MAX_TEXT, Dialect, RowSource, SourceRow
from carecloud_async.fixes import Fix

_DELIMITERS: Final = (",", ";", "\t", "|")
_UTF16: Final = Fix("save it as CSV UTF-8, or name {encoding}, here probably utf-16-le")
#: Bytes of the beginning, in which its encoding is checked.
_HEAD: Final = 64 * 1024


class CsvSource(RowSource):
    """A CSV file.

    Args:
        stream, label, identity: as for `RowSource`.
        encoding: its encoding; `None` for UTF-8, or what a byte order mark says.
    """

    textual = True
    blanks = True

    def __init__(self, stream: BinaryIO, *, label: str, identity: str | None, encoding: str | None = None) -> None:
        buffered = io.BufferedReader(cast("io.RawIOBase", stream), _HEAD)
        try:
            head = buffered.peek()
        except (EOFError, OSError) as error:
            raise read_error(label, 0, error) from error
        if is_workbook(head):
            raise workbook(label)
        encoding = encoding_of(head, encoding, label=label)
        text = io.TextIOWrapper(buffered, encoding=encoding, newline="")
        super().__init__(text, label=label, identity=identity)
        self._lines = _Lines(text, label, encoding)
        first = self._lines.first()
        delimiter = max(_DELIMITERS, key=lambda delimiter: _outside_quotes(first, delimiter))
        self.dialect: Dialect = Dialect(delimiter=delimiter, encoding=encoding)
        #: Whether a spreadsheet wrote the file, or it was written for one.
        self._for_spreadsheets = encoding != "utf-8" or delimiter == ";"
        self._begin = 0
        self._reader = csv.reader(self._lines, delimiter=delimiter, strict=True)
        if self._lines.has_nul:
            raise BadSourceError(f"{label}: it has NUL bytes and no byte order mark", fix=_UTF16)
        if self._lines.is_too_long:
            raise BadSourceError(f"{label}: the header line is longer than 16 MiB")
        header = self._next()
        if header is None or isinstance(header, str) or not any(header):
            raise BadSourceError(f"{label}: there is no header line with the names of the columns")
        names = [name.strip() for name in header]
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            raise BadSourceError(f"{label}: the column {twice[0][:100]!r} stands twice in the header")
        self.columns: tuple[str, ...] | None = tuple(names)

    async def batches(self) -> AsyncGenerator[list[SourceRow], None]:
        """See `RowSource.batches`."""
        ended = False
        while not ended:
            batch: list[SourceRow] = []
            while len(batch) < BATCH:
                cells = self._next()
                if cells is None:
                    ended = True
                    break
                if isinstance(cells, str):
                    batch.append(SourceRow(fault=cells, line=self._begin, text=self._lines.text))
                elif cells:
                    batch.append(self._row(cells))
            yield batch
            await anyio.lowlevel.checkpoint()

    def _row(self, cells: list[str]) -> SourceRow:
        columns = self.columns or ()
        if len(cells) != len(columns):
            return SourceRow(
                values=dict(zip(columns, cells, strict=False)),
                fault=f"line {self._begin}: the row has {len(cells):,} cells where the header has {len(columns):,}",
                line=self._begin,
                text=self._lines.text,
            )
        written = dict(zip(columns, cells, strict=True))
        if not self._for_spreadsheets or not any(map(_is_escaped, cells)):
            return SourceRow(values=written, line=self._begin)
        values = {name: cell[1:] if _is_escaped(cell) else cell for name, cell in written.items()}
        return SourceRow(values=values, written=written, line=self._begin)

    def _next(self) -> list[str] | str | None:
        """Return the next row's cells, the fault of a row that cannot be read, or `None` at the end."""
        begin = self._begin = self._lines.number + 1
        self._lines.begin_row()
        try:
            cells = next(self._reader)
        except StopIteration:
            return None
        except csv.Error as error:
            if "unexpected end" in str(error) or self._lines.number > begin:
                return self._not_closed(begin)
            if "field larger" in str(error):
                return f"line {begin}: a cell is longer than {csv.field_size_limit():,} characters"
            return f"line {self._lines.number}: it is no CSV ({str(error)[:80]})"
        if self._lines.is_too_long:
            return f"line {self._lines.number}: {LONG_LINE}"
        if self._lines.has_nul:
            return f"line {self._lines.number}: it has a NUL byte"
        return cells

    def _not_closed(self, begin: int) -> str:
        end = self._lines.number
        problem = f"a quotation mark opened in line {begin} is not closed"
        return problem if begin == end else f"{problem}: lines {begin} to {end} are one row"


class _Lines:
    """The lines of a text, counted."""

    def __init__(self, text: Any, label: str, encoding: str) -> None:
        self._lines: Iterator[str] = read_lines(text)
        self._label = label
        self._encoding = encoding
        self._held: str | None = None
        self.number = 0
        self.has_nul = self.is_too_long = False
        self._row: list[str] = []
        self._kept = 0

    @property
    def text(self) -> str:
        """The text of the row that was read last, or the beginning of it."""
        return "".join(self._row)[:MAX_TEXT].rstrip("\r\n")

    def begin_row(self) -> None:
        """Note that the next line begins a row."""
        self.has_nul = self.is_too_long = False
        self._row, self._kept = [], 0

    def first(self) -> str:
        """Return the first line that is not blank, which is read again."""
        for line in self:
            if line.strip():
                self._held = line
                self.number -= 1
                return line
        return ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._held is not None:
            line, self._held = self._held, None
        else:
            try:
                line = next(self._lines)
            except UnicodeDecodeError as error:
                # `error.object` is the block that could not be decoded; it begins in the line that is being read.
                line_number = self.number + 1 + error.object[: error.start].count(b"\n")
                name = "UTF-8" if self._encoding.startswith("utf-8") else self._encoding
                raise BadSourceError(
                    f"{self._label}: line {line_number} is not {name}", fix=name_encoding(error.object)
                ) from None
            except (EOFError, OSError) as error:
                raise read_error(self._label, self.number, error) from error
        self.number += 1
        if "\0" in line:
            self.has_nul = True
            line = line.replace("\0", "\ufffd")
        if self._kept < MAX_TEXT:
            self._row.append(line)
            self._kept += len(line)
        if len(line) >= MAX_LINE:
            self.is_too_long = True
            return "\n"
        return line


def _is_escaped(cell: str) -> bool:
    """Return whether a cell has an apostrophe that `CsvOptions(escape_formulas=True)` puts before formulas."""
    return cell.startswith("'") and is_formula(cell)


def _outside_quotes(line: str, delimiter: str) -> int:
    return sum(part.count(delimiter) for part in line.split('"')[::2])
