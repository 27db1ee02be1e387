"""Errors of a call: of CareCloud's own refusal, with what its answer says, and of an answer that cannot be used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, TypeVar

from carecloud_async._base.codec.answers import NO_SUCH_INTERFACE, refusal
from carecloud_async._calls.call.operation import Operation
from carecloud_async._calls.http.redaction import Hiding
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    InvalidParam,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
)
from carecloud_async.fixes import INTERFACE, Fix

E = TypeVar("E", bound=TransportError | ResponseError)

_SECONDS = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")
_CODE = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,80}")
_LONG_NUMBER = re.compile(r"[0-9_.:\[\]-]{6,}")
_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    429: RateLimitError,
}
_REQUEST_ID_HEADERS = ("x-request-id", "x-correlation-id", "request-id")
#: Limits on the parts of an answer that an error keeps.
MAX_INVALID_PARAMS = 1000
_MAX_NAME = 200
_MAX_NAME_DEPTH = 8
_MAX_TEXT = 4000
#: The longest wait that is reported (seconds): finite, so that callers can compute with it.
_MAX_RETRY_AFTER = 1e300


def transport_error(kind: type[E], operation: Operation, problem: str, *, fix: Fix | None = None) -> E:
    """Return the error of a call without a usable answer; it names the call."""
    return kind(f"{operation.title}: {problem}", method=operation.method, path=operation.path, fix=fix)


def invalid_response(
    operation: Operation, problem: str, *, status: int | None = None, fix: Fix | None = None
) -> ResponseError:
    """Return the error of an answer that the API does not allow."""
    error = transport_error(ResponseError, operation, problem, fix=fix)
    error.status = status
    return error


def server_date(headers: Mapping[str, str]) -> datetime | None:
    """Return the `Date` of an answer in UTC: the server's clock (RFC 9110, 6.6.1)."""
    return _http_date(headers.get("date"))


def _http_date(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks for (RFC 9110, 10.2.3), or `None` if it is absent or unreadable.

    A date counts from the answer's own `Date`, else from `now`. A time in the past is zero.
    """
    text = (headers.get("retry-after") or "").strip()
    if not text:
        return None
    if _SECONDS.fullmatch(text):
        return min(max(float(text), 0.0), _MAX_RETRY_AFTER)
    moment = _http_date(text)
    if moment is None:
        return None
    return max((moment - (server_date(headers) or now)).total_seconds(), 0.0)


def api_error(
    response: Any,
    body: bytes,
    *,
    operation: Operation,
    kind: type[ApiError] | None,
    hint: str | None,
    fix: Fix | None,
    now: datetime,
    hide: Hiding,
) -> ApiError:
    """Return the typed error of an answer with an error status; bounded in size, and without secrets.

    Args:
        response: the answer.
        body: its body, whoever wrote it.
        operation: what was called.
        kind: the class of the error, if the status alone does not tell.
        hint: what the message adds.
        fix: the remedy, if the class alone does not tell.
        now: the host's time, for a `Retry-After` that is a date.
        hide: hides the call's secrets in texts of the answer.
    """
    status, headers, error = response.status_code, response.headers, refusal(body) or {}
    exception = _code(error.get("exception"))
    cls = kind or _BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)
    return cls(
        status=status,
        method=operation.method,
        path=operation.path,
        type=_text(error.get("type"), hide),
        exception=exception and hide(exception),
        title=_text(error.get("title"), hide),
        detail=_text(error.get("detail"), hide),
        invalid_params=_invalid_params(error.get("error_data"), hide),
        retry_after=retry_after(headers, now=now),
        request_id=request_id(headers, hide),
        hint=hint,
        fix=INTERFACE if fix is None and exception == NO_SUCH_INTERFACE else fix,
    )


def request_id(headers: Mapping[str, str], hide: Callable[[str], str]) -> str | None:
    """Return the server's id of a request, if its answer has one that may be shown."""
    return next((hide(code) for name in _REQUEST_ID_HEADERS if (code := _code(headers.get(name)))), None)


def _text(value: Any, hide: Hiding) -> str | None:
    return hide(value[:_MAX_TEXT]) if isinstance(value, str) and value else None


def _code(value: Any) -> str | None:
    """Return a value if it looks like a code: codes are shown; prose is not, since it may quote personal data."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _label(value: Any) -> str:
    """Return a code, or `unknown` for another value. A long number counts as one: it may be a phone or card number."""
    code = _code(value)
    return "unknown" if code is None or _LONG_NUMBER.fullmatch(code) else code


def _invalid_params(error_data: Any, hide: Hiding) -> tuple[InvalidParam, ...]:
    entries = error_data.get("invalid_params") if isinstance(error_data, dict) else None
    if isinstance(entries, dict):  # PHP turns a list with gaps into an object
        entries = list(entries.values())
    if not isinstance(entries, list):
        return ()
    return tuple(
        InvalidParam(name=hide(_param_name(entry.get("name"))), reason=hide(_label(entry.get("reason"))))
        for entry in entries[:MAX_INVALID_PARAMS]
        if isinstance(entry, dict)
    )


def _param_name(name: Any, *, depth: int = _MAX_NAME_DEPTH) -> str:
    match name:
        case str():
            return _label(name)
        case bool() | None:
            return "unknown"
        case int() | float():
            return _label(str(name))
        case list() if depth:
            return ",".join(_param_name(part, depth=depth - 1) for part in name[:_MAX_NAME])[:_MAX_NAME] or "unknown"
        case dict():
            return ",".join(_label(key) for key in islice(name, _MAX_NAME))[:_MAX_NAME] or "unknown"
    return "unknown"
