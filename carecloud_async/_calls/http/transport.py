"""The default transport: a pool of our own on asyncio, httpx2's on trio, else httpx's.

httpx's own pool loses connections when calls are cancelled, and a small call takes twice the time. Every failure is
raised as the httpx exception that says whether the request may have been sent.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import httpx

from carecloud_async._base.runtime.event_loops import on_asyncio
from carecloud_async._calls.http.adapter import adapt_transport
from carecloud_async._calls.http.bodies import MAX_RESPONSE_BYTES, UnpackError, read_chunks
from carecloud_async._calls.http.buffered_response import BufferedResponse, new_response
from carecloud_async._calls.http.destinations import sending_to
from carecloud_async._calls.http.network import Verify, choose_proxy, tls_context
from carecloud_async._calls.http.outgoing import DEPARTURE, Departure, OutgoingRequest
from carecloud_async._calls.http.redaction import true_url

if TYPE_CHECKING:
    from carecloud_async._calls.http.wire import Connection, Reply


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

    def send_in_time(self, request: OutgoingRequest, seconds: float) -> Coroutine[Any, Any, BufferedResponse] | None:
        """Send a request, as `send_outgoing`, by a connection at rest of our own pool, within some seconds.

        Returns:
            What is to be awaited at once, or `None` if there is no such connection.
        """
        if not isinstance(self._inner, AsyncioTransport):
            return None
        sending_to(true_url(request), proxy=self._proxy)
        return self._inner.send_in_time(request, seconds)

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
        context = None if self._verify is None else tls_context(self._verify)
        if on_asyncio():
            return AsyncioTransport(
                max_connections=self._max_connections,
                tls=context,
                proxy=self._proxy,
                max_response_bytes=self._max_response_bytes,
            )
        most, proxy = self._max_connections, self._proxy
        http_library = _trio_library()
        if proxy is not None and proxy.startswith("https://"):
            proxy = http_library.Proxy(proxy, ssl_context=context)
        own = http_library.AsyncHTTPTransport(
            verify=context or False,
            limits=http_library.Limits(max_connections=most, max_keepalive_connections=most),
            proxy=proxy,
        )
        transport: httpx.AsyncBaseTransport = adapt_transport(
            httpx, own, max_response_bytes=self._max_response_bytes, inner_library=http_library
        )
        return transport


class UnpooledTransport(httpx.AsyncBaseTransport):
    """Opens a connection for each request and closes it, so that nothing is left to be closed."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; see `httpx.AsyncBaseTransport`."""
        url = request.url
        async with DefaultTransport(
            max_connections=1,
            verify=True if url.scheme == "https" else None,
            proxy=choose_proxy(f"{url.scheme}://{url.netloc.decode()}", None),
            max_response_bytes=MAX_RESPONSE_BYTES,
        ) as transport:
            return await transport.handle_async_request(request)


def _trio_library() -> Any:
    """Return httpx2 if it is installed: httpx's pool loses connections when calls are cancelled."""
    return import_module("httpx2" if find_spec("httpx2") is not None else "httpx")


