r"""`Sink`: turns records into a file of some format.

A format of your own is a subclass and one call:

    class TextSink(Sink):
        def write(self, lines):
            for line in lines:
                self.file.write(json.loads(line)["customer_id"].encode() + b"\n")

    register_sink(".txt", TextSink)
    await client.customers.list().export("ids.txt")         # and ids.txt.gz, s3://bucket/ids.txt.zst …

An export first collects all its records and hands them over at the end: a sink does not deal with pages, repeats or
resuming, and sees each record once.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Literal
from zoneinfo import ZoneInfo

from attrs import frozen

from carecloud_async._lists.export.errors import BadExportError
from carecloud_async._lists.export.formats.schema import Selection

#: Characters that end a field or a line of CSV themselves.
_NO_DELIMITERS = '"\r\n'

#: Bytes in a piece. It fits the processor's cache, and the allocator reuses the memory: a block of twice this size
#: would be requested from the system each time, page by page, which takes longer than filling it.
_SIZE = 96 * 1024


@frozen(kw_only=True)
class CsvOptions:
    """The dialect of a CSV file.

    Attributes:
        delimiter: the character between fields. Spreadsheets of countries with a decimal comma expect `;`.
        bom: whether the file begins with a byte order mark, by which Excel recognizes UTF-8.
        escape_formulas: whether text that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, a
            tab or a line end) is written after an apostrophe (OWASP, CSV injection). Numbers are not changed.
        decimal: the decimal sign of numbers, `.` or `,`, as `bulk_write` takes it; thousands are never separated.
            Numbers in lists, which are JSON, keep the point.

    Raises:
        BadExportError: the delimiter is not one character, or CSV needs it, or the decimal sign is another one.
    """

    delimiter: str = ","
    bom: bool = False
    escape_formulas: bool = False
    decimal: Literal[".", ","] = "."

    def __attrs_post_init__(self) -> None:
        value: object = self.delimiter
        if not isinstance(value, str) or len(value) != 1 or value in _NO_DELIMITERS:
            raise BadExportError(
                "CsvOptions: delimiter must be one character other than a quote or line end, such as ';'"
            )
        if self.decimal not in {".", ","}:
            raise BadExportError("CsvOptions: decimal is '.' or ','")

    @classmethod
    def excel(cls, *, decimal: Literal[".", ","] = ".") -> CsvOptions:
        """Return options for files that a spreadsheet opens safely: `;`, a byte order mark, formulas escaped.

        Args:
            decimal: the decimal sign of the spreadsheet's country.
        """
        return cls(delimiter=";", bom=True, escape_formulas=True, decimal=decimal)


@frozen(kw_only=True)
class Layout:
    """What a sink needs to know about the records.

    Attributes:
        into: the model of a record.
        fields: the wanted fields, see `schema.read_fields`; empty for all.
        timezone: the project's zone; timestamps are local to it.
        columns: `model` for always the model's columns, with unknown fields as JSON text in a last
            column; `found` for the model's columns and those that the records add. Used by formats with types.
        timestamps: `utc` for aware timestamps, `project` for naive project-local ones. Used by formats with types.
        csv: the dialect of CSV.
    """

    into: Any
    fields: Selection
    timezone: ZoneInfo
    columns: Literal["model", "found"] = "model"
    timestamps: Literal["utc", "project"] = "utc"
    csv: CsvOptions = CsvOptions()


class Sink(abc.ABC):
    """Writes one file. It is created, called and closed in a worker thread: it may block.

    First `infer_schema` is called with all records, then `write` with all records in the same order, then `close`.
    Both get them in batches. On a target that is not a regular file, `infer_schema` sees the first batch only. An
    exception of a sink ends the export; the fetched records are kept.

    Args:
        file: where the bytes go; written from front to back. The sink leaves it open.
        layout: what is known about the records.

    Attributes:
        is_incremental: whether it can also write while records still arrive: `infer_schema` then sees the first batch
            only.
        outdated: whether records arrived that do not fit the columns of the file, if it is incremental. The file is
            then discarded, and written again when all records are known.
    """

    is_incremental = False
    outdated = False

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self.file = file
        self.layout = layout

    @property
    def nulls(self) -> Mapping[str, int]:
        """The number of values that the format could not hold and wrote as null, by dotted field name."""
        return {}

    def infer_schema(self, lines: Sequence[bytes]) -> None:  # noqa: B027  (few sinks need it)
        """Inspect records before any is written, to find the columns.

        Args:
            lines: records, one compact line of JSON each, without line end.
        """

    @abc.abstractmethod
    def write(self, lines: Sequence[bytes]) -> None:
        """Write records.

        Args:
            lines: as in `infer_schema`.
        """

    def close(self) -> None:  # noqa: B027  (few sinks need it)
        """Write what belongs at the end."""

    def abort(self) -> None:  # noqa: B027  (few sinks need it)
        """Release resources without writing; called instead of `close` if the export fails or is stopped."""


#: Makes a sink of a file and a layout: a `Sink` class, or a function.
SinkFactory = Callable[[BinaryIO, Layout], Sink]


def pieces(lines: Sequence[bytes], *, size: int = _SIZE) -> Iterator[Sequence[bytes]]:
    """Yield records in their order, about `size` bytes at a time; a larger record is a piece of its own.

    Args:
        lines: the records.
        size: the bytes of a piece.
    """
    step = max(len(lines) * size // max(sum(map(len, lines)), size), 1)
    for start in range(0, len(lines), step):
        yield lines[start : start + step]
