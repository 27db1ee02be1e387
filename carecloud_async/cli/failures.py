"""Failures, warnings and interruptions as single lines that say what to do, and the exit code that goes with each."""

from __future__ import annotations

import errno
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio
import typer

from carecloud_async import fixes
from carecloud_async._base.runtime import suggestions
from carecloud_async.cli.console import INTERRUPTED, say
from carecloud_async.errors import CareCloudError, ConfigurationError
from carecloud_async.export import InexactReason
from carecloud_async.fixes import Fix

T = TypeVar("T")

_SDK = logging.getLogger("carecloud_async")
#: Warns of values that could not be read.
_VALUES = logging.getLogger("carecloud_async.codec")
#: Warns of lists that were not read exactly.
_READINGS = logging.getLogger("carecloud_async.reading")

FAILED = 1
WRONG_USAGE = 2

#: What the command line calls the settings of a fix, where it is not an option of the same name.
_OPTIONS = {
    "all_fields": "without --fields",
    "auth": "--login and CARECLOUD_PASSWORD",
    "columns": "--column or --columns FILE",
    "credentials": "CARECLOUD_LOGIN, CARECLOUD_PASSWORD",
    "excel": "--excel --decimal ,",
    "external_application_id": "CARECLOUD_EXTERNAL_APPLICATION_ID",
    "decimal": "--decimal ,",
    "default": "--default ",
    "defaults": "--default",
    "values": "--value",
    "ignore_columns": "--ignore-column",
    "no_resume": "without --resume",
    "project_url": "--project-url (CARECLOUD_PROJECT_URL)",
    "proxy": "HTTPS_PROXY",
    "requests_per_second": "--rate",
    "verify": "SSL_CERT_FILE",
}
#: Fixes that the command words in its own way.
_STEPS = {
    fixes.FOR_CUSTOMERS: "only devices and customers may call it, and the command logs in as an API user",
    fixes.IN_FRONT: "check HTTPS_PROXY and --project-url (CARECLOUD_PROJECT_URL); if both are right, try again later",
    fixes.INTERFACE: "this application may not use the enterprise interface; ask the administrator for one that may",
    fixes.INTO: "the server's answer has another form than the SDK knows; please report it",
    fixes.LIST_KEY: "carecloud request prints the whole answer",
    fixes.LOOK_FIRST: "it may have been made, look before you repeat it",
    fixes.NOT_THE_API: "is the project URL that of a CareCloud project? If so, try again later",
    fixes.PERMISSION: "the API user lacks the right; ask the administrator",
    fixes.PROXY: "check HTTPS_PROXY",
    fixes.SHORTER_ANSWERS: "read less at once, with a smaller --count",
    fixes.SLOW_DOWN: "the project is asked too often; try again later, exports slower with --rate",
    fixes.TRY_LATER: "the server has trouble; try again later",
}
#: What helps with an empty list where no earlier run is remembered.
_RUN_AGAIN = "check the filters and the rights of this user, then run it again"


class UsageError(CareCloudError):
    """The command line or the settings cannot work; exit code 2."""

    code = WRONG_USAGE


class MissingExtraError(CareCloudError):
    """Something that is not installed; the message has the command that installs it."""


class StoppedError(CareCloudError):
    """An export or import failed, and `--resume` continues it; `__cause__` is the failure."""


class MissingRecordError(CareCloudError):
    """The record that was asked for does not exist."""


def explain(error: BaseException) -> tuple[str, int]:
    """Return the line to print for an error, and the exit code."""
    if isinstance(error, StoppedError):
        cause = error.__cause__ or error
        line, code = explain(cause)
        if isinstance(cause, CareCloudError) and cause.fix is not None and "resume" in cause.fix.settings:
            return line, code
        return f"{line}; the same command with --resume goes on", code
    code = WRONG_USAGE if isinstance(error, UsageError | ConfigurationError) else FAILED
    return f"{_plain(error)}{_fix(error)}", code


def run(work: Callable[[], Awaitable[T]], interrupted: Callable[[], str]) -> T:
    """Run the work of a command.

    Args:
        work: the work.
        interrupted: what has become of it, said when Ctrl-C or SIGTERM ends it.

    Raises:
        typer.Exit: it was interrupted.
    """
    try:
        return anyio.run(work)
    except KeyboardInterrupt:
        say(interrupted())
        raise typer.Exit(INTERRUPTED) from None


def _worded(fix: Fix) -> str:
    return _STEPS.get(fix) or fix.worded(_OPTIONS, lambda setting: f"--{setting.replace('_', '-')}")


def inexact(reasons: Iterable[InexactReason], *, may_shrink: bool = False) -> str:
    """Return why a reading is not exact, and what helps.

    Args:
        reasons: why.
        may_shrink: whether the command has the option `--allow-shrink`.
    """
    steps = {reason: _worded(reason.fix) for reason in reasons}
    if not may_shrink and InexactReason.EMPTIED in steps:
        steps[InexactReason.EMPTIED] = _RUN_AGAIN
    return "; ".join(f"not exact, because {reason.seen}: {step}" for reason, step in steps.items())


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or else which there are."""
    names = sorted(known)
    close = suggestions.nearest(name, names)
    return f"did you mean {close}?" if close else f"there are {', '.join(names)}"


def _plain(error: BaseException) -> str:
    if isinstance(error, CareCloudError):  # before OSError: a RequestTimeoutError is both
        return error.problem
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return f"{error.filename}: {reason}" if error.filename else reason
    return f"unexpected {type(error).__name__}: {error} (CARECLOUD_DEBUG=1 shows where; please report it)"


def _fix(error: BaseException) -> str:
    fix = error.fix if isinstance(error, CareCloudError) else None
    if isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EROFS}:
        fix = fixes.OTHER_PLACE
    if fix is not None:
        return f": {_worded(fix)}"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return ": choose another with --port"
    return ""


class _Lines(logging.Handler):
    """Prints warnings; the record of a failed call is left out, since its error is printed or was repaired."""

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "carecloud_path", None) is None:
            say(f"warning: {_message(record)}")


def _message(record: logging.LogRecord) -> str:
    """Return the text of a warning, with the options of the command for the settings of a fix in it."""
    args = record.args if isinstance(record.args, tuple) else ()
    shown = tuple(_worded(arg) if isinstance(arg, Fix) else arg for arg in args)
    return logging.makeLogRecord({**record.__dict__, "args": shown or record.args}).getMessage()


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print the SDK's warnings as lines of the command while the block runs.

    Those about values that could not be read, and about lists that were not read exactly, are left out; see
    `warn_of_values` and `warn_of_readings`.
    """
    lines, propagate = _Lines(logging.WARNING), _SDK.propagate
    levels = {logger: logger.level for logger in (_VALUES, _READINGS)}
    _SDK.addHandler(lines)
    _SDK.propagate = False
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
        _SDK.propagate = propagate
        _SDK.removeHandler(lines)


def warn_of_values() -> None:
    """Print warnings about values that could not be read, too.

    They matter where values are written to a file; what is printed as the server sent it loses nothing.
    """
    _VALUES.setLevel(logging.WARNING)


def warn_of_readings() -> None:
    """Print warnings about lists that were not read exactly, too: for a command whose outcome does not say why."""
    _READINGS.setLevel(logging.WARNING)
