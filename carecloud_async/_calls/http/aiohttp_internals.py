"""Internals of aiohttp: the only file that uses parts of another library that its documentation does not promise.

They serve correctness, not speed, and are used in two places. `find_parts` checks when a pool opens whether they exist
and are of the expected kind. Without them, a documented alternative is taken:

- `TCPConnector.connect(req, traces, timeout)`, `Connection.protocol`, `ResponseHandler.should_close`: no connection is
  handed out on which unread bytes wait, which would be read as the answer to the next request; and a request departs
  when its connection is there. Without them, `force_close=True`: each request has a connection of its own, and departs
  before.
- `TCPConnector._factory`, `ResponseHandler._payload`, `connection_lost`, `data_received`: a body that breaks the rules
  of HTTP fails at once, and one behind a 204 is dropped. Without them, the first fails at the end of the call's time,
  and the second as an answer that is not HTTP.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

import httpx
from attrs import frozen

from carecloud_async._calls.http.departure import current_departure

if TYPE_CHECKING:
    import ssl

    import aiohttp

#: The most connections that are closed for one request because unread bytes wait on them.
_MAX_UNREAD = 100
_CONNECT = ["self", "req", "traces", "timeout"]
#: In the head of a response: it says that a body follows.
_ANNOUNCES_BODY = re.compile(rb"\n(?:transfer-encoding:|content-length:[ \t]*[1-9])", re.IGNORECASE)


@frozen(kw_only=True)
class Parts:
    """Which of aiohttp's internals exist and are of the expected kind.

    Attributes:
        connections: those that tell whether a connection is free of unread bytes.
        endings: those that end a broken body, and drop that of a 204.
    """

    connections: bool
    endings: bool


NO_PARTS = Parts(connections=False, endings=False)


def find_parts() -> Parts:
    """Check aiohttp's internals. Needs a running asyncio loop."""
    import asyncio

    try:
        from aiohttp.client_proto import ResponseHandler

        handler: Any = ResponseHandler(asyncio.get_running_loop())
    except (ImportError, TypeError):
        return NO_PARTS
    return Parts(connections=_has_connections(handler), endings=_has_endings(handler))


def _has_connections(handler: Any) -> bool:
    import aiohttp

    return (
        _parameters(aiohttp.TCPConnector, "connect") == _CONNECT
        and isinstance(getattr(getattr(aiohttp.connector, "Connection", None), "protocol", None), property)
        and isinstance(getattr(handler, "should_close", None), bool)
    )


def _has_endings(handler: Any) -> bool:
    return (
        getattr(handler, "_payload", handler) is None
        and _parameters(handler, "connection_lost") == ["exc"]
        and _parameters(handler, "data_received") == ["data"]
    )


def _parameters(owner: Any, name: str) -> list[str] | None:
    """Return the names of a function's parameters; `None` if there is no such function."""
    import inspect

    try:
        return list(inspect.signature(getattr(owner, name)).parameters)
    except (AttributeError, TypeError, ValueError):
        return None


def open_connector(parts: Parts, *, limit: int, ssl: ssl.SSLContext | bool) -> aiohttp.TCPConnector:
    """Return a pool that never hands out a connection on which unread bytes wait.

    Bytes that a server sends after a response would be read as the response to the next request on that connection,
    which may be another customer's (RFC 9112, 6.3: such bytes are not to be taken for a response).

    Args:
        parts: what `find_parts` found.
        limit: the most connections.
        ssl: as aiohttp takes it.
    """
    clean, closing = _connector_classes()
    connector: Any = (
        clean(limit=limit, ssl=ssl) if parts.connections else closing(limit=limit, ssl=ssl, force_close=True)
    )
    if parts.endings:
        _replace_handler(connector)
    return cast("aiohttp.TCPConnector", connector)


def _replace_handler(connector: Any) -> None:
    """Let a pool's connections have our protocol, if it makes them as expected."""
    factory = getattr(connector, "_factory", None)
    original, handler = _handler_classes()
    if isinstance(factory, partial) and factory.func is original:
        connector._factory = partial(handler, *factory.args, **factory.keywords)


@lru_cache(maxsize=1)
def _handler_classes() -> tuple[Any, Any]:
    """Return aiohttp's protocol, and the one that replaces it."""
    from aiohttp import ClientPayloadError
    from aiohttp.client_proto import ResponseHandler

    class EndingHandler(ResponseHandler):
        def connection_lost(self, exc: BaseException | None) -> None:
            """End the body that is being read."""
            # If the body broke the rules of HTTP (a chunk without a size), aiohttp does not inform its reader and stops
            # the read timeout: the reader would wait until the end of the call's time.
            body, error = self._payload, self.exception()
            super().connection_lost(exc)
            if body is not None and not body.is_eof() and body.exception() is None:
                body.set_exception(ClientPayloadError("the body ends in error"), error or exc or EOFError())

        def data_received(self, data: bytes) -> None:
            """Drop what a server sends behind the head of a 204."""
            # It has no body (RFC 9112, 6.3), but many servers end it as a chunked one, or send what a script printed.
            # aiohttp would read that as another response: it would give up the one before it, or the next one.
            reads_body = self._payload is not None and not self._payload.is_eof()
            if data[9:12] == b"204" and data.startswith(b"HTTP/1.") and not reads_body:
                head, end, rest = data.partition(b"\r\n\r\n")
                if rest or _ANNOUNCES_BODY.search(head):
                    self.force_close()
                data = head + end
            super().data_received(data)

    return ResponseHandler, EndingHandler


def _is_clean(connection: Any) -> bool:
    """Return whether a connection is open and no bytes wait on it."""
    return connection.protocol is not None and not connection.protocol.should_close


@lru_cache(maxsize=1)
def _connector_classes() -> tuple[Any, Any]:
    """Return the class of pools that keep connections, and that of pools that do not."""
    import aiohttp

    class ClosingConnector(aiohttp.TCPConnector):
        def __repr__(self) -> str:
            # aiohttp's warning about one that was never closed shows it.
            return "<connections of a CareCloud client: use `async with CareCloud(…) as client`, or await its aclose()>"

    class CleanConnector(ClosingConnector):
        async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
            """Return a connection without unread bytes, at the departure of the request."""
            departure = current_departure.get()
            for _ in range(_MAX_UNREAD):
                connection = await self._connected(req, traces, timeout)
                try:
                    if departure is not None and _is_clean(connection):
                        await departure()
                except BaseException:
                    connection.release()
                    raise
                if _is_clean(connection):  # it may have been closed meanwhile
                    return connection
                connection.close()
            raise httpx.ConnectError("the server sends responses to requests that were not made")

        async def _connected(self, req: Any, traces: Any, timeout: Any) -> Any:
            try:
                return await super().connect(req, traces, timeout)
            except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError):
                raise  # they say that it was no answer to the request
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, aiohttp.ClientResponseError) as error:
                text = type(error).__name__
            # A proxy ended before its tunnel was open. Raised here: aiohttp's error holds the proxy's password.
            raise httpx.ProxyError(text)

    return CleanConnector, ClosingConnector
