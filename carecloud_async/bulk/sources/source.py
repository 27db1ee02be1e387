"""`RowSource`: the rows of a source, in batches; those of JSON Lines, and those that a program makes."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import date, datetime
from typing import IO, Any, Final

import anyio.lowlevel
import attrs
from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, api_names
from carecloud_async._base.runtime.secret_text import kind_name
from carecloud_async.bulk.outcome import LINE, UNREADABLE
from carecloud_async.bulk.sources.files import LONG_LINE, MAX_LINE, read_error, read_lines
from carecloud_async.models.base import Input, Model

#: Most characters of a row that cannot be read: as many as a cell of a spreadsheet holds.
MAX_TEXT: Final = 32_000
#: Rows that are read and checked before other tasks run: some milliseconds.
BATCH: Final = 100


@frozen(kw_only=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        delimiter: the character between cells.
        encoding: the encoding of its text, such as `utf-8`.
    """

    delimiter: str = ","
    encoding: str = "utf-8"


@frozen(kw_only=True)
class SourceRow:
    """One row of a source.

    Attributes:
        values: column → value; nested objects in JSON.
        fault: why the row cannot be read; `None` if it can.
        line: the line of the file in which it begins; `None` where the source has no lines.
        text: the text of a row that cannot be read, or the beginning of it, as it stands in the file.
        written: the values as they stand in the file, for the results; `None` if that makes no difference.
        lines: the lines that it is made of; empty if it is one line.
    """

    values: Mapping[str, Any] = field(factory=dict, repr=False)
    fault: str | None = None
    line: int | None = None
    text: str = field(default="", repr=False)
    written: Mapping[str, Any] | None = field(default=None, repr=False)
    lines: tuple[SourceRow, ...] = field(default=(), repr=False)


class RowSource(ABC):
    """The rows of a source, read once from its beginning to its end.

    Args:
        stream: a file, unpacked; closed by `close`.
        label: the name of the source in messages.
        identity: what changes when the source changes; `None` if only its rows tell.

    Attributes:
        label, identity: as given.
        columns: the names of the columns; `None` where each row has names of its own.
        textual: whether every value is the text of a cell.
        blanks: whether an empty value is a blank cell.
        dialect: the dialect of the source, in which CSV files of results are written.
    """

    textual: bool = False
    blanks: bool = False

    def __init__(self, stream: IO[Any] | None = None, *, label: str = "rows", identity: str | None = None) -> None:
        self.label = label
        self.identity = identity
        self.columns: tuple[str, ...] | None = None
        self.dialect: Dialect = Dialect()
        self._stream = stream

    @abstractmethod
    def batches(self) -> AsyncGenerator[list[SourceRow], None]:
        """Yield the rows in batches."""

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()


def row_json(row: SourceRow) -> bytes:
    """Return a row as it stands in the source, to be kept for the results; of several lines each, with its number."""
    try:
        return to_json([{**_written(line), LINE: line.line} for line in row.lines] if row.lines else _written(row))
    except (ValueError, RecursionError):  # numbers of thousands of digits, values nested too deeply
        return b"{}"


def _written(row: SourceRow) -> Mapping[str, Any]:
    values = row.values if row.written is None else row.written
    return {**values, UNREADABLE: row.text} if row.text else values


def to_json(values: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Return a row, or its lines, as JSON, to be kept in the journal and written to the results."""
    return _JSON.encode(values).encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


#: Made once: `json.dumps` makes one for each row.
_JSON: Final = json.JSONEncoder(default=_plain, ensure_ascii=False, separators=(",", ":"))


class JsonlSource(RowSource):
    """A JSON Lines file; arguments as for `RowSource`."""

    async def batches(self) -> AsyncGenerator[list[SourceRow], None]:
        """See `RowSource.batches`."""
        batch: list[SourceRow] = []
        number = 0
        try:
            for number, line in enumerate(read_lines(self._stream), 1):
                if len(line) >= MAX_LINE:
                    batch.append(_unreadable(line, number, LONG_LINE))
                elif line.strip(b"\xef\xbb\xbf \t\r\n"):
                    batch.append(_row_of_line(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, number))
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
                    await anyio.lowlevel.checkpoint()
        except (EOFError, OSError) as error:
            raise read_error(self.label, number, error) from error
        yield batch


def _row_of_line(line: bytes, number: int) -> SourceRow:
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError):
        return _unreadable(line, number, "it is no JSON")
    if not isinstance(values, Mapping):
        return _unreadable(line, number, "it is no JSON object")
    return SourceRow(values=values, line=number)


def _unreadable(line: bytes, number: int, fault: str) -> SourceRow:
    text = line[: 4 * MAX_TEXT].decode("utf-8", "replace").rstrip("\r\n")[:MAX_TEXT]
    return SourceRow(fault=f"line {number}: {fault}", line=number, text=text)


_RECORD: Final = (
    "a record that was read from the API shows null also where nothing is set: give a dict of the fields to change"
)


class MappingSource(RowSource):
    """Rows that a program makes."""

    def __init__(self, rows: Iterable[Any] | AsyncIterable[Any]) -> None:
        super().__init__()
        self._rows = rows

    async def batches(self) -> AsyncGenerator[list[SourceRow], None]:
        """See `RowSource.batches`."""
        batch: list[SourceRow] = []
        async with aclosing(_each(self._rows)) as rows:
            async for row in rows:
                batch.append(row_of(row))
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
        yield batch


async def _each(rows: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
        return
    for number, row in enumerate(rows):
        yield row
        if number % BATCH == BATCH - 1:
            await anyio.lowlevel.checkpoint()


def row_of(row: Any) -> SourceRow:
    """Return a mapping or an input as a row; anything else, such as a record that was read, as a fault."""
    if isinstance(row, (Mapping, Input)):
        try:
            return SourceRow(values=_values_of(row))
        except RecursionError:
            return SourceRow(fault="a value is nested too deeply")
    if isinstance(row, Model):
        return SourceRow(fault=_RECORD)
    return SourceRow(fault=f"a row is a mapping or an input, not a {kind_name(row)}")


def _values_of(value: Any) -> Any:
    """Return a value with its inputs as dicts, without what is `UNSET`."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if attrs.has(type(value)):
        names = api_names(type(value))
        return {
            name: _values_of(getattr(value, field))
            for field, name in names.items()
            if getattr(value, field) is not UNSET
        }
    if isinstance(value, Mapping):
        return {str(name): _values_of(inner) for name, inner in value.items() if inner is not UNSET}
    if isinstance(value, (list, tuple)):
        return [_values_of(inner) for inner in value]
    return value
