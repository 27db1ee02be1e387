"""Records that no format but plain JSON Lines can hold: nested beyond what Python can follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from carecloud_async.codec.malformed import Malformed
from carecloud_async.errors import ExportError

__all__ = ["nesting_errors"]


@contextmanager
def nesting_errors() -> Iterator[None]:
    """Make a clear error of a record that is nested too deeply to be read or taken apart.

    Raises:
        ExportError: one is.
    """
    reason = "a record is nested too deeply"
    try:
        yield
    except Malformed as error:
        reason = str(error).replace("the body", "a record")
    except RecursionError:
        pass  # raised below: its traceback is a thousand lines
    else:
        return
    raise ExportError(f"{reason} for this format: export to .jsonl with all fields, which keeps it as it is")
