"""Requests to be sent: headers made once for each view, URLs once for each operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.validators import expected
from carecloud_async._calls.call.context import ClientContext, ViewOptions
from carecloud_async._calls.call.facts import CallFacts
from carecloud_async._calls.call.operation import Operation
from carecloud_async._calls.http.bodies import ACCEPT_ENCODING
from carecloud_async._calls.http.outgoing import (
    HEADER_NAME,
    HEADER_VALUE,
    RESERVED_HEADERS,
    OutgoingRequest,
    RequestDefaults,
    RequestHeaders,
)
from carecloud_async._calls.http.redaction import redacted_url
from carecloud_async._calls.http.timeout import Timeout
from carecloud_async.errors import ConfigurationError

#: Headers of the user's own client that must not be sent with the SDK's calls.
_NOT_OURS = (b"authorization", b"cookie", b"host")
#: Bounds the table of URLs, which ad-hoc paths could make grow without end.
_MOST_URLS = 1000
#: The most characters of the name and the value of a header that a caller adds.
_MOST_NAME, _MOST_VALUE = 100, 8000


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


class RequestBuilder:
    """Builds the requests of one view.

    Args:
        context: state that all views share.
        interface: the API that the identity may use.
        options: the view's own settings.
    """

    def __init__(self, context: ClientContext, interface: Interface, options: ViewOptions) -> None:
        self._http = context.http
        self._urls = context.urls
        self._base_path = context.project.base_path(interface)
        self._base = context.project.origin + self._base_path
        self._defaults = RequestDefaults(
            http_library=context.http.http_library,
            origin=context.project.origin if context.http.owned else None,
            headers=self._default_headers(context.project.host, options),
            phases=self._default_timeouts(options.timeout),
        )

    def _default_headers(self, host: str, options: ViewOptions) -> RequestHeaders:
        theirs = [
            (name.decode(), value.decode())
            for name, value in self._http.client.headers.raw
            if name.lower() not in _NOT_OURS
        ]
        headers = RequestHeaders([("Host", host), *theirs])
        ours = {
            "Accept": "application/json",
            "Accept-Encoding": ACCEPT_ENCODING,
            "Accept-Language": options.language,
            "Content-Type": "application/json",
            "User-Agent": self._http.user_agent,
        }
        headers.update(ours)
        if not options.reuses:
            headers["Cache-Control"] = "no-cache"  # RFC 9111, 5.2.1.4: caches ask the server before they answer
        return headers

    def _default_timeouts(self, timeout: Timeout) -> dict[str, float | None]:
        """Return the timeouts of connecting and reading: those of the user's client, unless a view sets others."""
        if not self._http.owned and timeout == Timeout():
            phases: dict[str, float | None] = self._http.client.timeout.as_dict()
            return phases
        return {"connect": timeout.connect, "read": timeout.read, "write": timeout.read, "pool": None}

    def build(self, call: CallFacts) -> OutgoingRequest:
        """Return a new request; each attempt has its own.

        Raises:
            ConfigurationError: the HTTP library does not accept the path and query, or a header.
        """
        operation = call.operation
        url = self._template(operation) if self._http.owned else self._redacted(call.target, operation)
        request = OutgoingRequest(self._defaults, operation.method, url, self._base_path + call.target, call.body)
        if call.request.bearer is not None:
            request.set_bearer(call.request.bearer)
        for name, value in (call.request.headers or {}).items():
            request.headers[name] = value
        return request

    def _template(self, operation: Operation) -> Any:
        key = self._base + operation.path
        url = self._urls.get(key)
        if url is None:
            if len(self._urls) >= _MOST_URLS:
                self._urls.clear()
            url = self._urls[key] = self._redacted(operation.path, operation)
        return url

    def _redacted(self, target: str, operation: Operation) -> Any:
        http_library = self._http.http_library
        try:
            url = redacted_url(http_library)(self._base + target)
        except http_library.InvalidURL:
            url = None
        if url is None:
            raise ConfigurationError(
                f"{operation.title}: its path and query cannot be sent: together they may have some "
                "65,000 characters. Check the id, or split a long list into several requests"
            )
        url.shown = self._base + operation.path
        return url
