"""Internals of aiohttp: the only file that uses parts of another library that its documentation does not promise.

`find_parts` checks each part when a pool opens: whether it exists and is of the expected kind. Without it, a documented
alternative is taken:

- `TCPConnector.connect(req, traces, timeout)`, `Connection.protocol`, `ResponseHandler.should_close`: no connection is
  handed out on which unread bytes wait; requests depart when it is there. Without them, `force_close=True`: each has a
  connection of its own, and departs before.
- `TCPConnector._factory`, `ResponseHandler._payload`, `connection_lost`: a body that breaks the rules of HTTP fails at
  once. Without them, it fails at the end of the call's time.
- `ResponseHandler._reschedule_timeout`, `_drop_timeout`, `_on_read_timeout`, `_read_timeout`, `_loop`: a connection has
  one timer for its read timeouts. Without them, two timers are made and cancelled for each request.
- `ResponseHandler.set_response_params`, `start_timeout`, `read`, `ClientRequest`, `HttpProcessingError`,
  `ClientSession._request`: exchanges. Without them, `ClientSession.request`.
- `StreamReader.total_bytes`: short bodies are read at once. Without it, they are read in pieces.

An exchange is a plain request and its answer over a connection of aiohttp's pool. `ClientSession.request` looks for
redirects, cookies, proxies, credentials in URLs, traces, middlewares and bodies that stream: half of what a small
request costs. A plain request has none of them. In both cases pool, TLS, parser and exceptions are aiohttp's.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

import httpx
from attrs import frozen

from carecloud_async._calls.http.bodies import read_chunks
from carecloud_async._calls.http.departure import current_departure
from carecloud_async._calls.http.original_functions import OriginalFunctions
from carecloud_async._calls.http.outgoing import OutgoingRequest

if TYPE_CHECKING:
    import ssl

    import aiohttp

#: The most bytes of a header: proxies and policies write long ones, which aiohttp's bound of 8 KB would refuse.
LONGEST_HEADER = 64 * 1024
#: Bodies up to this size are read at once, in bytes.
_SHORT = 256 * 1024
#: The most connections that are closed for one request because unread bytes wait on them.
_MAX_UNREAD = 100
#: What tracers and test tools patch; a patched one has to be called.
_PATCHED_BY_TRACERS = ("request", "_request")
_SETTINGS = {"read_until_eof", "auto_decompress", "read_timeout", "max_line_size", "max_field_size"}
_TIMERS = ("_reschedule_timeout", "_drop_timeout", "_on_read_timeout")
_CONNECT = ["self", "req", "traces", "timeout"]
_REQUEST = {"method", "url", "loop", "session"}


@frozen(kw_only=True)
class Parts:
    """Which of aiohttp's internals exist and are of the expected kind.

    Attributes:
        connections: those that tell whether a connection is free of unread bytes.
        endings: those that end a broken body.
        timers: those that keep the timer of a connection.
        exchanges: those that an exchange needs.
    """

    connections: bool
    endings: bool
    timers: bool
    exchanges: bool


NO_PARTS = Parts(connections=False, endings=False, timers=False, exchanges=False)


def find_parts() -> Parts:
    """Check aiohttp's internals. Needs a running asyncio loop."""
    import asyncio

    try:
        from aiohttp.client_proto import ResponseHandler

        handler: Any = ResponseHandler(asyncio.get_running_loop())
    except (ImportError, TypeError):
        return NO_PARTS
    connections = _has_connections(handler)
    return Parts(
        connections=connections,
        endings=_has_endings(handler),
        timers=_has_timers(handler),
        exchanges=connections and _has_exchanges(handler),
    )


def _has_connections(handler: Any) -> bool:
    import aiohttp

    return (
        _parameters(aiohttp.TCPConnector, "connect") == _CONNECT
        and isinstance(getattr(getattr(aiohttp.connector, "Connection", None), "protocol", None), property)
        and isinstance(getattr(handler, "should_close", None), bool)
    )


