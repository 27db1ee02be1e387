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
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from attrs import frozen

from carecloud_async.export.formats.selection import Selection

__all__ = ["Layout", "Sink", "SinkFactory"]


@frozen(kw_only=True)
class Layout:
    """What a sink is told of the records.

    Attributes:
        into: the model of a record.
        fields: the wanted fields, see `selection.read_fields`; empty for all.
        timezone: the project's zone; timestamps are local to it.
    """

    into: Any
    fields: Selection
    timezone: ZoneInfo


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


#: Makes a sink of a file and a layout: a `Sink` class, or a function.
SinkFactory = Callable[[BinaryIO, Layout], Sink]
