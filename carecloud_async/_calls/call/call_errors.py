"""Errors of a call, without its secrets: a refusal, no usable answer, a wait that is too long, an unknown outcome.

Of an answer that CareCloud did not write (a proxy, a firewall, a login page or another server answered in its place)
they show the kind and the server's product, and nothing of its text, which may repeat the request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, TypeVar

from carecloud_async._base.codec.answers import NO_SUCH_INTERFACE, refusal
from carecloud_async._base.codec.json_text import BrokenJson, Malformed, load
from carecloud_async._calls.call.operation import Operation
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    CareCloudError,
    InvalidParam,
    MethodNotAllowedError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
)
from carecloud_async.fixes import INTERFACE, LOOK_FIRST, Fix

E = TypeVar("E", bound=TransportError | ResponseError)
#: Returns a text of an answer without secrets, as a `Hiding` does.
Hide = Callable[[str], str]

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

#: The first product that a `Server` header names (RFC 9110, 10.2.4), with a short version or none.
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z._-]{0,30}(/[0-9]{1,3}(\.[0-9]{1,3}){0,3})?(?=\s|$)")

_STARS = "***"
#: Names of fields and placeholders whose values are secret: `password`, `push_token`, `login`, `login_value`.
_SECRET_NAME = re.compile(r"password|token|secret|login(?!_type)")
#: Shorter secrets are hidden only where they stand alone: they may be parts of ordinary words.
_LONG = 8
#: The API's own reasons. They reveal nothing, though a customer may have one as the password, and callers compare them.
_REASONS = frozenset({
    "already_exists", "deleted", "empty", "invalid_value_format", "not_allowed_value",
    "not_belong_to_logged_in_customer", "not_found", "relation_already_exists", "required"
})  # fmt: skip


class Hiding:
    """Puts stars in place of secrets, in upper or lower case.

    Args:
        secrets: the secrets.
    """

    def __init__(self, secrets: frozenset[str]) -> None:
        self._secrets = sorted((secret.casefold() for secret in secrets), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return a text without the secrets."""
        folded = text.casefold()
        shown = [secret for secret in self._secrets if secret in folded]
        if not shown or text in _REASONS:
            return text
        patterns = (
            re.escape(secret) if len(secret) >= _LONG else rf"(?<!\w){re.escape(secret)}(?!\w)" for secret in shown
        )
        return re.sub("|".join(patterns), _STARS, text, flags=re.IGNORECASE)


def texts_under_names(value: Any) -> Iterator[str]:
    """Yield the texts under names of secrets, at any depth."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            if isinstance(member, str):
                if _SECRET_NAME.search(name):
                    yield member
            else:
                yield from texts_under_names(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from texts_under_names(member)


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


def limiter_timeout(operation: Operation, *, seconds: float | None, again: bool) -> RateLimitError:
    """Return the error of a call that would wait too long for the client's own rate limiter.

    Args:
        operation: what was called.
        seconds: the wait from now on.
        again: whether it was sent before.
    """
    hint = f"not sent{' again' if again else ''}: the wait at the rate limiter is longer than Timeout(limiter=…) allows"
    return RateLimitError(status=429, method=operation.method, path=operation.path, retry_after=seconds, hint=hint)


def with_unknown_outcome(error: CareCloudError, operation: Operation) -> CareCloudError:
    """Return the error of a call whose request may have been carried out, in its last attempt or in an earlier one.

    Args:
        error: the error of its last attempt.
        operation: what was called.

    Returns:
        For a write that must not be repeated, an `OutcomeUnknownError` with the error as its cause; otherwise the same
        error, marked as a write that may have happened.
    """
    if not operation.outcome_matters or isinstance(error, OutcomeUnknownError):
        return error
    if not operation.safe_to_repeat:
        unknown = OutcomeUnknownError(error.problem, method=operation.method, path=operation.path, fix=LOOK_FIRST)
        unknown.correlation_id, unknown.__cause__ = error.correlation_id, error
        return unknown
    error.may_have_happened, error.fix = True, LOOK_FIRST
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


def parse_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    method: str,
    path: str,
    now: datetime,
    kind: type[ApiError] | None = None,
    hint: str | None = None,
    fix: Fix | None = None,
    hide: Hide = str,
) -> ApiError:
    """Return the typed error of an answer with any body; bounded in size, and without the secrets that `hide` knows."""
    error = refusal(body) or {}
    exception = _code(error.get("exception"))
    if fix is None and exception == NO_SUCH_INTERFACE:
        fix = INTERFACE
    cls = kind or _BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)
    return cls(
        status=status,
        method=method,
        path=path,
        type=_text(error.get("type"), hide),
        exception=exception and hide(exception),
        title=_text(error.get("title"), hide),
        detail=_text(error.get("detail"), hide),
        invalid_params=_invalid_params(error.get("error_data"), hide),
        retry_after=retry_after(headers, now=now),
        request_id=request_id(headers, hide),
        hint=hint,
        fix=fix,
    )


def request_id(headers: Mapping[str, str], hide: Hide = str) -> str | None:
    """Return the server's id of a request, if its answer has one that may be shown."""
    return next((hide(code) for name in _REQUEST_ID_HEADERS if (code := _code(headers.get(name)))), None)


def _text(value: Any, hide: Hide) -> str | None:
    return hide(value[:_MAX_TEXT]) if isinstance(value, str) and value else None


def _code(value: Any) -> str | None:
    """Return a value if it looks like a code: codes are shown; prose is not, since it may quote personal data."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _label(value: Any) -> str:
    """Return a code, or `unknown` for another value. A long number counts as one: it may be a phone or card number."""
    code = _code(value)
    return "unknown" if code is None or _LONG_NUMBER.fullmatch(code) else code


def _invalid_params(error_data: Any, hide: Hide) -> tuple[InvalidParam, ...]:
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


def describe_foreign(headers: Mapping[str, str], body: bytes) -> str:
    """Return what can be said of an answer that CareCloud did not write: `server nginx, a page`."""
    product = _PRODUCT.match(headers.get("server") or "")
    return f"server {product[0]}, {_kind(body)}" if product else _kind(body)


def _kind(body: bytes) -> str:
    try:
        load(body)
    except BrokenJson:
        return "a text" if body.strip() else "no body"
    except Malformed:
        return "a page"
    return "JSON that is not the API's"