class AsyncioTransport(httpx.AsyncBaseTransport):
    """A pool of the running asyncio loop as an httpx transport.

    Args:
        max_connections: the size of the pool.
        tls: the context for `https`; `None` where nothing goes over TLS.
        proxy: the proxy's URL, or `None`.
        max_response_bytes: the largest response, unpacked.
    """

    def __init__(
        self, *, max_connections: int, tls: ssl.SSLContext | None, proxy: str | None, max_response_bytes: int
    ) -> None:
        from carecloud_async._calls.http.pool import Pool, origin_of

        self._limit = max_response_bytes
        self._pool = Pool(max_connections=max_connections, max_response_bytes=max_response_bytes, tls=tls, proxy=proxy)
        self._origin_of = lru_cache(maxsize=64)(origin_of)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its response to the end, so that the connection is free again."""
        began = time.perf_counter()
        content = await request.aread()
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        if "transfer-encoding" in request.headers:  # its content was a stream, which has been read
            headers = [pair for pair in headers if pair[0].lower() != "transfer-encoding"]
            headers.append(("Content-Length", str(len(content))))
        try:
            reply, body = await self._exchange(request, headers, "latin-1", content)
        except (httpx.TransportError, httpx.DecodingError) as error:
            error.request = request
            raise
        made: httpx.Response = new_response(
            httpx,
            reply.status,
            headers=reply.headers,
            body=body,
            extensions={"reason_phrase": reply.reason},
            seconds=time.perf_counter() - began,
        )
        return made

    def send_in_time(self, request: OutgoingRequest, seconds: float) -> Coroutine[Any, Any, BufferedResponse] | None:
        """Send a request by a connection at rest, within some seconds; `None` if there is none."""
        connection = self._pool.take_ready(self._origin_of(_split(true_url(request))[0]))
        return None if connection is None else self.send_outgoing(request, connection=connection, seconds=seconds)

    async def send_outgoing(
        self, request: OutgoingRequest, *, connection: Connection | None = None, seconds: float = math.inf
    ) -> BufferedResponse:
        """Send a request of the SDK without observers, and read its response to the end.

        Args:
            request: the request.
            connection: one that `take_ready` has returned.
            seconds: how long its response may take, after which an `OutOfTimeError` is raised.
        """
        try:
            reply, body = await self._exchange(
                request, request.headers.pairs(), "utf-8", request.content, connection=connection, seconds=seconds
            )
        except (httpx.TransportError, httpx.DecodingError) as error:
            error.request = request.to_httpx()
            raise
        return BufferedResponse(httpx, reply.status, headers=reply.headers, content=body)

    async def aclose(self) -> None:
        """Close the pool."""
        await self._pool.aclose()

    async def _exchange(
        self,
        request: httpx.Request | OutgoingRequest,
        headers: Iterable[tuple[str, str]],
        encoding: str,
        content: bytes,
        *,
        connection: Connection | None = None,
        seconds: float = math.inf,
    ) -> tuple[Reply, bytes]:
        pool = self._pool
        address, target = _split(true_url(request))
        origin = self._origin_of(address)
        lines = [f"{name}: {value}" for name, value in headers]
        if pool.is_forwarding and origin[0] == "http":
            target = f"http://{address[len('http://') :].rpartition('@')[2]}{target}"
            lines += pool.credentials
        head = _head(request.method, target, lines).encode(encoding)
        timeout = request.extensions.get("timeout") or {}
        departure: Departure | None = request.extensions.get(DEPARTURE)
        if departure is not None:
            departure.is_promised = True
        if connection is None:
            connection = await pool.get(origin, connect=timeout.get("connect"), wait=timeout.get("pool"))
        else:
            await pool.hold()
        try:
            if departure is not None:
                departure()
            reply = await connection.exchange(
                head + content, without_body=request.method == "HEAD", read=timeout.get("read"), seconds=seconds
            )
        finally:
            pool.give_back(connection)
        return reply, await self._body(reply)

    async def _body(self, reply: Reply) -> bytes:
        packing = reply.header(b"content-encoding")
        if packing is None:
            return reply.body[0] if len(reply.body) == 1 else b"".join(reply.body)
        try:
            return await read_chunks(
                _each(reply.body),
                status=reply.status,
                length=None,
                encoding=packing.decode("latin-1"),
                limit=self._limit,
            )
        except UnpackError as error:
            raise httpx.DecodingError(str(error)) from error


def _split(url: str) -> tuple[str, str]:
    """Return the part of a URL that names the server, and the target of the request."""
    end = url.find("/", len("https://"))
    return (url, "/") if end < 0 else (url[:end], url[end:].partition("#")[0])


async def _each(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _head(method: str, target: str, headers: list[str]) -> str:
    """Return the head of a request.

    Raises:
        httpx.LocalProtocolError: a header holds a line break.
    """
    lines = [f"{method} {target} HTTP/1.1", *headers, "", ""]
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
        raise httpx.LocalProtocolError("a header holds a line break")
    return head