def _has_endings(handler: Any) -> bool:
    return getattr(handler, "_payload", handler) is None and _parameters(handler, "connection_lost") == ["exc"]


def _has_timers(handler: Any) -> bool:
    return all(hasattr(handler, name) for name in ("_read_timeout", "_loop")) and all(
        _parameters(handler, name) == [] for name in _TIMERS
    )


def _has_exchanges(handler: Any) -> bool:
    import inspect

    import aiohttp

    return (
        set(_parameters(handler, "set_response_params") or ()) >= _SETTINGS
        and _parameters(handler, "start_timeout") == []
        and inspect.iscoroutinefunction(getattr(handler, "read", None))
        and set(_parameters(aiohttp.ClientRequest, "__init__") or ()) >= _REQUEST
        and _protocol_error() is not None
    )


def _parameters(owner: Any, name: str) -> list[str] | None:
    """Return the names of a function's parameters; `None` if there is no such function."""
    import inspect

    try:
        return list(inspect.signature(getattr(owner, name)).parameters)
    except (AttributeError, TypeError, ValueError):
        return None


def _protocol_error() -> Any:
    """Return the exception of aiohttp's parser for an answer that is not valid HTTP; `None` if it was moved."""
    try:
        from aiohttp.http_exceptions import HttpProcessingError
    except ImportError:
        return None
    return HttpProcessingError


def open_connector(parts: Parts, *, limit: int, ssl: ssl.SSLContext | bool) -> aiohttp.TCPConnector:
    """Return a pool that never hands out a connection on which unread bytes wait.

    What a server sends after a response would be read as the response to the next request on that connection, which
    may be another customer's (RFC 9112, 6.3: such bytes are not to be taken for a response).

    Args:
        parts: what `find_parts` found.
        limit: the most connections.
        ssl: as aiohttp takes it.
    """
    clean, closing = _connector_classes()
    connector: Any = (
        clean(limit=limit, ssl=ssl) if parts.connections else closing(limit=limit, ssl=ssl, force_close=True)
    )
    if parts.endings or parts.timers:
        _replace_handler(connector, parts)
    return cast("aiohttp.TCPConnector", connector)


def _replace_handler(connector: Any, parts: Parts) -> None:
    """Let a pool's connections have our protocol, if it makes them as expected."""
    factory = getattr(connector, "_factory", None)
    original, handler = _handler_classes(parts)
    if isinstance(factory, partial) and factory.func is original:
        connector._factory = partial(handler, *factory.args, **factory.keywords)


@lru_cache(maxsize=4)
def _handler_classes(parts: Parts) -> tuple[Any, Any]:
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

    bases: list[type] = [_TimerMixin] if parts.timers else []
    bases.append(EndingHandler if parts.endings else ResponseHandler)
    return ResponseHandler, type("Handler", tuple(bases), {})


