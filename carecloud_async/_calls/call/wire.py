"""Pure functions between a call and HTTP: path and query of a request, errors of a response."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode

from carecloud_async._base.codec.answers import NO_SUCH_INTERFACE, refusal
from carecloud_async._base.project import Project
from carecloud_async._base.runtime.validators import is_unicode
from carecloud_async._calls.call.filters import check_count
from carecloud_async._calls.call.operation import PAGING, PLACEHOLDER
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    InvalidParam,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from carecloud_async.fixes import INTERFACE, Fix

#: Segments that need no escaping in a path, like most ids (RFC 3986, 2.3).
_PLAIN_SEGMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
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
#: PHP reads this many variables of a query (`max_input_vars`) and silently drops the rest.
MAX_VARIABLES = 1000
#: Limits on the parts of an answer that an error keeps.
MAX_INVALID_PARAMS = 1000
_MAX_NAME = 200
_MAX_NAME_DEPTH = 8
_MAX_TEXT = 4000
#: The longest wait that is reported (seconds): finite, so that callers can compute with it.
_MAX_RETRY_AFTER = 1e300


def expand_path(template: str, path_params: Mapping[str, Any]) -> str:
    """Return a path template with its placeholders filled; every value becomes exactly one segment.

    Raises:
        ConfigurationError: a parameter is missing, unknown, empty or not a single segment.
    """
    pieces = _pieces(template)
    names = pieces[1::2]
    if path_params.keys() != set(names):
        missing, unknown = set(names) - set(path_params), set(path_params) - set(names)
        problem = f"is missing {', '.join(sorted(missing))}" if missing else f"has no {', '.join(sorted(unknown))}"
        raise ConfigurationError(f"the path {template} {problem}: path_params must name exactly its placeholders")
    if not names:
        return template
    filled = list(pieces)
    filled[1::2] = [_segment(name, path_params[name]) for name in names]
    return "".join(filled)


@lru_cache(maxsize=1000)
def _pieces(template: str) -> tuple[str, ...]:
    """Return a path template as text, name, text, name, …, text."""
    return tuple(PLACEHOLDER.split(template))


def _segment(name: str, value: Any) -> str:
    if type(value) is str and _PLAIN_SEGMENT.fullmatch(value):
        return value
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if not text.strip() or text in {".", ".."} or not is_unicode(text):
        raise ConfigurationError(f"{name} is empty or not an id: the API's ids are non-empty strings")
    return quote(text, safe="")


def encode_query(params: Mapping[str, Any], *, project: Project) -> str:
    """Return query parameters as the API reads them; `None` is left out.

    Paging and order come first: a server that drops variables beyond some number then drops filters, never the
    `offset` of a page. A list-valued filter is sent as `name[]=a&name[]=b`. Dates are `YYYY-MM-DD`,
    times project-local `YYYY-MM-DD HH:MM:SS` (aware ones are converted), booleans `true` and `false`.

    Raises:
        ConfigurationError: a list is empty or longer than the API takes, there are too many values, or one cannot be
            sent.
    """
    pairs = query_pairs(params, project=project)
    if len(pairs) > MAX_VARIABLES:
        raise ConfigurationError(
            f"the query has {len(pairs):,} variables, and servers read {MAX_VARIABLES:,}, paging included: give fewer "
            "values, or iterate a listing, which asks in parts"
        )
    try:
        return urlencode(pairs)
    except UnicodeEncodeError:
        raise ConfigurationError("a query parameter holds text that is not Unicode (a lone surrogate)") from None


def query_pairs(params: Mapping[str, Any], *, project: Project) -> list[tuple[str, str]]:
    """Return the variables of a query in their order; see `encode_query`."""
    if not isinstance(params, Mapping):
        raise ConfigurationError('params must be a dict; a list is written {"name": [1, 2]}')
    pairs: list[tuple[str, str]] = []
    for name, value in ({name: params[name] for name in PAGING if name in params} | {**params}).items():
        if value is None:
            continue
        if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
            values = list(value)
            check_count(name, values)
            key = name if name.endswith("[]") else f"{name}[]"
            pairs += [(key, _scalar(name, item, project)) for item in values]
        else:
            pairs.append((name, _scalar(name, value, project)))
    return pairs


def _scalar(name: str, value: Any, project: Project) -> str:
    match value:
        case Enum():
            return _scalar(name, value.value, project)
        case bool():
            return "true" if value else "false"
        case str():
            return value  # unchanged, if it prints as stars
        case int() | float():
            return str(value)
        case datetime():
            return project.to_local(value).strftime("%Y-%m-%d %H:%M:%S")
        case date():
            return value.isoformat()
    raise ConfigurationError(
        f"{name} cannot be a {type(value).__name__}: give text, a number, a bool, a date or a list"
    )


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
) -> ApiError:
    """Return the typed error of an answer with any body; bounded in size."""
    error = refusal(body) or {}
    exception = _code(error.get("exception"))
    if fix is None and exception == NO_SUCH_INTERFACE:
        fix = INTERFACE
    cls = kind or _BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)
    return cls(
        status=status,
        method=method,
        path=path,
        type=_text(error.get("type")),
        exception=exception,
        title=_text(error.get("title")),
        detail=_text(error.get("detail")),
        invalid_params=_invalid_params(error.get("error_data")),
        retry_after=retry_after(headers, now=now),
        request_id=request_id(headers),
        hint=hint,
        fix=fix,
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the server's id of a request, if its answer has one that may be shown."""
    return next((found for name in _REQUEST_ID_HEADERS if (found := _code(headers.get(name)))), None)


def _text(value: Any) -> str | None:
    return value[:_MAX_TEXT] if isinstance(value, str) and value else None


def _code(value: Any) -> str | None:
    """Return a value if it looks like a code: codes are shown, and prose may quote personal data."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _label(value: Any) -> str:
    """Return a code; a long number is none: it may be a phone or card number."""
    code = _code(value)
    return "unknown" if code is None or _LONG_NUMBER.fullmatch(code) else code


def _invalid_params(error_data: Any) -> tuple[InvalidParam, ...]:
    entries = error_data.get("invalid_params") if isinstance(error_data, dict) else None
    if isinstance(entries, dict):  # PHP turns a list with gaps into an object
        entries = list(entries.values())
    if not isinstance(entries, list):
        return ()
    return tuple(
        InvalidParam(name=_param_name(entry.get("name")), reason=_label(entry.get("reason")))
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
