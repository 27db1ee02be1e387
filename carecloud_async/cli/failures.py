"""Failures as one line that names the fix, and the exit code that goes with it."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    CareCloudError,
    ConfigurationError,
    ConnectionFailedError,
    ExportError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
)
from carecloud_async.runtime import suggestions

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130

#: Names of arguments in Python, and what they are called on the command line.
_OPTIONS = {
    "allow_http=True": "--allow-http",
    "overwrite=True": "--overwrite",
    "resume=True": "--resume",
    "pass credentials in auth= instead": "give the login with --login and the password in CARECLOUD_PASSWORD",
    "project_url": "the project URL",
    "changed_since": "--changed-since",
    "requests_per_second": "--rate",
}


class UsageError(CareCloudError):
    """The command line or the settings cannot work; exit code 2."""

    code = WRONG_USAGE


class MissingExtraError(CareCloudError):
    """Something that is not installed; the message has the command that installs it."""


class MissingRecordError(CareCloudError):
    """The record that was asked for does not exist."""


def explain(error: BaseException) -> tuple[str, int]:
    """Return the line to print for an error, and the exit code."""
    if isinstance(error, UsageError | ConfigurationError):
        return _in_options(str(error)), WRONG_USAGE
    return _in_options(f"{_plain(error)}{_fix(error)}"), FAILED


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or else which there are."""
    names = sorted(known)
    close = suggestions.nearest(name, names)
    return f"did you mean {close}?" if close else f"there are {', '.join(names)}"


def _plain(error: BaseException) -> str:
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return f"{error.filename}: {reason}" if error.filename else reason
    if isinstance(error, CareCloudError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error} (CARECLOUD_DEBUG=1 shows where; please report it)"


def _fix(error: BaseException) -> str:
    match error:
        case AuthenticationError():
            return " (CARECLOUD_LOGIN, CARECLOUD_PASSWORD, CARECLOUD_EXTERNAL_APPLICATION_ID)"
        case PermissionDeniedError(exception="interface_not_allowed_exception"):
            return ": this application may not use the enterprise interface; ask the administrator for one that may"
        case PermissionDeniedError() if error.path.endswith("login"):
            return ": check CARECLOUD_LOGIN, CARECLOUD_PASSWORD and CARECLOUD_EXTERNAL_APPLICATION_ID"
        case PermissionDeniedError():
            return ": the API user lacks the right; ask the administrator"
        case BadRequestError():
            return ": correct the value of what stands in the brackets"
        case RateLimitError():
            return ": the project is asked too often; try again later, exports slower with --rate"
        case ServerError():
            return ": the server has trouble; try again later"
        case ApiError(path=path) if path.endswith("login"):
            return ": check CARECLOUD_LOGIN, CARECLOUD_PASSWORD and CARECLOUD_EXTERNAL_APPLICATION_ID"
        case ConnectionFailedError():
            return ": check --project-url (CARECLOUD_PROJECT_URL) and the network"
        case RequestTimeoutError():
            return ": try again, with a smaller --count if pages are slow"
        case ResponseError():
            return ": is the project URL that of a CareCloud project? If so, try again later"
        case ExportError() | CareCloudError():
            return ""
        case OSError(errno=errno.EADDRINUSE):
            return ": choose another with --port"
    return ""


def _in_options(text: str) -> str:
    for python, option in _OPTIONS.items():
        text = text.replace(python, option)
    return text