class _TimerMixin:
    """Keeps one timer for each connection; one that fires too early is set again.

    aiohttp makes and cancels two timers for each request, which take 10 % of the time of a small call.
    """

    _loop: Any
    _read_timeout: float | None
    _on_read_timeout: Any
    _read_by: float | None = None
    _timer: Any = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancel the timer."""
        super().connection_lost(exc)  # type: ignore[misc]  # aiohttp's class comes next
        if self._timer is not None:
            self._timer.cancel()

    def _drop_timeout(self) -> None:
        self._read_by = None

    def _reschedule_timeout(self) -> None:
        if not self._read_timeout:
            self._read_by = None
            return
        self._read_by = by = self._loop.time() + self._read_timeout
        if self._timer is None or self._timer.when() > by:
            self._set_timer(by)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._read_by is None:
            return
        if self._read_by > self._loop.time():
            self._set_timer(self._read_by)
        else:
            self._on_read_timeout()


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
                connection = await super().connect(req, traces, timeout)
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

    return CleanConnector, ClosingConnector


class Exchanges:
    """Makes plain exchanges on a session's connections.

    Args:
        session: the session, for requests that go directly to their server.
        parts: what `find_parts` found.
        limit: the largest body, unpacked.
    """

    def __init__(self, session: aiohttp.ClientSession, parts: Parts, *, limit: int) -> None:
        import aiohttp

        self._aiohttp = aiohttp
        self._protocol_error: Any = _protocol_error()
        self._session = session
        self._limit = limit
        self._functions = OriginalFunctions(aiohttp.ClientSession, _PATCHED_BY_TRACERS) if parts.exchanges else None
        self._targets: dict[str, aiohttp.ClientRequest] = {}

    @property
    def may_be_made(self) -> bool:
        """Whether no tracer or test tool could distinguish an exchange from a request of the session."""
        return self._functions is not None and self._functions.unchanged and not self._session.trace_configs

    async def make(self, request: OutgoingRequest, timeout: aiohttp.ClientTimeout) -> tuple[Any, bytes]:
        """Send a plain request; return the head of its answer as aiohttp parsed it, and the body unpacked.

        Args:
            request: the request.
            timeout: the bounds on connecting and reading.

        Raises:
            BodyTooLargeError, UnpackError: see `bodies.collect`.
            Exception: those of aiohttp.
        """
        connection = await self._connect(request.origin, timeout)
        try:
            self._send(connection.protocol, request, timeout)
            head, content = await self._read_head(connection.protocol, request.origin)
        except BaseException:
            connection.close()
            raise
        try:
            return head, await read_content(content, head.code, head.headers, limit=self._limit)
        finally:
            if content.is_eof():
                connection.release()
            else:
                connection.close()  # the rest of the body is not read

    def _send(self, protocol: Any, request: OutgoingRequest, timeout: aiohttp.ClientTimeout) -> None:
        """Write a request to a connection, which is then ready for its answer."""
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=timeout.sock_read,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
        )
        transport = protocol.transport
        if transport is None or transport.is_closing():
            raise self._aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        transport.write(request.wire())
        protocol.start_timeout()

    async def _read_head(self, protocol: Any, origin: str) -> tuple[Any, Any]:
        """Return the head of an answer and the content that follows; interim answers are skipped (RFC 9110, 15.2)."""
        try:
            head, content = await protocol.read()
            while 100 <= head.code <= 199 and head.code != 101:
                head, content = await protocol.read()
        except self._protocol_error as error:
            info = self._target(origin).request_info
            raise self._aiohttp.ClientResponseError(
                info, (), status=error.code, message=error.message, headers=error.headers
            ) from error
        else:
            return head, content

    async def _connect(self, origin: str, timeout: aiohttp.ClientTimeout) -> Any:
        connector = self._session.connector
        if connector is None or self._session.closed:
            raise RuntimeError("Session is closed")
        try:
            return await connector.connect(self._target(origin), [], timeout)
        except TimeoutError as error:
            raise self._aiohttp.ConnectionTimeoutError(f"Connection timeout to host {origin}") from error
        except self._aiohttp.ClientError:
            raise
        except OSError as error:
            raise self._aiohttp.ClientOSError(*error.args) from error

    def _target(self, origin: str) -> aiohttp.ClientRequest:
        """Return a request that tells the connector the server to connect to."""
        target = self._targets.get(origin)
        if target is None:
            import asyncio

            from yarl import URL

            loop = asyncio.get_running_loop()
            target = self._aiohttp.ClientRequest("GET", URL(origin), loop=loop, session=self._session)
            self._targets[origin] = target
        return target


async def read_content(content: Any, status: int, headers: Any, *, limit: int) -> bytes:
    """Read the content of an answer to its end, and unpack it.

    Args:
        content: aiohttp's stream.
        status: the HTTP status.
        headers: the headers.
        limit: the largest size in bytes.
    """
    encoding = headers.get("Content-Encoding", "")
    if not encoding and content.is_eof() and getattr(content, "total_bytes", limit + 1) <= min(_SHORT, limit):
        body: bytes = content.read_nowait()
        return body
    length = headers.get("Content-Length")
    return await read_chunks(
        content.iter_any(),
        status=status,
        length=None if length is None else int(length),
        encoding=encoding,
        limit=limit,
    )
