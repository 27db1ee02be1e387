"""The pool of connections on asyncio: opens them, also over TLS and through a proxy, and keeps those at rest.

Who takes a connection has a permit of the transport's: there are as many as connections, and nothing waits here.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import warnings
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from aiohappyeyeballs import start_connection

from carecloud_async._calls.http.timeout import Permits
from carecloud_async._calls.http.wire import Connection, Origin

#: Seconds until the next address of a host is tried too (RFC 8305).
_NEXT_ADDRESS = 0.25
#: Seconds for which the addresses of a host are remembered.
_KEEP_ADDRESSES = 10.0
#: The most seconds for which closing waits until the sockets are closed.
_MOST_CLOSING = 1.0
_PORTS = {"http": 80, "https": 443}


class Pool:
    """Connections of one event loop; the last used is used first.

    Args:
        permits: one for each connection.
        max_response_bytes: the largest body, as it comes over the wire.
        tls: the context for `https`; `None` where nothing goes over TLS.
        proxy: the proxy's URL, or `None`.

    Attributes:
        credentials: the header that the proxy wants, as a line; none without a password.
        is_forwarding: whether requests for `http` go to a proxy, as its own.
    """

    def __init__(
        self, *, permits: Permits, max_response_bytes: int, tls: ssl.SSLContext | None, proxy: str | None
    ) -> None:
        self._connections: set[Connection] = set()
        parts = urlsplit(proxy or "")
        self._proxy: Origin | None = None if proxy is None else origin_of(proxy)
        self.is_forwarding: bool = proxy is not None
        self.credentials: list[str] = []
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self.credentials = [f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}"]
        self._loop = asyncio.get_running_loop()
        self._limit = max_response_bytes
        self._tls = tls
        self._permits = permits
        self._at_rest: dict[Origin, list[Connection]] = {}
        self._closed = False
        self._looking_up = asyncio.Lock()
        self._addresses: dict[tuple[str, int], tuple[float, list[Any]]] = {}

    def __del__(self) -> None:
        if self._connections:
            advice = "use `async with CareCloud(…) as client`, or await its aclose()"
            warnings.warn(
                f"open connections of a CareCloud client: {advice}", ResourceWarning, stacklevel=1, source=self
            )

    async def open(self, origin: Origin, *, seconds: float | None) -> Connection:
        """Return a new connection, which is to be given back.

        Args:
            origin: where the request goes.
            seconds: the longest time.

        Raises:
            httpx.TransportError: there is none, and nothing was sent.
        """
        self._close_surplus()
        try:
            async with asyncio.timeout(seconds):
                connection = await self._open(origin)
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except (OSError, RuntimeError, UnicodeError) as error:  # uvloop raises RuntimeErrors
            raise httpx.ConnectError(type(error).__name__) from error
        if self._closed:
            connection.abort()
            raise httpx.ConnectError("the connection pool is closed")
        return connection

    def time(self) -> float:
        """Return the time of the pool's event loop."""
        return self._loop.time()

    def take(self, origin: Origin) -> Connection | None:
        """Return the connection that came to rest last, which is to be given back; `None` if there is no good one."""
        at_rest = self._at_rest.get(origin)
        while at_rest:
            connection = at_rest.pop()
            if connection.is_ready:
                return connection
            connection.abort()
        return None

    def give_back(self, connection: Connection) -> None:
        """Take a connection back: it rests, or is closed if it cannot be used again."""
        if connection.is_usable and not self._closed:
            connection.rest()
            self._at_rest.setdefault(connection.origin, []).append(connection)
        else:
            connection.abort()

    async def aclose(self) -> None:
        """Close all connections, those in use too, and wait until their sockets are closed."""
        self._closed = True
        self._at_rest.clear()
        lost = [connection.lost for connection in self._connections]
        for connection in list(self._connections):
            connection.abort()
        if lost:
            await asyncio.wait(lost, timeout=_MOST_CLOSING)

    def _close_surplus(self) -> None:
        """Close the connection that rests longest, of another origin, if one more would be too many."""
        resting = [connection for connections in self._at_rest.values() for connection in connections]
        if resting and len(resting) > self._permits.free:
            oldest = resting[0]
            self._at_rest[oldest.origin].remove(oldest)
            oldest.abort()

    async def _open(self, origin: Origin) -> Connection:
        scheme, host, port = origin
        secure = scheme == "https"
        if self._proxy is None:
            return await self._dial(origin, host, port, secure=secure)
        proxy_scheme, proxy_host, proxy_port = self._proxy
        try:
            connection = await self._dial(origin, proxy_host, proxy_port, secure=proxy_scheme == "https")
        except (OSError, RuntimeError) as error:
            raise httpx.ProxyError(type(error).__name__) from error
        return await self._open_tunnel(connection) if secure else connection

    async def _dial(self, origin: Origin, host: str, port: int, *, secure: bool) -> Connection:
        """Connect to a host. Where this fails or is cancelled, no socket is left open."""
        addresses = await self._look_up(host, port)
        # asyncio's own attempts at several addresses leave a socket open when they are cancelled.
        connected = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS, loop=self._loop)
        try:
            _, connection = await self._loop.create_connection(
                lambda: self._new_connection(origin),
                sock=connected,
                ssl=self._context() if secure else None,
                server_hostname=host if secure else None,
            )
        except BaseException:
            connected.close()
            raise
        return self._noted(connection)

    async def _open_tunnel(self, outer: Connection) -> Connection:
        """Begin TLS with the server through the proxy.

        Raises:
            httpx.ProxyError: there is no tunnel.
        """
        try:
            await self._ask_for_tunnel(outer)
            # The bytes of TLS go to a parser of their own: the proxy's would take them for the body of its response.
            inner = self._new_connection(outer.origin)
            transport = await self._loop.start_tls(
                outer.transport, inner, self._context(), server_hostname=outer.origin[1]
            )
        except BaseException:
            outer.abort()
            raise
        finally:
            self._connections.discard(outer)  # the loop does not tell it any more that the socket is closed
        if transport is None:
            raise httpx.ProxyError("the proxy hung up")
        inner.connection_made(transport)
        return self._noted(inner)

    async def _ask_for_tunnel(self, outer: Connection) -> None:
        """Let the proxy connect to the server.

        Raises:
            httpx.ProxyError: it refuses, or ends before the tunnel is open. It names the status.
        """
        _, host, port = outer.origin
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *self.credentials, "", ""]
        try:
            reply = await outer.exchange("\r\n".join(lines).encode(), without_body=True, read=None)
        except httpx.TransportError as error:
            raise httpx.ProxyError(type(error).__name__) from None
        if not 200 <= reply.status <= 299:
            raise httpx.ProxyError(str(reply.status))
        if not outer.is_usable:
            raise httpx.ProxyError("the proxy hung up, or sent more than its answer")

    def _context(self) -> ssl.SSLContext:
        context = self._tls
        if context is None:
            raise httpx.UnsupportedProtocol("this client was made for an http:// address, and has no TLS")
        # A context that another client uses too may offer HTTP/2 as well.
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _new_connection(self, origin: Origin) -> Connection:
        return Connection(self._loop, origin, max_response_bytes=self._limit, on_lost=self._forget)

    def _noted(self, connection: Connection) -> Connection:
        """Take note of an open connection. uvloop does not tell one that is cancelled before that it is lost."""
        if not connection.lost.done():
            self._connections.add(connection)
        return connection

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        at_rest = self._at_rest.get(connection.origin, [])
        if connection in at_rest:
            at_rest.remove(connection)

    async def _look_up(self, host: str, port: int) -> list[Any]:
        """Return the addresses of a host; many requests at once ask once."""
        async with self._looking_up:
            until, addresses = self._addresses.get((host, port), (0.0, []))
            if until < self._loop.time():
                addresses = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                self._addresses[host, port] = self._loop.time() + _KEEP_ADDRESSES, addresses
        return addresses


def origin_of(url: str) -> Origin:
    """Return scheme, host and port of a URL.

    Raises:
        httpx.UnsupportedProtocol: it is neither `http` nor `https`.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise httpx.UnsupportedProtocol("only http:// and https:// addresses are supported")
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]
