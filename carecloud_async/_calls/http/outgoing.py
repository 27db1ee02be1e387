"""Outgoing requests: what the transports read of a request, without an object of httpx.

Making a `Request` of httpx takes 20 % of the SDK's own time in a small call, and most are never read. Hooks, logs, a
user's transport and errors get httpx's object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from types import ModuleType
from typing import Any

#: Verbs whose requests have a Content-Length even without a body (RFC 9110, 8.6).
_WITH_BODY = {"POST", "PUT", "PATCH"}
#: A header's name and value that can be sent as they are (RFC 9110, 5.1 and 5.5).
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
#: Headers that a caller cannot add: they belong to the identity, the connection or the body.
RESERVED_HEADERS = frozenset({
    "authorization", "connection", "content-length", "cookie", "host", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip


#: The request's extension under which transports find its departure.
DEPARTURE = "carecloud_departure"

#: The event of httpcore and httpcore2 that comes when a connection is there, before the first byte is written.
_BEFORE_WRITING = ".send_request_headers.started"


class Departure:
    """Is called when a transport writes a request.

    Args:
        check: raises if the request is too old.

    Attributes:
        happened: whether the request may have been written.
        is_promised: whether the transport writes nothing before it has called this.
    """

    __slots__ = ("_check", "happened", "is_promised")

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self.happened: bool = False
        self.is_promised: bool = False

    def __call__(self) -> None:
        """Note that the request is written now.

        Raises:
            RequestTimeoutError: it is too old.
        """
        self._check()
        self.happened = True


class RequestHeaders(MutableMapping[str, str]):
    """Headers of a request, under their names in any case, in the order in which they were first set.

    Args:
        headers: names and values. The values of a name that comes twice are joined by a comma (RFC 9110, 5.3).
    """

    __slots__ = ("_by_name",)

    def __init__(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        self._by_name: dict[str, tuple[str, str]] = {}
        for name, value in headers:
            self[name] = f"{self[name]}, {value}" if name in self else value

    def __getitem__(self, name: str) -> str:
        return self._by_name[name.lower()][1]

    def __setitem__(self, name: str, value: str) -> None:
        self._by_name[name.lower()] = (name, value)

    def __delitem__(self, name: str) -> None:
        del self._by_name[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_name

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def pairs(self) -> Iterable[tuple[str, str]]:
        """Return names and values, with the names as they were given."""
        return self._by_name.values()

    def copy(self) -> RequestHeaders:
        """Return headers that can be changed apart from these."""
        made = RequestHeaders()
        made._by_name = self._by_name.copy()
        return made


class OutgoingRequest:
    """One request of the SDK; it can be sent again with another token.

    Its attributes have the names of those of the library's `Request`.

    Args:
        http_library: httpx or httpx2.
        method: the verb.
        url: the library's URL, which prints as the path template.
        headers: those of all requests of the view.
        content: the body, if any.
        extensions: what the library's object has too.

    Attributes:
        headers: its headers, in any case.
        content: the body; empty if there is none.
    """

    __slots__ = ("_http_library", "content", "extensions", "headers", "method", "url")

    def __init__(
        self,
        http_library: ModuleType,
        method: str,
        url: Any,
        *,
        headers: RequestHeaders,
        content: bytes | None,
        extensions: dict[str, Any],
    ) -> None:
        self._http_library = http_library
        self.method: str = method
        self.url: Any = url
        self.headers: RequestHeaders = headers.copy()
        self.content: bytes = content or b""
        self.extensions: dict[str, Any] = extensions
        if content is not None or method in _WITH_BODY:
            self.headers["Content-Length"] = str(len(self.content))

    def set_bearer(self, token: str) -> None:
        """Set the token, in the place of an earlier one."""
        self.headers["Authorization"] = f"Bearer {token}"

    @property
    def departure(self) -> Departure | None:
        """Notes when the request is written, if anybody wants to know."""
        return self.extensions.get(DEPARTURE)

    @departure.setter
    def departure(self, departure: Departure | None) -> None:
        if departure is None:
            self.extensions.pop(DEPARTURE, None)
        else:
            self.extensions[DEPARTURE] = departure

    def to_httpx(self) -> Any:
        """Return the library's request, as of now."""
        headers = self._http_library.Headers(list(self.headers.pairs()), encoding="utf-8")
        # A stream in place of `content` spares the library from guessing headers that we know.
        stream = self._http_library.ByteStream(self.content)
        request = self._http_library.Request(self.method, self.url, headers=headers, stream=stream)
        request.read()
        request.url = self.url  # the library made a plain copy
        request.extensions = self.extensions
        return request


def trace_departure(extensions: MutableMapping[str, Any]) -> None:
    """Let the pool of httpx or httpx2 note the departure of a request: it reports its steps to the extension `trace`.

    Args:
        extensions: those of the request.
    """
    departure: Departure | None = extensions.pop(DEPARTURE, None)
    if departure is None:
        return

    async def on_event(event: str, info: dict[str, Any]) -> None:
        # A request to a proxy that opens a tunnel comes before the request itself.
        if event.endswith(_BEFORE_WRITING) and getattr(info.get("request"), "method", b"") != b"CONNECT":
            departure()

    extensions["trace"] = on_event
