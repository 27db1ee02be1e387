"""The transports: our own pool on asyncio, httpx2's on trio (else httpx's), and an adapter for one that is given.

httpx's own pool loses connections when calls are cancelled, and a small call takes twice the time. Every failure is
raised as the httpx exception that says whether the request may have been sent.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import httpx

from carecloud_async._base.runtime.event_loops import on_asyncio
from carecloud_async._calls.http.destinations import handing_over, sending_to
from carecloud_async._calls.http.network import Verify, choose_proxy, tls_context
from carecloud_async._calls.http.outgoing import OUTGOING, OutgoingRequest, trace_departure, true_url
from carecloud_async._calls.http.redaction import sending, shown_url
from carecloud_async._calls.http.responses import (
    MAX_RESPONSE_BYTES,
    BufferedResponse,
    UnpackError,
    new_response,
    read_body,
    read_chunks,
)
from carecloud_async._calls.http.timeout import OutOfTimeError, Permits, RunningCalls, Waiting

if TYPE_CHECKING:
    from carecloud_async._calls.http.pool import Pool
    from carecloud_async._calls.http.wire import Origin, Reply


class DefaultTransport(httpx.AsyncBaseTransport):
    """Opens its pool on the first request, in the event loop of that request.

    Args:
        max_connections: the size of the pool.
        verify: `True`, `False`, a CA bundle's path or an `ssl.SSLContext`; `None` where nothing goes over TLS.
        proxy: the proxy's URL, or `None`.
        max_response_bytes: the largest response, unpacked.

    Attributes:
        permits: one for each connection. A call takes its own before it sends; other requests take theirs here.
    """

    def __init__(
        self, *, max_connections: int, verify: Verify | None, proxy: str | None, max_response_bytes: int
    ) -> None:
        self._limit = max_response_bytes
        self._max_connections = max_connections
        self.permits: Permits = Permits(max_connections)
        self._verify = verify
        self._proxy = proxy
        self._pool: Pool | None = None  # on asyncio
        self._adapter: Any = None  # on trio: of a transport of httpx2 or httpx
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its response to the end, so that the connection is free again."""
        if OUTGOING in request.extensions:
            return await self._handle(request)
        seconds = (request.extensions.get("timeout") or {}).get("pool")
        try:
            await self.permits.take(RunningCalls(), math.inf if seconds is None else seconds)
        except OutOfTimeError:
            raise httpx.PoolTimeout("no free connection in time") from None
        try:
            return await self._handle(request)
        finally:
            self.permits.release()

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        pool = self._pool_for(true_url(request))
        if pool is None:
            adapted: httpx.Response = await self._adapter.handle_async_request(request)
            return adapted
        began, content = time.perf_counter(), await request.aread()
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        if "transfer-encoding" in request.headers:  # its content was a stream, which has been read
            headers = [pair for pair in headers if pair[0].lower() != "transfer-encoding"]
            headers.append(("Content-Length", str(len(content))))
        outgoing = request.extensions.get(OUTGOING) or OutgoingRequest.of(request)
        head = _head(pool, outgoing, headers).encode("latin-1")
        reply, body = await self._exchange(pool, outgoing, head + content)
        response: httpx.Response = new_response(
            httpx,
            reply.status,
            headers=reply.headers,
            body=body,
            extensions={"reason_phrase": reply.reason},
            seconds=time.perf_counter() - began,
        )
        return response

    def send_outgoing(
        self, request: OutgoingRequest, running: RunningCalls, seconds: float
    ) -> Coroutine[Any, Any, Any]:
        """Send a request of the SDK without observers, and read its response to the end.

        Args:
            request: the request.
            running: the calls under way.
            seconds: the longest time; then `OutOfTimeError`, as when the client is closed.
        """
        pool = self._pool_for(request.origin)
        if pool is None:
            adapted: Coroutine[Any, Any, httpx.Response] = self._adapter.send_outgoing(request, running, seconds)
            return adapted
        return self._send(pool, request, running, seconds)

    async def aclose(self) -> None:
        """Close the pool."""
        self._closed = True
        opened, self._pool, self._adapter = self._pool or self._adapter, None, None
        if opened is not None:
            await opened.aclose()

    async def _send(
        self, pool: Pool, request: OutgoingRequest, running: RunningCalls, seconds: float
    ) -> BufferedResponse:
        written = _head(pool, request, request.headers.items()).encode() + request.content
        reply, body = await self._exchange(pool, request, written, running=running, seconds=seconds)
        return BufferedResponse(reply.status, headers=reply.headers, content=body)

    async def _exchange(
        self,
        pool: Pool,
        request: OutgoingRequest,
        written: bytes,
        *,
        running: RunningCalls | None = None,
        seconds: float = math.inf,
    ) -> tuple[Reply, bytes]:
        """Write the bytes of a request, and read its response.

        Args:
            pool: has its connection.
            request: the request; its `depart` is called before it is written.
            written: its bytes.
            running: the calls under way, if it is one of the SDK's.
            seconds: the longest time.
        """
        origin, timeout = _origin_of(request.origin), request.timeout
        request.is_tracked = True
        until = pool.time() + seconds
        connection = pool.take(origin)
        if connection is None:
            # This wait needs a scope; the exchange ends by itself: at `until`, or when the pool is closed.
            with nullcontext() if running is None else Waiting(running, seconds):
                connection = await pool.open(origin, seconds=timeout.get("connect"))
        try:
            request.depart()
            without_body = request.method == "HEAD"
            reply = await connection.exchange(written, without_body=without_body, read=timeout.get("read"), until=until)
        finally:
            pool.give_back(connection)
        return reply, await self._body(reply)

    async def _body(self, reply: Reply) -> bytes:
        encoding = reply.header(b"content-encoding")
        if encoding is None:
            return reply.body[0] if len(reply.body) == 1 else b"".join(reply.body)
        try:
            chunks = _as_async(reply.body)
            return await read_chunks(chunks, encoding=encoding.decode("latin-1"), limit=self._limit)
        except UnpackError as error:
            raise httpx.DecodingError(str(error)) from error

    def _pool_for(self, url: str) -> Pool | None:
        """Return the pool, or `None` on trio, where the adapter sends. Whichever it is, the first request opens it.

        Args:
            url: where a request is to go.

        Raises:
            httpx.ConnectError: the transport was closed.
        """
        sending_to(url, proxy=self._proxy)
        if self._pool is None and self._adapter is None:
            if self._closed:
                raise httpx.ConnectError("the connection pool is closed")
            self._open()
        return self._pool

    def _open(self) -> None:
        context = None if self._verify is None else tls_context(self._verify)
        size, proxy, limit = self._max_connections, self._proxy, self._limit
        if on_asyncio():
            from carecloud_async._calls.http.pool import Pool

            self._pool = Pool(permits=self.permits, max_response_bytes=limit, tls=context, proxy=proxy)
            return
        # Not httpx where it can be avoided: its pool loses connections when calls are cancelled.
        http_library = import_module("httpx2" if find_spec("httpx2") is not None else "httpx")
        inner = http_library.AsyncHTTPTransport(
            verify=context or False,
            limits=http_library.Limits(max_connections=size, max_keepalive_connections=size),
            proxy=http_library.Proxy(proxy, ssl_context=context) if (proxy or "").startswith("https://") else proxy,
        )
        self._adapter = adapt_transport(httpx, inner, max_response_bytes=limit, inner_library=http_library)


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


