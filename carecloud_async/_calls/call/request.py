"""The path, the query and the added headers of a request, within the limits of servers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import Enum
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, urlencode

from attrs import frozen

from carecloud_async._base.project import Project
from carecloud_async._base.runtime.validators import expected, is_unicode
from carecloud_async._calls.call.filters import check_count
from carecloud_async._calls.call.operation import PAGING, PLACEHOLDER, Operation
from carecloud_async._calls.http.outgoing import HEADER_NAME, HEADER_VALUE, RESERVED_HEADERS
from carecloud_async.errors import ConfigurationError

__all__ = ["MAX_REQUEST_LINE", "NotAnIdError", "RequestSize", "check_request_line", "quoted_length", "request_size"]

#: The bytes of `GET /path?query HTTP/1.1` that servers accept: 8,192 in nginx (`large_client_header_buffers`), 8,190 in
#: Apache (`LimitRequestLine`).
MAX_REQUEST_LINE: Final = 8000

_VERSION: Final = " HTTP/1.1"
#: What takes three bytes in a query; a space is a plus.
_QUOTED: Final = re.compile(rb"[^A-Za-z0-9_.~ -]")
#: Segments that need no escaping in a path, like most ids (RFC 3986, 2.3).
_PLAIN_SEGMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
#: PHP reads this many variables of a query (`max_input_vars`) and silently drops the rest.
MAX_VARIABLES = 1000
#: The most characters of the name and the value of a header that a caller adds.
_MOST_NAME, _MOST_VALUE = 100, 8000


class NotAnIdError(ConfigurationError):
    """Not a valid id of a record, since no path can hold it; it may come from a browser."""


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
        problem = f"{name} is empty or not an id: the API's ids are non-empty strings"
        raise NotAnIdError(problem) if isinstance(value, str) else ConfigurationError(problem)
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


@frozen
class RequestSize:
    """The size of a request.

    Attributes:
        line: the bytes of its first line.
        variables: the variables of its query.
    """

    line: int
    variables: int

    def __str__(self) -> str:
        return f"a request line of {self.line:,} bytes with {self.variables:,} variables"

    @property
    def fits(self) -> bool:
        """Whether servers accept it."""
        return self.line <= MAX_REQUEST_LINE and self.variables <= MAX_VARIABLES


def request_size(operation: Operation, path: str, pairs: Iterable[tuple[str, str]]) -> RequestSize:
    """Return the size of a request before it is made.

    Args:
        path: its path, without the query.
        pairs: the variables of its query.
    """
    sizes = [quoted_length(name) + quoted_length(value) + 2 for name, value in pairs]
    return RequestSize(_line(operation, path) + sum(sizes), len(sizes))


def quoted_length(text: str) -> int:
    """Return how many bytes a text takes in a query."""
    encoded = text.encode("utf-8", "replace")
    return len(encoded) + 2 * len(_QUOTED.findall(encoded))


def check_request_line(operation: Operation, target: str) -> None:
    """Refuse a request line that servers do not accept.

    Args:
        target: its path and query.

    Raises:
        ConfigurationError: the line is too long; the message has the bound.
    """
    line = _line(operation, target)
    if line > MAX_REQUEST_LINE:
        raise ConfigurationError(
            f"{operation.title}: its path and query make a request line of {line:,} bytes, and servers take "
            f"{MAX_REQUEST_LINE:,}: give fewer values, or iterate a listing, which asks in parts"
        )


def _line(operation: Operation, target: str) -> int:
    return len(operation.method) + 1 + len(target) + len(_VERSION)


def check_headers(headers: Any) -> None:
    """Check the headers that a caller adds to a request.

    Raises:
        ConfigurationError: they are not a dict of text, cannot be sent, or are the SDK's own to set.
    """
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"headers: {expected('a dict of names and values', headers)}")
    for name, value in headers.items():
        if not isinstance(name, str) or not HEADER_NAME.fullmatch(name) or len(name) > _MOST_NAME:
            raise ConfigurationError("headers: a name must be an HTTP token, such as X-Trace-Id")
        if name.lower() in RESERVED_HEADERS:
            raise ConfigurationError(f"headers: {name} is set by the SDK")
        if not isinstance(value, str) or not HEADER_VALUE.fullmatch(value) or len(value) > _MOST_VALUE:
            raise ConfigurationError(f"headers: the value of {name} must be text in ASCII, without line breaks")
