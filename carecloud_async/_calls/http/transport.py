"""The default transport: httpx over aiohttp's connection pool on asyncio, httpx2's own on trio, else httpx's.

httpx's own pool loses connections when calls are cancelled; aiohttp's and httpx2's do not, and aiohttp's is faster.
Every failure is raised as the httpx exception that says whether the request may have left.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Coroutine
from importlib import import_module
from importlib.util import find_spec
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import httpx

from carecloud_async._base.runtime.event_loops import on_asyncio
from carecloud_async._calls.http.adapter import adapt_transport
from carecloud_async._calls.http.aiohttp_internals import find_parts, open_connector
from carecloud_async._calls.http.bodies import BodyTooLargeError, UnpackError, read_chunks
from carecloud_async._calls.http.buffered_response import BufferedResponse, new_response
from carecloud_async._calls.http.departure import DEPARTURE, Departure, current_departure
from carecloud_async._calls.http.destinations import sending_to
from carecloud_async._calls.http.network import Verify, tls_context
from carecloud_async._calls.http.outgoing import OutgoingRequest
from carecloud_async._calls.http.redaction import true_url
from carecloud_async.errors import RateLimitError

if TYPE_CHECKING:
    import aiohttp

#: The most bytes of a header: proxies and policies write long ones, which aiohttp's bound of 8 KB would refuse.
_LONGEST_HEADER = 64 * 1024
#: Bodies up to this size, in bytes, may be read at once.
_SHORT = 256 * 1024


class DefaultTransport(httpx.AsyncBaseTransport):
    """Opens its pool on the first request, in the event loop of that request.

    Args:
        max_connections: the size of the pool.
        verify: `True`, `False`, a CA bundle's path or an `ssl.SSLContext`; `None` where nothing goes over TLS.
        proxy: the proxy's URL, or `None`.
        max_response_bytes: the largest response, unpacked.
    """

    def __init__(
        self, *, max_connections: int, verify: Verify | None, proxy: str | None, max_response_bytes: int
    ) -> None:
        self._max_response_bytes = max_response_bytes
        self._max_connections = max_connections
        self._verify = verify
        self._proxy = proxy
        self._inner: Any = None
        self._closed = False

    def handle_async_request(self, request: httpx.Request) -> CoroutineType[Any, Any, httpx.Response]:
        """Send one request; see `httpx.AsyncBaseTransport`."""
        sending_to(true_url(request), proxy=self._proxy)
        sending: CoroutineType[Any, Any, httpx.Response] = (self._inner or self._opened()).handle_async_request(request)
        return sending

    def send_outgoing(self, request: OutgoingRequest) -> Coroutine[Any, Any, httpx.Response | BufferedResponse]:
        """Send a request of the SDK without observers, and read its answer to the end."""
        sending_to(true_url(request), proxy=self._proxy)
        transport = self._inner or self._opened()
        sending: Coroutine[Any, Any, httpx.Response | BufferedResponse] = transport.send_outgoing(request)
        return sending

    async def aclose(self) -> None:
        """Close the pool."""
        self._closed = True
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.aclose()

    def _opened(self) -> Any:
        if self._closed:
            raise httpx.ConnectError("the connection pool is closed")
        self._inner = self._open()
        return self._inner

    def _open(self) -> httpx.AsyncBaseTransport:
        context = False if self._verify is None else tls_context(self._verify)
        if on_asyncio():
            return AiohttpTransport(
                max_connections=self._max_connections,
                verify=context,
                proxy=self._proxy,
                max_response_bytes=self._max_response_bytes,
            )
        most = self._max_connections
        http_library = _trio_library()
        own = http_library.AsyncHTTPTransport(
            verify=context,
            limits=http_library.Limits(max_connections=most, max_keepalive_connections=most),
            proxy=self._proxy,
        )
        transport: httpx.AsyncBaseTransport = adapt_transport(
            httpx, own, max_response_bytes=self._max_response_bytes, inner_library=http_library
        )
        return transport


def _trio_library() -> Any:
    """Return httpx2 if it is installed: httpx's pool loses connections when calls are cancelled."""
    return import_module("httpx2" if find_spec("httpx2") is not None else "httpx")


