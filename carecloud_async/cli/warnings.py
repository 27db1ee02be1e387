"""The SDK's warnings as lines on stderr."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from carecloud_async.cli.console import say

_VALUES = "carecloud_async.codec"


class _Lines(logging.Handler):
    """Prints warnings; the record of a failed call is left out, since its error is printed or was repaired.

    Attributes:
        about_values: whether to print warnings about values that could not be read.
    """

    about_values = False

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == _VALUES and not self.about_values:
            return
        if getattr(record, "carecloud_path", None) is None:
            say(f"warning: {record.getMessage()}")


_LINES = _Lines(logging.WARNING)


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print the SDK's warnings while the block runs; without this Python would print them bare."""
    logger = logging.getLogger("carecloud_async")
    before = logger.propagate
    _LINES.about_values = False
    logger.addHandler(_LINES)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(_LINES)
        logger.propagate = before


def tell_of_values() -> None:
    """Print warnings about values that could not be read, too.

    They matter where values are written to a file; what is printed as the server sent it loses nothing.
    """
    _LINES.about_values = True
