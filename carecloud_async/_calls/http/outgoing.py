"""Outgoing requests: what the transports read of a request, without an object of httpx.

Making a `Request` of httpx takes 20 % of the SDK's own time in a small call, and most are never read. Hooks, logs, a
user's transport and errors get httpx's object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
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


#: The extension of the library's request under which its `OutgoingRequest` is found.
OUTGOING = "carecloud_request"

#: The event of httpcore and httpcore2 that comes when a connection is there, before the first byte is written.
_BEFORE_WRITING = ".send_request_headers.started"


class OutgoingRequest:
    """One request of the SDK; it can be sent again with another token.

    Args:
        method: the verb.
        url: the library's URL, which prints as the path template.
        origin: where it goes, such as `https://host`.
        target: the true path and query.
        headers: those of all requests of the view, under their usual names (`Content-Type`).
        content: the body, if any.
        timeout: the longest times of its phases, by the names that httpx has for them.
        check: called when it is about to be written; raises if it is too old.

    Attributes:
        headers: its headers.
        content: the body; empty if there is none.
        is_departed: whether it may have been written.
        is_tracked: whether the transport writes nothing before it has called `depart`.
    """

    __slots__ = (
        "_check", "content", "headers", "is_departed", "is_tracked", "method", "origin", "target", "timeout", "url"
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        url: Any,
        *,
        origin: str,
        target: str,
        headers: Mapping[str, str],
        content: bytes | None,
        timeout: Mapping[str, float | None],
        check: Callable[[], None],
    ) -> None:
        self.method: str = method
        self.url: Any = url
        self.origin: str = origin
        self.target: str = target
        self.headers: dict[str, str] = {**headers}
        self.content: bytes = content or b""
        self.timeout: Mapping[str, float | None] = timeout
        self._check = check
        self.is_departed: bool = False
        self.is_tracked: bool = False
        if content is not None or method in _WITH_BODY:
            self.headers["Content-Length"] = str(len(self.content))

    @classmethod
    def of(cls, request: Any) -> OutgoingRequest:
        """Return what is known of a request that the user makes: where it goes, and how long it may take."""
        url, timeout = str(request.url), request.extensions.get("timeout") or {}
        end = url.find("/", len("https://"))
        origin, target = (url, "/") if end < 0 else (url[:end], url[end:].partition("#")[0])
        return cls(
            request.method,
            request.url,
            origin=origin,
            target=target,
            headers={},
            content=None,
            timeout=timeout,
            check=lambda: None,
        )

    def set_bearer(self, token: str) -> None:
        """Set the token, in the place of an earlier one; the request has not departed with it yet."""
        self.headers["Authorization"] = f"Bearer {token}"
        self.is_departed = self.is_tracked = False

    def depart(self) -> None:
        """Note that the request is written now.

        Raises:
            RequestTimeoutError: it is too old.
        """
        self._check()
        self.is_departed = True

    def to_httpx(self, http_library: ModuleType) -> Any:
        """Return the library's request, as of now."""
        headers = http_library.Headers(self.headers, encoding="utf-8")
        # A stream in place of `content` spares the library from guessing headers that we know.
        stream = http_library.ByteStream(self.content)
        request = http_library.Request(self.method, self.url, headers=headers, stream=stream)
        request.read()
        request.url = self.url  # the library made a plain copy
        request.extensions = {"timeout": self.timeout, OUTGOING: self}
        return request


def true_url(request: Any) -> str:
    """Return the URL to send to: the unredacted one of the SDK's requests, else the request's own."""
    outgoing = request.extensions.get(OUTGOING)
    return str(request.url) if outgoing is None else f"{outgoing.origin}{outgoing.target}"


def trace_departure(extensions: MutableMapping[str, Any]) -> None:
    """Let the pool of httpx or httpx2 note the departure of a request: it reports its steps to the extension `trace`.

    Args:
        extensions: those of the request.
    """
    outgoing: OutgoingRequest | None = extensions.pop(OUTGOING, None)
    if outgoing is None:
        return

    async def on_event(event: str, info: dict[str, Any]) -> None:
        # A request to a proxy that opens a tunnel comes before the request itself.
        if event.endswith(_BEFORE_WRITING) and getattr(info.get("request"), "method", b"") != b"CONNECT":
            outgoing.depart()

    extensions["trace"] = on_event
