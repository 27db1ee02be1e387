"""A record's line into plain values and back, whatever the server put into it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from carecloud_async.codec.malformed import Malformed
from carecloud_async.codec.repair import load
from carecloud_async.errors import ExportError

__all__ = ["read_line", "within_reason", "write_value"]


def read_line(line: bytes) -> Any:
    """Read a record; a number that no program can hold is null, as in a typed record.

    Raises:
        ExportError: it is nested too deeply.
    """
    try:
        return load(line)
    except Malformed as error:
        reason = str(error).replace("the body", "a record")
    raise _too_much(reason)


@contextmanager
def within_reason() -> Iterator[None]:
    """Make a clear error of a record whose nesting is beyond Python's.

    Raises:
        ExportError: it is.
    """
    try:
        yield
    except RecursionError:
        pass  # raised below: its traceback is a thousand lines
    else:
        return
    raise _too_much("a record is nested too deeply")


def _too_much(reason: str) -> ExportError:
    return ExportError(f"{reason} for this format: export to .jsonl with all fields, which keeps it as it is")


def write_value(value: Any) -> bytes:
    """Write a value as compact JSON; whole numbers may have any length."""
    try:
        return msgspec.json.encode(value)
    except OverflowError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
