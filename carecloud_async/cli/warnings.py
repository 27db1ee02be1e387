"""The SDK's warnings as lines on stderr."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from carecloud_async.cli.console import say
from carecloud_async.cli.failures import with_options

_SDK = logging.getLogger("carecloud_async")
#: Warns of values that could not be read.
_VALUES = logging.getLogger("carecloud_async.codec")


class _Lines(logging.Handler):
    """Prints warnings; the record of a failed call is left out, since its error is printed or was repaired."""

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "carecloud_path", None) is None:
            say(f"warning: {with_options(record.getMessage())}")


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print the SDK's warnings while the block runs, which Python would print bare; those about values only on demand.

    See `warn_of_values`.
    """
    lines, propagate, level = _Lines(logging.WARNING), _SDK.propagate, _VALUES.level
    _SDK.addHandler(lines)
    _SDK.propagate = False
    _VALUES.setLevel(logging.ERROR)
    try:
        yield
    finally:
        _VALUES.setLevel(level)
        _SDK.propagate = propagate
        _SDK.removeHandler(lines)


def warn_of_values() -> None:
    """Print warnings about values that could not be read, too.

    They matter where values are written to a file; what is printed as the server sent it loses nothing.
    """
    _VALUES.setLevel(logging.WARNING)
