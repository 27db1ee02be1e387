"""`BadExportError` for arguments that cannot work, and export errors made from those of the system and of records."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from carecloud_async._base.codec.json_text import Malformed
from carecloud_async._base.runs import FULL, reason_of
from carecloud_async.errors import ConfigurationError, ExportError
from carecloud_async.fixes import RESUME, ROOM, Fix

__all__ = ["WORKBOOKS", "BadExportError", "disk_error", "disk_errors", "missing_extra", "nesting_errors"]

#: How the names of workbooks end, which are neither written nor read.
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")

_ALL_FIELDS = Fix("export to .jsonl {all_fields}, which keeps it unchanged")


class BadExportError(ExportError, ConfigurationError):
    """An argument of an export cannot work; nothing was sent or written, and the message names the fix."""


def disk_error(target: str | os.PathLike[str], error: OSError, *, full: Fix = RESUME) -> ExportError:
    """Make the error of a target that cannot be written.

    Args:
        target: the file.
        error: the error of the system.
        full: the fix of a full disk.
    """
    return ExportError(f"{os.fspath(target)}: {reason_of(error)}", fix=full if error.errno in FULL else None)


@contextmanager
def disk_errors(target: str | os.PathLike[str], *, full: Fix = ROOM) -> Iterator[None]:
    """Turn an error of the disk into an `ExportError`; see `disk_error`."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise disk_error(target, error, full=full) from error


def missing_extra(what: str, extra: str) -> BadExportError:
    """Make the error of an optional package that is not installed."""
    return BadExportError(f"{what} needs a package that is not installed: pip install 'carecloud-async[{extra}]'")


@contextmanager
def nesting_errors() -> Iterator[None]:
    """Turn the failure on a record that is nested too deeply into a clear error.

    Raises:
        ExportError: a record is nested too deeply.
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
    raise ExportError(f"{reason} for this format", fix=_ALL_FIELDS)