class _SentOnceError(Exception):
    """Carries an exception past aiohttp's session, which would send the request again."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def _send_once(request: Any, send: Any) -> Any:
    """Send a request through aiohttp's session, which repeats PUT and DELETE: the SDK's retry counts every attempt."""
    import aiohttp

    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _SentOnceError(error) from None


class AiohttpTransport(httpx.AsyncBaseTransport):
    """One aiohttp session as an httpx transport. Needs a running asyncio loop.

    Args:
        max_connections: the size of the pool.
        verify: an `ssl.SSLContext`, or `False`.
        proxy: the proxy's URL, or `None`.
        max_response_bytes: the largest response, unpacked.
    """

    def __init__(
        self, *, max_connections: int, verify: ssl.SSLContext | bool, proxy: str | None, max_response_bytes: int
    ) -> None:
        import aiohttp
        import yarl

        self._url = yarl.URL
        self._aiohttp = aiohttp
        self._proxy = proxy
        self._limit = max_response_bytes
        self._last_timeout = aiohttp.ClientTimeout(total=None)
        parts = find_parts()
        self._waiting_connections = parts.connections
        self._session = aiohttp.ClientSession(
            connector=open_connector(parts, limit=max_connections, ssl=verify),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_send_once,),
            auto_decompress=False,
            raise_for_status=False,
            trust_env=False,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )
        # Tracers of aiohttp (Sentry's, OpenTelemetry's) attach themselves to every session. They would record true
        # URLs, which hold tokens and e-mails, and send headers of their own. Tracers of httpx see path templates.
        self._session.trace_configs.clear()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its answer to the end, so that the connection is free again."""
        began = time.perf_counter()
        head, body = await self._exchange(request)
        made: httpx.Response = new_response(
            httpx,
            head.status,
            headers=head.raw_headers,
            body=body,
            extensions={"reason_phrase": (head.reason or "").encode("ascii", "replace")},
            seconds=time.perf_counter() - began,
        )
        return made

    async def send_outgoing(self, request: OutgoingRequest) -> BufferedResponse:
        """Send a request of the SDK without observers, and read its answer to the end."""
        head, body = await self._exchange(request)
        return BufferedResponse(httpx, head.status, headers=head.raw_headers, content=body)

    async def _exchange(self, request: httpx.Request | OutgoingRequest) -> tuple[aiohttp.ClientResponse, bytes]:
        headers = request.headers if isinstance(request, OutgoingRequest) else _headers(request)
        departure: Departure | None = request.extensions.get(DEPARTURE)
        before = current_departure.set(departure)
        try:
            if departure is not None:
                departure.is_promised = True
                if not self._waiting_connections:
                    await departure()
            response = await self._session.request(
                request.method,
                self._url(true_url(request), encoded=True),
                data=request.content or None,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout(request),
                proxy=self._proxy,
            )
            return response, await self._read(response)
        except (BodyTooLargeError, RateLimitError):
            raise
        except Exception as error:
            cause = error.error if isinstance(error, _SentOnceError) else error
            self._remove_request(cause)
            translated = self._to_httpx(cause, request)
            if translated is cause:
                raise
            raise translated from cause
        finally:
            current_departure.reset(before)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        content, headers = response.content, response.headers
        encoding = headers.get("Content-Encoding", "")
        length = None if (text := headers.get("Content-Length")) is None else int(text)
        if content.is_eof() and not encoding and length is not None and length <= min(_SHORT, self._limit):
            return content.read_nowait()  # it came with the head: a small call takes 5 % less time
        try:
            return await read_chunks(
                content.iter_any(), status=response.status, length=length, encoding=encoding, limit=self._limit
            )
        finally:
            if not content.at_eof():
                response.close()  # the rest of the body is not read

    async def aclose(self) -> None:
        """Close the session."""
        await self._session.close()

    def _timeout(self, request: httpx.Request | OutgoingRequest) -> aiohttp.ClientTimeout:
        given = request.extensions.get("timeout", {})
        pool, connect, read = given.get("pool"), given.get("connect"), given.get("read")
        last = self._last_timeout
        if (last.connect, last.sock_connect, last.sock_read) != (pool, connect, read):
            last = self._aiohttp.ClientTimeout(total=None, connect=pool, sock_connect=connect, sock_read=read)
            self._last_timeout = last
        return last

    def _remove_request(self, error: Exception) -> None:
        """Remove URL and headers from an exception of the session: they hold a person's data and the token."""
        from multidict import CIMultiDict, CIMultiDictProxy

        aiohttp = self._aiohttp
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            error.args = ("Connection timeout",)
        elif isinstance(error, aiohttp.ClientResponseError):
            url, headers = error.request_info.url.origin(), CIMultiDictProxy(CIMultiDict[str]())
            error.request_info = aiohttp.RequestInfo(url, error.request_info.method, headers, url)
            error.args = (error.request_info, error.history)

    def _to_httpx(self, error: Exception, request: httpx.Request | OutgoingRequest) -> Exception:
        """Return the exception of httpx that says the same, about the request; nothing else leaves this transport."""
        about: httpx.Request = request.to_httpx() if isinstance(request, OutgoingRequest) else request
        if isinstance(error, UnpackError):
            return httpx.DecodingError(str(error), request=about)
        translated = error if isinstance(error, httpx.TransportError) else self._translated(error)
        translated.request = about
        return translated

    def _translated(self, error: Exception) -> httpx.TransportError:
        aiohttp = self._aiohttp
        text = type(error).__name__
        match error:
            case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
                return httpx.ProxyError(text)
            case aiohttp.ClientConnectorError():
                return httpx.ConnectError(text)
            case aiohttp.ConnectionTimeoutError():
                return httpx.ConnectTimeout(text)
            case aiohttp.SocketTimeoutError():
                return httpx.ReadTimeout(text)
            case aiohttp.InvalidURL():
                return httpx.UnsupportedProtocol(text)
            case aiohttp.ClientPayloadError() | aiohttp.ClientOSError():
                return httpx.ReadError(text)
            case RuntimeError() if self._session.closed:
                return httpx.ConnectError("the connection pool is closed")
            case ValueError() | TypeError():
                return httpx.LocalProtocolError(text)
        return httpx.RemoteProtocolError(text)


def _headers(request: httpx.Request) -> list[tuple[str, str]]:
    # As `multi_items` does, without trying each known encoding on every header first.
    return [(name.decode(), value.decode()) for name, value in request.headers.raw]
