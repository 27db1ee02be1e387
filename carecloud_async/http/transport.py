"""The default transport: httpx over aiohttp's connection pool on asyncio, httpx's own on trio.

httpx's own pool loses connections when calls are cancelled; aiohttp's does not, and it is faster. Every failure is
told as the httpx exception that says whether the request may have left.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any

import httpx

from carecloud_async.http.network import Verify, tls_context
from carecloud_async.http.redaction import true_url, true_url_transport
from carecloud_async.runtime.event_loops import on_asyncio

if TYPE_CHECKING:
    import aiohttp


_FAMILY: ModuleType = httpx

#: Proxies and policies write long headers; aiohttp's own bound of 8 KB would make a failure of an answer.
_LONGEST_HEADER = 64 * 1024


class DefaultTransport(httpx.AsyncBaseTransport):
    """Opens its pool on the first request, in whatever event loop that runs.

    Args:
        max_connections: the size of the pool.
        verify: `True`, `False`, a CA bundle's path or an `ssl.SSLContext`; `None` where nothing goes over TLS.
        proxy: the proxy's URL, or `None`.
    """

    def __init__(self, *, max_connections: int, verify: Verify | None, proxy: str | None) -> None:
        self._max_connections = max_connections
        self._verify = verify
        self._proxy = proxy
        self._inner: httpx.AsyncBaseTransport | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; see `httpx.AsyncBaseTransport`."""
        inner = self._inner
        if inner is None:
            if self._closed:
                raise httpx.ConnectError("the connection pool is closed")
            inner = self._inner = self._open()
        return await inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the pool for good."""
        self._closed = True
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.aclose()

    def _open(self) -> httpx.AsyncBaseTransport:
        context = False if self._verify is None else tls_context(self._verify)
        if on_asyncio():
            return AiohttpTransport(max_connections=self._max_connections, verify=context, proxy=self._proxy)
        most = self._max_connections
        own = httpx.AsyncHTTPTransport(
            verify=context,
            limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
            proxy=self._proxy,
        )
        transport: httpx.AsyncBaseTransport = true_url_transport(_FAMILY)(own)
        return transport


class AiohttpTransport(httpx.AsyncBaseTransport):
    """One aiohttp session as an httpx transport. Needs a running asyncio loop.

    Args:
        max_connections: the size of the pool.
        verify: an `ssl.SSLContext`, or `False`.
        proxy: the proxy's URL, or `None`.
    """

    def __init__(self, *, max_connections: int, verify: ssl.SSLContext | bool, proxy: str | None) -> None:
        import aiohttp
        import yarl

        self._url = yarl.URL
        self._aiohttp = aiohttp
        self._proxy = proxy
        self._last_timeout = aiohttp.ClientTimeout(total=None)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=max_connections, ssl=verify),
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
                body = await response.read()
        except Exception as error:
            raise self._map(error) from error
        else:
            answer = _response(response, body, seconds=time.perf_counter() - began)
            # Packed answers are unpacked by httpx on their way through a stream; hooks shall find them read as well.
            await answer.aread()
            return answer

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


def _response(response: aiohttp.ClientResponse, body: bytes, *, seconds: float) -> httpx.Response:
    kind = httpx.Response if "Content-Encoding" in response.headers else _Whole
    answer = kind(
        response.status,
        headers=response.raw_headers,
        stream=_Body(body),
        extensions={"reason_phrase": (response.reason or "").encode("ascii", "replace")},
    )
    answer.elapsed = timedelta(seconds=seconds)  # httpx would tell it of a stream that it closes itself
    return answer


class _Whole(httpx.Response):
    """An answer whose body is here already: nothing to read, nothing to unpack, nothing to close."""

    stream: _Body

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._body = self.stream.body
        self.is_stream_consumed = self.is_closed = True

    @property
    def content(self) -> bytes:
        """The body."""
        return self._body

    def read(self) -> bytes:
        """Return the body."""
        return self._body

    async def aread(self) -> bytes:
        """Return the body."""
        return self._body

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Yield the body, in parts if that is asked for."""
        size = chunk_size or len(self._body) or 1
        for start in range(0, len(self._body), size):
            yield self._body[start : start + size]


class _Body(httpx.AsyncByteStream):
    """A body that is already here."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body
