"""JSON Lines: each record as the server sent it, on one line for every reader.

JSON strings may hold three characters that many readers take for the end of a line (Python's `str.splitlines` does).
They are written as escapes, which mean the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from carecloud_async._base.codec.json_text import load_spelled
from carecloud_async._lists.export.errors import nesting_errors
from carecloud_async._lists.export.formats.compression import frame_maker
from carecloud_async._lists.export.formats.schema import Selection
from carecloud_async._lists.export.formats.sinks import pieces

#: Bytes that are joined and written at a time. Each write releases the interpreter lock, and a busy event loop takes a
#: while to give it back: with small pieces, commits were slow enough to make the reader wait.
_PIECE = 4 << 20

_LINE_ENDS = {name.encode(): b"\\u%04x" % ord(name) for name in ("\u0085", "\u2028", "\u2029")}
#: The byte that they begin with: searching for one byte is thirty times as fast as searching for several.
_STARTS = {start: [name for name in _LINE_ENDS if name[:1] == start] for start in (b"\xc2", b"\xe2")}


def line_encoder(fields: Selection, compression: str) -> Callable[[Sequence[bytes]], Iterable[bytes]]:
    """Return a function that turns records into the bytes of a file, a piece at a time.

    Args:
        fields: the wanted fields; empty for all.
        compression: `.gz`, `.zst` or nothing.

    Raises:
        BadExportError: the package for the compression is not installed.
    """
    frame = frame_maker(compression)

    def encode(lines: Sequence[bytes]) -> Iterator[bytes]:
        for piece in pieces(lines, size=_PIECE):
            with nesting_errors():
                data = join_lines(piece, fields)
            yield data

    def compress(lines: Sequence[bytes]) -> Iterator[bytes]:
        yield frame(b"".join(encode(lines)))  # as one frame: small frames compress worse

    return compress if compression else encode


def join_lines(lines: Sequence[bytes], fields: Selection) -> bytes:
    """Return records as lines.

    Args:
        lines: the records, compact JSON.
        fields: the wanted fields; if all are, nothing is parsed.
    """
    if fields:
        lines = [_pick_fields(line, fields) for line in lines]
    text = b"\n".join([*lines, b""])
    for start, names in _STARTS.items():
        if start in text:
            for name in names:
                text = text.replace(name, _LINE_ENDS[name])
    return text


def _pick_fields(line: bytes, wanted: Selection) -> bytes:
    """Return a record with only the wanted fields; missing ones stay absent."""
    return msgspec.json.encode(_pick(load_spelled(line), wanted))


def _pick(value: Any, wanted: Selection) -> Any:
    if not wanted:
        return value
    if isinstance(value, dict):
        return {name: _pick(value[name], inner) for name, inner in wanted.items() if name in value}
    if isinstance(value, list):
        return [_pick(inner, wanted) for inner in value]
    return value
