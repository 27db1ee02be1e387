"""JSON Lines as rows: one object a line."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anyio.lowlevel

from carecloud_async.bulk.sources.files import TOO_LONG, read_error, read_lines
from carecloud_async.bulk.sources.source import BATCH, MAX_TEXT, RowSource, SourceRow

__all__ = ["JsonlSource"]


class JsonlSource(RowSource):
    """A JSON Lines file; arguments as for `RowSource`."""

    async def batches(self) -> AsyncGenerator[list[SourceRow], None]:
        """See `RowSource.batches`."""
        batch: list[SourceRow] = []
        number = 0
        try:
            for number, line in enumerate(read_lines(self._stream), 1):
                if line is TOO_LONG:
                    batch.append(SourceRow(fault=f"line {number}: it is longer than 16 MiB", line=number))
                elif line.strip(b"\xef\xbb\xbf \t\r\n"):
                    batch.append(_row(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, number))
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
                    await anyio.lowlevel.checkpoint()
        except (EOFError, OSError) as error:
            raise read_error(self.label, number, error) from error
        yield batch


def _row(line: bytes, number: int) -> SourceRow:
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
