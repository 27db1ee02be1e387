"""`BadExportError`: what was asked of an export cannot work; and the sentences of operating-system errors."""

from __future__ import annotations

import errno
import os

from carecloud_async.errors import ConfigurationError, ExportError

__all__ = ["BadExportError", "disk_error", "missing_extra"]

_HINTS = {
    errno.ENOSPC: "the disk is full: make room and go on with resume=True",
    errno.EDQUOT: "the disk quota is used up: make room and go on with resume=True",
    errno.EFBIG: "the file is larger than this system allows",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "the directory does not exist: make it first",
    errno.ENOTDIR: "a part of the path is no directory",
    errno.EISDIR: "it is a directory: name a file",
    errno.EPIPE: "the reader has gone",
}


class BadExportError(ExportError, ConfigurationError):
    """An argument of an export cannot work; nothing was sent or written, and the message names the fix."""


def disk_error(target: str | os.PathLike[str], error: OSError) -> ExportError:
    """Make the error of a target that cannot be written."""
    reason = _HINTS.get(error.errno or 0) or error.strerror or type(error).__name__
    return ExportError(f"{os.fspath(target)}: {reason}")


def missing_extra(what: str, extra: str) -> BadExportError:
    """Make the error of an optional package that is not installed."""
    return BadExportError(f"{what} needs a package that is not installed: pip install 'carecloud-async[{extra}]'")
