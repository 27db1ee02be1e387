"""Outgoing requests: headers made once for each view, URLs once for each operation."""

from __future__ import annotations

from typing import Any

from carecloud_async.calls.context import ClientContext, Options
from carecloud_async.calls.operation import Operation
from carecloud_async.http.client import USER_AGENT, Timeout
from carecloud_async.http.redaction import TARGET, redacted_url
from carecloud_async.project import Interface

#: What a user's client may hold for its own calls and has no place in ours.
_NOT_OURS = ("Authorization", "Cookie", "Host")
#: Methods whose requests say how long their body is, even if there is none (RFC 9110, 8.6).
_WITH_BODY = {"POST", "PUT", "PATCH"}
#: Ad-hoc paths could make the table of URLs grow without end.
_MOST_URLS = 1000


class RequestBuilder:
    """Builds the requests of one view.

    Args:
        context: what all views share.
        interface: the API that the identity may use.
        options: the view's own settings.
    """

    def __init__(self, context: ClientContext, interface: Interface, options: Options) -> None:
        self._http = context.http
        self._urls = context.urls
        self._base = context.project.origin + context.project.base_path(interface)
        self._headers = self._own_headers(context.project.host, options.language)
        self._phases = self._own_phases(options.timeout)

    def _own_headers(self, host: str, language: str) -> Any:
        headers = self._http.family.Headers(self._http.client.headers)
        for name in _NOT_OURS:
            headers.pop(name, None)
        ours = {
            "Accept": "application/json",
            "Accept-Language": language,
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
        }
        headers.update(ours)
        return self._http.family.Headers([("Host", host), *headers.multi_items()])

    def _own_phases(self, timeout: Timeout) -> dict[str, float | None]:
        """Return the timeouts of connecting and reading: a user's client brings its own, unless a view says more."""
        if not self._http.owned and timeout == Timeout():
            phases: dict[str, float | None] = self._http.client.timeout.as_dict()
            return phases
        return {"connect": timeout.connect, "read": timeout.read, "write": timeout.read, "pool": None}

    def request(self, operation: Operation, target: str, body: bytes | None, bearer: str | None) -> Any:
        """Build the family's request.

        Args:
            operation: what is asked; its path is all that the request's URL shows.
            target: the path and query below the version.
            body: the body, if any.
            bearer: a token to send instead of the identity's.
        """
        extensions: dict[str, Any] = {"timeout": self._phases}
        if self._http.owned:
            # Our transports read the true URL here; parsing one for each call would cost a tenth of it.
            extensions[TARGET] = self._base + target
            url = self._template(operation)
        else:
            url = self._masked(target, operation)
        # A stream in place of `content` spares the family from guessing headers that we know.
        stream = self._http.family.ByteStream(body or b"")
        request = self._http.family.Request(
            operation.method, url, headers=self._headers, stream=stream, extensions=extensions
        )
        request.read()
        request.url = url  # the family made a plain copy
        if body is not None or operation.method in _WITH_BODY:
            request.headers["Content-Length"] = str(len(request.content))
        if bearer is not None:
            request.headers["Authorization"] = f"Bearer {bearer}"
        return request

    def _template(self, operation: Operation) -> Any:
        key = self._base + operation.path
        url = self._urls.get(key)
        if url is None:
            if len(self._urls) >= _MOST_URLS:
                self._urls.clear()
            url = self._urls[key] = self._masked(operation.path, operation)
        return url

    def _masked(self, target: str, operation: Operation) -> Any:
        url = redacted_url(self._http.family)(self._base + target)
        url.shown = self._base + operation.path
        return url
