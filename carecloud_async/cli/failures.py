"""Failures as one line that names the fix, and the exit code that goes with it."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable

from carecloud_async.calls.attempt import NO_CONNECTION, NO_LOGIN
from carecloud_async.calls.outcomes import LOOK_FIRST
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    CareCloudError,
    ConfigurationError,
    ConnectionFailedError,
    ExportError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
)
from carecloud_async.runtime import suggestions

FAILED = 1
WRONG_USAGE = 2

#: Words of the Python interface in messages, and what the command line calls the same.
_OPTIONS = {
    "allow_http=True": "--allow-http",
    "overwrite=True": "--overwrite",
    "resume=True": "--resume",
    "export with resume=False to begin anew": "export without --resume to begin anew",
    "resume=False": "no --resume",
    "pass credentials in auth= instead": "give the login with --login and the password in CARECLOUD_PASSWORD",
    "check proxy= or HTTPS_PROXY": "check HTTPS_PROXY",
    "for a private CA set verify= to its file": "for a private CA set SSL_CERT_FILE to its file",
    "check project_url, proxy= and verify=": "check the project URL, HTTPS_PROXY and SSL_CERT_FILE",
    "check project_url and proxy=": "check the project URL and HTTPS_PROXY",
    "proxy=": "HTTPS_PROXY",
    "project_url": "the project URL",
    "external_application_id": "--external-application-id",
    "changed_since": "--changed-since",
    "requests_per_second": "--rate",
    "with all fields": "without --fields",
    LOOK_FIRST: "it may have been made, look before you repeat it",
    "fields:": "--fields:",
}
_WORDS = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, _OPTIONS))})(?!\w)")


class UsageError(CareCloudError):
    """The command line or the settings cannot work; exit code 2."""

    code = WRONG_USAGE


class MissingExtraError(CareCloudError):
    """Something that is not installed; the message has the command that installs it."""


class StoppedExportError(CareCloudError):
    """An export failed, and what it had fetched is kept; `__cause__` is the failure."""


class StoppedImportError(CareCloudError):
    """An import failed, and what it had done is kept; `__cause__` is the failure."""


class MissingRecordError(CareCloudError):
    """The record that was asked for does not exist."""


def explain(error: BaseException) -> tuple[str, int]:
    """Return the line to print for an error, and the exit code."""
    if isinstance(error, StoppedExportError | StoppedImportError):
        line, code = explain(error.__cause__ or error)
        return f"{line}; the same command with --resume goes on", code
    if isinstance(error, UsageError | ConfigurationError):
        return _in_options(str(error)), WRONG_USAGE
    fix = "" if isinstance(error, CareCloudError) and error.may_have_happened else _fix(error)
    return _in_options(f"{_plain(error)}{fix}"), FAILED


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or else which there are."""
    names = sorted(known)
    close = suggestions.nearest(name, names)
    return f"did you mean {close}?" if close else f"there are {', '.join(names)}"


def _plain(error: BaseException) -> str:
    if isinstance(error, CareCloudError):  # before OSError: a RequestTimeoutError is both
        return str(error)
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return f"{error.filename}: {reason}" if error.filename else reason
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
        case NotFoundError():
            return ": check the ids"
        case RateLimitError():
            return ": the project is asked too often; try again later, exports slower with --rate"
        case ServerError():
            return ": the server has trouble; try again later"
        case ApiError(path=path) if path.endswith("login"):
            return ": check CARECLOUD_LOGIN, CARECLOUD_PASSWORD and CARECLOUD_EXTERNAL_APPLICATION_ID"
        case ConnectionFailedError():
            return ": check --project-url (CARECLOUD_PROJECT_URL) and the network"
        case RequestTimeoutError() if NO_CONNECTION in str(error) or NO_LOGIN in str(error):
            return ": nothing answers there; check --project-url (CARECLOUD_PROJECT_URL), the port and the network"
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
    return _WORDS.sub(lambda found: _OPTIONS[found[0]], text)
