r"""`Sink`: what turns records into a file of some format.

A format of your own is a subclass and one call:

    class TextSink(Sink):
        def write(self, lines):
            for line in lines:
                self.file.write(json.loads(line)["customer_id"].encode() + b"\n")

    register_sink(".txt", TextSink)
    await client.customers.list().export("ids.txt")         # and ids.txt.gz, s3://bucket/ids.txt.zst …

An export first collects its records, checked and complete, and hands them over at the end: a sink knows nothing of
pages, repeats or resuming, and sees each record once.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, BinaryIO, Literal
from zoneinfo import ZoneInfo

from attrs import frozen

from carecloud_async.export.errors import BadExportError
from carecloud_async.export.formats.selection import Selection

__all__ = ["CsvOptions", "IncrementalSink", "Layout", "Sink", "SinkFactory", "SlicedSink"]

#: Characters that end a field or a line of CSV themselves.
_NO_DELIMITERS = '"\r\n'


@frozen(kw_only=True)
class CsvOptions:
    """The dialect of a CSV file.

    Attributes:
        delimiter: the character between fields. Spreadsheets of countries with a decimal comma expect `;`.
        bom: whether the file begins with a byte order mark, by which Excel recognizes UTF-8.
        escape_formulas: whether text that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, a
            tab or a line end) is written behind an apostrophe (OWASP, CSV injection). Numbers stay as they are.

    Raises:
        BadExportError: the delimiter is not one character, or one that CSV needs itself.
    """

    delimiter: str = ","
    bom: bool = False
    escape_formulas: bool = False

    def __attrs_post_init__(self) -> None:
        value: object = self.delimiter
        if not isinstance(value, str) or len(value) != 1 or value in _NO_DELIMITERS:
            raise BadExportError(
                "CsvOptions: delimiter must be one character other than a quote or line end, such as ';'"
            )

    @classmethod
    def excel(cls) -> CsvOptions:
        """Return what a spreadsheet opens safely with a double click: `;`, a byte order mark, formulas escaped."""
        return cls(delimiter=";", bom=True, escape_formulas=True)


@frozen(kw_only=True)
class Layout:
    """What a sink is told of the records.

    Attributes:
        into: the model of a record.
        fields: the wanted fields, see `selection.read_fields`; empty for all.
        timezone: the project's zone; timestamps are local to it.
        columns: `model` for the model's columns whatever the records hold, with unknown fields as JSON text in a last
            column; `found` for the model's columns and those that the records add. Formats with types heed it.
        timestamps: `utc` for aware timestamps, `project` for naive project-local ones. Formats with types heed it.
        csv: the dialect of CSV.
    """

    into: Any
    fields: Selection
    timezone: ZoneInfo
    columns: Literal["model", "found"] = "model"
    timestamps: Literal["utc", "project"] = "utc"
    csv: CsvOptions = CsvOptions()


class Sink(abc.ABC):
    """Writes one file. Made, told and closed in a worker thread: it may block.

    First `infer_schema` is called with all records, then `write` with all records in the same order, then `close`.
    Both get them in batches. On a target that is not a regular file, `infer_schema` sees the first batch only. What a
    sink raises ends the export; what was fetched is kept.

    Args:
        file: where the bytes go; written from front to back. The sink leaves it open.
        layout: what is known of the records.
    """

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self.file = file
        self.layout = layout

    @property
    def nulls(self) -> Mapping[str, int]:
        """The number of values that the format could not hold and wrote as null, by dotted field name."""
        return {}

    def infer_schema(self, lines: Sequence[bytes]) -> None:  # noqa: B027  (few sinks need it)
        """Look at records before any is written, to know what columns there are.

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
        """Let go without writing; called in place of `close` where the export fails or is stopped."""


class IncrementalSink(Sink):
    """A sink that may also write while records still come: `infer_schema` then sees the first batch only.

    Attributes:
        outdated: whether records came that the columns of the file have no place for. What was written is then
            discarded, and the file is written anew when all records are known.
    """

    outdated = False


class SlicedSink(IncrementalSink):
    """A sink that computes in Python, in slices.

    It writes to memory then, and in the event loop, where its slices take turns with everybody else's: in a thread it
    would keep the loop waiting for the interpreter, again and again.
    """

    @abc.abstractmethod
    def infer_schema_in_slices(self, lines: Sequence[bytes]) -> Generator[None, None, None]:
        """Do what `infer_schema` does, with a `yield` after each millisecond or so."""

    @abc.abstractmethod
    def write_in_slices(self, lines: Sequence[bytes]) -> Generator[None, None, None]:
        """Do what `write` does, with a `yield` after each millisecond or so."""


#: Makes a sink of a file and a layout: a `Sink` class, or a function.
SinkFactory = Callable[[BinaryIO, Layout], Sink]
