"""`RowSource`: the rows of a source, in batches."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import date, datetime
from typing import IO, Any, Final

from attrs import field, frozen

from carecloud_async.bulk.outcome import LINE, UNREADABLE

__all__ = ["BATCH", "MAX_TEXT", "Dialect", "RowSource", "SourceRow", "row_json", "to_json"]

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

    values: Mapping[str, Any] = field(factory=dict)
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
        return to_json([{**_written(one), LINE: one.line} for one in row.lines] if row.lines else _written(row))
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
