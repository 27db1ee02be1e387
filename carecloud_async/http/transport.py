"""The default transport: httpx over aiohttp's connection pool on asyncio, httpx2's own on trio, else httpx's.

httpx's own pool loses connections when calls are cancelled; aiohttp's and httpx2's do not, and aiohttp's is faster.
Every failure is raised as the httpx exception that says whether the request may have left.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Coroutine
from functools import lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import httpx

from carecloud_async.http.adapter import adapt_transport
from carecloud_async.http.bodies import BodyTooLargeError, UnpackError, read_chunks
from carecloud_async.http.network import Verify, tls_context
from carecloud_async.http.redaction import true_url
from carecloud_async.http.whole_response import whole_response
from carecloud_async.runtime.event_loops import on_asyncio

if TYPE_CHECKING:
    import aiohttp


#: Proxies and policies write long headers; aiohttp's own bound of 8 KB would make a failure of an answer.
_LONGEST_HEADER = 64 * 1024
#: Bodies up to this size are read at once, in bytes.
_SHORT = 256 * 1024
#: How often a connection is thrown away because bytes wait on it that nobody asked for.
_MOST_UNSOUND = 100


class DefaultTransport(httpx.AsyncBaseTransport):
    """Opens its pool on the first request, in whatever event loop that runs.

    Args:
        max_connections: the size of the pool.
        verify: `True`, `False`, a CA bundle's path or an `ssl.SSLContext`; `None` where nothing goes over TLS.
        proxy: the proxy's URL, or `None`.
        max_response_bytes: the largest response, unpacked.
    """

    returns_whole = True

    def __init__(
        self, *, max_connections: int, verify: Verify | None, proxy: str | None, max_response_bytes: int
    ) -> None:
        self._max_response_bytes = max_response_bytes
        self._max_connections = max_connections
        self._verify = verify
        self._proxy = proxy
        self._inner: httpx.AsyncBaseTransport | None = None
        self._closed = False

    def handle_async_request(self, request: httpx.Request) -> Coroutine[Any, Any, httpx.Response]:
        """Send one request; see `httpx.AsyncBaseTransport`."""
        inner = self._inner
        if inner is None:
            if self._closed:
                raise httpx.ConnectError("the connection pool is closed")
            inner = self._inner = self._open()
        return inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the pool for good."""
        self._closed = True
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.aclose()

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
        family = _trio_family()
        own = family.AsyncHTTPTransport(
            verify=context,
            limits=family.Limits(max_connections=most, max_keepalive_connections=most),
            proxy=self._proxy,
        )
        transport: httpx.AsyncBaseTransport = adapt_transport(
            httpx, own, max_response_bytes=self._max_response_bytes, inner_family=family
        )
        return transport


def _trio_family() -> Any:
    """Return httpx2 where it is installed: httpx's pool loses connections for good when calls are cancelled."""
    return import_module("httpx2" if find_spec("httpx2") is not None else "httpx")


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
        self._session = aiohttp.ClientSession(
            connector=_connector_class()(limit=max_connections, ssl=verify),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            raise_for_status=False,
            trust_env=False,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )
        if hasattr(self._session, "_retry_connection"):
            self._session._retry_connection = False  # our retry counts and judges every attempt

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its answer to the end, so that the connection is free again."""
        began = time.perf_counter()
        try:
            async with self._session.request(
                request.method,
                self._url(true_url(request), encoded=True),
                data=request.content or None,
                headers=_headers(request),
                allow_redirects=False,
                timeout=self._timeout(request),
                proxy=self._proxy,
            ) as response:
                body = await self._read(response)
        except BodyTooLargeError:
            raise
        except UnpackError as error:
            raise httpx.DecodingError(str(error), request=request) from error
        except httpx.TransportError as error:
            error.request = request
            raise
        except Exception as error:
            mapped = self._map(error)
            mapped.request = request
            raise mapped from error
        whole: httpx.Response = whole_response(
            httpx,
            response.status,
            headers=response.raw_headers,
            body=body,
            extensions={"reason_phrase": (response.reason or "").encode("ascii", "replace")},
            seconds=time.perf_counter() - began,
        )
        return whole

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        encoding = response.headers.get("Content-Encoding", "")
        length = response.content_length
        if not encoding and length is not None and length <= _SHORT:
            return await response.read()
        try:
            return await read_chunks(
                response.content.iter_any(),
                status=response.status,
                length=length,
                encoding=encoding,
                limit=self._limit,
            )
        finally:
            if not response.content.at_eof():
                response.close()  # what is still to come is nobody's

    async def aclose(self) -> None:
        """Close the session."""
        await self._session.close()

    def _timeout(self, request: httpx.Request) -> aiohttp.ClientTimeout:
        given = request.extensions.get("timeout", {})
        pool, connect, read = given.get("pool"), given.get("connect"), given.get("read")
        last = self._last_timeout
        if (last.connect, last.sock_connect, last.sock_read) != (pool, connect, read):
            last = self._aiohttp.ClientTimeout(total=None, connect=pool, sock_connect=connect, sock_read=read)
            self._last_timeout = last
        return last

    def _map(self, error: Exception) -> httpx.TransportError:
        """Name the httpx exception that says the same; nothing else leaves this transport."""
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


@lru_cache(maxsize=1)
def _connector_class() -> Any:
    """Return aiohttp's connector, but one that never hands out a connection on which unread bytes wait.

    What a server sends behind a response would be read as the response to the next request on that connection, which
    may be another customer's (RFC 9112, 6.3: such bytes are not to be taken for a response).
    """
    import aiohttp
    from aiohttp.client_proto import ResponseHandler

    class EndingHandler(ResponseHandler):
        def connection_lost(self, exc: BaseException | None) -> None:
            # aiohttp tells the reader of a body of nothing if it is the body that broke the rules of HTTP (a chunk
            # without a size), and stops the clock of its read timeout: it would wait until the end of the call's time.
            body, error = self._payload, self.exception()
            super().connection_lost(exc)
            if body is not None and not body.is_eof() and body.exception() is None:
                body.set_exception(aiohttp.ClientPayloadError("the body ends in error"), error or exc or EOFError())

    class CleanConnector(aiohttp.TCPConnector):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._factory = cast("Any", partial(EndingHandler, loop=self._loop))

        async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
            for _ in range(_MOST_UNSOUND):
                connection = await super().connect(req, traces, timeout)
                if connection.protocol is not None and not connection.protocol.should_close:
                    return connection
                connection.close()
            raise httpx.ConnectError("the server sends responses to requests that were not made")

        def __repr__(self) -> str:
            # aiohttp's warning about one that was never closed shows it.
            return "<connections of a CareCloud client: use `async with CareCloud(…) as client`, or await its aclose()>"

    return CleanConnector