def adapt_transport(
    http_library: ModuleType, inner: Any, *, max_response_bytes: int, inner_library: ModuleType | None = None
) -> Any:
    """Return a transport of an HTTP library that sends through another transport.

    The other transport gets the unredacted URL. Its response is read to the end, if it is not too large.

    Args:
        http_library: the library of the client: httpx or httpx2.
        inner: the transport that sends.
        max_response_bytes: the largest response, unpacked.
        inner_library: the library of `inner`, if it is not the client's.
    """
    return _adapter_class(http_library, inner_library or http_library)(inner, max_response_bytes)


@lru_cache(maxsize=4)
def _adapter_class(http_library: ModuleType, inner_library: ModuleType) -> Any:
    class AdaptedTransport(http_library.AsyncBaseTransport):  # type: ignore[name-defined,misc]
        """Sends through another transport, and reads what it returns."""

        def __init__(self, inner: Any, max_response_bytes: int) -> None:
            self._inner = inner
            self._limit = max_response_bytes
            # Tracers patch the library's own class and print the URL, so this class gets one that prints redacted. A
            # transport of the user's may send to the URL as it prints, so it gets a plain one.
            self._is_library_own = type(inner) is inner_library.AsyncHTTPTransport

        async def send_outgoing(self, request: OutgoingRequest, running: RunningCalls, seconds: float) -> Any:
            """See `DefaultTransport.send_outgoing`."""
            with Waiting(running, seconds):
                return await self.handle_async_request(request.to_httpx(http_library))

        async def handle_async_request(self, request: Any) -> Any:
            began, url = time.perf_counter(), true_url(request)
            handing_over(url)
            with sending(), _translated_errors(http_library, inner_library):
                plain = inner_library.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    stream=inner_library.ByteStream(await request.aread()),
                    extensions=dict(request.extensions),
                )
                await plain.aread()
                if self._is_library_own:
                    plain.url = shown_url(inner_library, url, str(request.url))
                trace_departure(plain.extensions)
                response = await self._inner.handle_async_request(plain)
                body = await read_body(response, limit=self._limit)
            return new_response(
                http_library,
                response.status_code,
                headers=response.headers.raw,
                body=body,
                extensions=response.extensions,
                seconds=time.perf_counter() - began,
            )

        async def aclose(self) -> None:
            await self._inner.aclose()

    return AdaptedTransport


@contextmanager
def _translated_errors(http_library: ModuleType, inner_library: ModuleType) -> Iterator[None]:
    """Raise exceptions of the inner library as those of the same name of the client's library."""
    try:
        yield
    except UnpackError as error:
        raise http_library.DecodingError(str(error)) from error
    except inner_library.TransportError as error:
        if http_library is inner_library:
            raise
        counterparts = (getattr(http_library, cls.__name__, None) for cls in type(error).__mro__)
        nearest = next(counterpart for counterpart in counterparts if counterpart is not None)
        raise nearest(str(error)) from error


@lru_cache(maxsize=64)
def _origin_of(address: str) -> Origin:
    from carecloud_async._calls.http.pool import origin_of  # loaded already

    return origin_of(address)


async def _as_async(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _head(pool: Pool, request: OutgoingRequest, headers: Iterable[tuple[str, str]]) -> str:
    """Return the head of a request; to a proxy that forwards it, its target is the whole URL.

    Raises:
        httpx.LocalProtocolError: a header holds a line break.
    """
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    if pool.is_forwarding and request.origin.startswith("http:"):
        host = request.origin.removeprefix("http://").rpartition("@")[2]
        lines = [f"{request.method} http://{host}{request.target} HTTP/1.1", *pool.credentials]
    lines += map(": ".join, headers)
    head = "\r\n".join([*lines, "", ""])
    if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1 or "\0" in head:
        raise httpx.LocalProtocolError("a header holds a line break")
    return head
