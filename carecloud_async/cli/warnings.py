"""The SDK's warnings as lines on stderr."""

from __future__ import annotations

import logging

from carecloud_async.cli.console import say

_VALUES = "carecloud_async.codec"


class _Lines(logging.Handler):
    """Prints warnings; the record of a failed call is left out, since its error is printed or was repaired.

    Args:
        about_values: whether to tell of values that could not be read.
    """

    def __init__(self, *, about_values: bool) -> None:
        super().__init__(logging.WARNING)
        self._about_values = about_values

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == _VALUES and not self._about_values:
            return
        if getattr(record, "carecloud_path", None) is None:
            say(f"warning: {record.getMessage()}")


def show_warnings(*, about_values: bool) -> None:
    """Print what the SDK warns of; without this Python would print it bare.

    Args:
        about_values: whether to tell of values that could not be read. They matter where they are written to a file;
            what is printed as the server sent it loses nothing.
    """
    logger = logging.getLogger("carecloud_async")
    for handler in [handler for handler in logger.handlers if isinstance(handler, _Lines)]:
        logger.removeHandler(handler)
    logger.addHandler(_Lines(about_values=about_values))
    logger.propagate = False
