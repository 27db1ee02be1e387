"""`BadExportError` for arguments that cannot work, and export errors made from those of the system and of records."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from carecloud_async.codec.malformed import Malformed
from carecloud_async.errors import ConfigurationError, ExportError
from carecloud_async.fixes import RESUME, Fix

__all__ = ["BadExportError", "disk_error", "full_disk_error", "missing_extra", "nesting_errors"]

_ALL_FIELDS = Fix("export to .jsonl {all_fields}, which keeps it unchanged")
_HINTS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than this system allows",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "the directory does not exist: make it first",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.EISDIR: "it is a directory: name a file",
    errno.EPIPE: "the reader has gone",
}


class BadExportError(ExportError, ConfigurationError):
    """An argument of an export cannot work; nothing was sent or written, and the message names the fix."""


def disk_error(target: str | os.PathLike[str], error: OSError, *, full: Fix = RESUME) -> ExportError:
    """Make the error of a target that cannot be written.

    Args:
        target: the file.
        error: the error of the system.
        full: the fix of a full disk.
    """
    reason = _HINTS.get(error.errno or 0) or error.strerror or type(error).__name__
    fix = full if error.errno in {errno.ENOSPC, errno.EDQUOT} else None
    return ExportError(f"{os.fspath(target)}: {reason}", fix=fix)


def full_disk_error(where: str, fix: Fix) -> ExportError:
    """Make the error of a full disk."""
    return ExportError(f"{where}: {_HINTS[errno.ENOSPC]}", fix=fix)


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
