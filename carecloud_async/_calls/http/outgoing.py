"""Outgoing requests, whose httpx object is made on first access.

Making a `Request` of httpx takes 20 % of the SDK's own time in a small call, and most are never read: the transport on
aiohttp needs only the bytes. Hooks, logs, a user's transport and errors get httpx's object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from types import ModuleType
from typing import Any

from carecloud_async._calls.http.departure import DEPARTURE, Departure
from carecloud_async._calls.http.redaction import TARGET

#: Verbs whose requests have a Content-Length even without a body (RFC 9110, 8.6).
_WITH_BODY = {"POST", "PUT", "PATCH"}
#: Verbs whose requests and answers have no rules of their own on the wire, as HEAD has.
_PLAIN_VERBS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
#: Larger bodies, in bytes, are written as fast as the server reads.
_LARGE = 64 * 1024
#: Paths and queries that every library writes unchanged.
_PLAIN_TARGET = re.compile(r"/[A-Za-z0-9/_.~%&=+:@,;!$'()*-]*(?:\?[A-Za-z0-9/_.~%&=+:@,;!$'()*?-]+)?")
#: A header's name and value that can be sent as they are (RFC 9110, 5.1 and 5.5).
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
#: Headers that a caller cannot add: they belong to the identity, the connection or the body.
RESERVED_HEADERS = frozenset({
    "authorization", "connection", "content-length", "cookie", "host", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
#: Headers that change how a request is written, or that must not be added twice.
_FRAMING = RESERVED_HEADERS | {"content-encoding", "expect"}


class RequestDefaults:
    """What all requests of one view share.

    Args:
        http_library: httpx or httpx2.
        origin: scheme, host and port; `None` for a user's client, whose requests have their true URL.
        headers: the library's `Headers`.
        phases: the library's timeouts of connecting, reading, writing and waiting for a connection.

    Attributes:
        names: the names of the headers, in small letters.
        lines: the headers as they are written; `None` if they cannot be written by us.
    """

    __slots__ = ("headers", "http_library", "lines", "names", "origin", "phases")

    def __init__(
        self, http_library: ModuleType, *, origin: str | None, headers: Any, phases: dict[str, float | None]
    ) -> None:
        self.http_library: ModuleType = http_library
        self.origin: str | None = origin
        self.headers: Any = headers
        self.phases: dict[str, float | None] = phases
        self.names: frozenset[str] = frozenset(headers)
        self.lines: str | None = _lines([(name.decode(), value.decode()) for name, value in headers.raw])


class OutgoingRequest:
    """One request of the SDK; it can be sent again with another token.

    Args:
        defaults: what it shares with others.
        method: the verb.
        url: the library's URL, which prints as the path template.
        target: the true path and query.
        body: the body, if any.

    Attributes:
        extensions: what the library's object has too.
    """

    __slots__ = ("_added", "_authorization", "_body", "_defaults", "_httpx", "_target", "extensions", "method", "url")

    def __init__(self, defaults: RequestDefaults, method: str, url: Any, target: str, body: bytes | None) -> None:
        self.method: str = method
        self.url: Any = url
        self.extensions: dict[str, Any] = {"timeout": defaults.phases}
        if defaults.origin is not None:
            # Our own transports read the true URL there; parsing one for each call would take 10 % of a small call.
            self.extensions[TARGET] = defaults.origin + target
        self._defaults = defaults
        self._target = target
        self._body = body or b""
        self._added: dict[str, tuple[str, str]] = {}
        self._authorization: str | None = None
        self._httpx: Any = None
        if body is not None or method in _WITH_BODY:
            self._added["content-length"] = ("Content-Length", str(len(self._body)))

    @property
    def headers(self) -> MutableMapping[str, str]:
        """The headers; some can be added without making the library's object."""
        return _OutgoingHeaders(self)

    @property
    def origin(self) -> str:
        """The server's scheme, host and port."""
        return self._defaults.origin or ""

    def add_header(self, name: str, value: str) -> None:
        """Set a header."""
        key = name.lower()
        is_new = key not in self._defaults.names and key not in _FRAMING
        if self._httpx is None and is_new and HEADER_NAME.fullmatch(name) and HEADER_VALUE.fullmatch(value):
            self._added[key] = (name, value)
        else:
            self.to_httpx().headers[name] = value

    def set_bearer(self, token: str) -> None:
        """Set the token, in the place of an earlier one."""
        self._authorization = value = f"Bearer {token}"
        if self._httpx is not None:
            self._httpx.headers["Authorization"] = value

    @property
    def departure(self) -> Departure | None:
        """When the request may be written; `None` for at once."""
        return self.extensions.get(DEPARTURE)

    @departure.setter
    def departure(self, departure: Departure | None) -> None:
        if departure is None:
            self.extensions.pop(DEPARTURE, None)
        else:
            self.extensions[DEPARTURE] = departure

    @property
    def is_plain(self) -> bool:
        """Whether `wire()` returns the bytes of any library: the library's object was not accessed."""
        return (
            self._httpx is None
            and self._defaults.lines is not None
            and self.method in _PLAIN_VERBS
            and len(self._body) < _LARGE
            and _PLAIN_TARGET.fullmatch(self._target) is not None
        )

    def wire(self) -> bytes:
        """Return the bytes of a plain request; not to be kept in a variable, which error reporters would print."""
        added = "".join([f"{name}: {value}\r\n" for name, value in self._added.values()]) if self._added else ""
        token = "" if self._authorization is None else f"Authorization: {self._authorization}\r\n"
        ending = "Content-Length: 0\r\n\r\n" if self.method == "DELETE" and not self._body else "\r\n"
        head = f"{self.method} {self._target} HTTP/1.1\r\n{self._defaults.lines}{added}{token}{ending}".encode("ascii")
        return head + self._body if self._body else head

    def to_httpx(self) -> Any:
        """Return the library's request; the same one each time."""
        if self._httpx is None:
            self._httpx = self._make_httpx()
        return self._httpx

    def _make_httpx(self) -> Any:
        defaults = self._defaults
        # A stream in place of `content` spares the library from guessing headers that we know.
        stream = defaults.http_library.ByteStream(self._body)
        request = defaults.http_library.Request(self.method, self.url, headers=defaults.headers, stream=stream)
        request.read()
        request.url = self.url  # the library made a plain copy
        request.extensions = self.extensions
        for name, value in self._added.values():
            request.headers[name] = value
        if self._authorization is not None:
            request.headers["Authorization"] = self._authorization
        return request


class _OutgoingHeaders(MutableMapping[str, str]):
    """The headers of an outgoing request: anything other than adding headers uses the library's object."""

    __slots__ = ("_request",)

    def __init__(self, request: OutgoingRequest) -> None:
        self._request = request

    def __setitem__(self, name: str, value: str) -> None:
        self._request.add_header(name, value)

    def __getitem__(self, name: str) -> str:
        found: str = self._request.to_httpx().headers[name]
        return found

    def __delitem__(self, name: str) -> None:
        del self._request.to_httpx().headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._request.to_httpx().headers)

    def __len__(self) -> int:
        return len(self._request.to_httpx().headers)


def _lines(headers: list[tuple[str, str]]) -> str | None:
    """Return headers as they are written, the host first as every library has it."""
    if not all(HEADER_NAME.fullmatch(name) and HEADER_VALUE.fullmatch(value) for name, value in headers):
        return None
    if [name for name, _ in headers[:1]] != ["Host"]:
        return None
    return "".join([f"{name}: {value}\r\n" for name, value in headers])
