"""JSON Lines: each record as the server sent it, one line whatever reads it.

JSON lets three characters stand in strings that many readers take for the end of a line (Python's `str.splitlines`
among them). They are written as escapes, which mean the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from carecloud_async.export.selection import Selection, pick

__all__ = ["join_lines"]

_LINE_ENDS = {name.encode(): b"\\u%04x" % ord(name) for name in ("\u0085", "\u2028", "\u2029")}


def join_lines(lines: Sequence[bytes], fields: Selection) -> bytes:
    """Return records as lines.

    Args:
        lines: the records, compact JSON.
        fields: the wanted fields; if all are, nothing is parsed.
    """
    if fields:
        lines = [pick(line, fields) for line in lines]
    text = b"".join([line + b"\n" for line in lines])
    if not text.isascii():
        for plain, escaped in _LINE_ENDS.items():
            text = text.replace(plain, escaped)
    return text
