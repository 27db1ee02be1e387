"""Exchanges: a plain request and its answer over a connection of aiohttp's pool, without a session's machinery.

`ClientSession.request` looks for redirects, cookies, proxies, credentials in URLs, traces, middlewares and bodies that
stream: half of what a small request costs. A plain request has none of them. The pool, TLS and the parser are aiohttp's
here as there, and so are the exceptions.
"""

from __future__ import annotations

from operator import attrgetter
from types import FunctionType
from typing import TYPE_CHECKING, Any

from carecloud_async.http.bodies import read_chunks
from carecloud_async.http.outgoing import OutgoingRequest

if TYPE_CHECKING:
    import aiohttp

#: The most bytes of a header: proxies and policies write long ones; aiohttp's bound of 8 KB would make a failure of an
#: answer.
LONGEST_HEADER = 64 * 1024
#: Bodies up to this size are read at once, in bytes.
_SHORT = 256 * 1024
#: What tracers and test tools patch; a patched one has to be called.
_PATCHED_BY_OTHERS = ("request", "_request")
_functions_of = attrgetter(*_PATCHED_BY_OTHERS)
#: The parts of aiohttp that an exchange needs and that its documentation does not promise.
_SETTINGS = {
    "read_until_eof", "auto_decompress", "read_timeout", "read_bufsize", "max_line_size", "max_field_size",
}  # fmt: skip
_PROTOCOL = ("start_timeout", "read", "should_close")
_CONNECT = ["self", "req", "traces", "timeout"]


class Exchanges:
    """Makes plain exchanges on a session's connections.

    Args:
        session: the session, for requests that go directly to their server.
        limit: the largest body, unpacked.
    """

    def __init__(self, session: aiohttp.ClientSession, *, limit: int) -> None:
        import aiohttp
        from aiohttp.http_exceptions import HttpProcessingError

        self._aiohttp = aiohttp
        self._broken_rules = HttpProcessingError
        self._session = session
        self._limit = limit
        is_known = _is_genuine(aiohttp.ClientSession) and has_known_parts()
        self._genuine = _functions_of(aiohttp.ClientSession) if is_known else None
        self._places: dict[str, aiohttp.ClientRequest] = {}

    @property
    def may_be_made(self) -> bool:
        """Whether nobody could tell an exchange from a request of the session."""
        return not self._session.trace_configs and _functions_of(self._aiohttp.ClientSession) == self._genuine

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
            head, content = await self._head(connection.protocol, request, timeout)
            content.on_eof(connection.release)
            body = await read_content(content, head.code, head.headers, limit=self._limit)
        except BaseException:
            connection.close()
            raise
        if content.at_eof():
            connection.release()
        else:
            connection.close()  # what is still to come is nobody's
        return head, body

    async def _head(self, protocol: Any, request: OutgoingRequest, timeout: aiohttp.ClientTimeout) -> tuple[Any, Any]:
        """Send the request and return the head of its answer and the content that follows."""
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
        try:
            head, content = await protocol.read()
            while 100 <= head.code <= 199 and head.code != 101:
                head, content = await protocol.read()
        except self._broken_rules as error:
            info = self._place(request.origin).request_info
            raise self._aiohttp.ClientResponseError(
                info, (), status=error.code, message=error.message, headers=error.headers
            ) from error
        return head, content

    async def _connect(self, origin: str, timeout: aiohttp.ClientTimeout) -> Any:
        connector = self._session.connector
        if connector is None or self._session.closed:
            raise RuntimeError("Session is closed")
        try:
            return await connector.connect(self._place(origin), [], timeout)
        except TimeoutError as error:
            raise self._aiohttp.ConnectionTimeoutError(f"Connection timeout to host {origin}") from error
        except self._aiohttp.ClientError:
            raise
        except OSError as error:
            raise self._aiohttp.ClientOSError(*error.args) from error

    def _place(self, origin: str) -> aiohttp.ClientRequest:
        """Return what tells the connector where to: a request to nothing but the server."""
        place = self._places.get(origin)
        if place is None:
            import asyncio

            from yarl import URL

            loop = asyncio.get_running_loop()
            place = self._aiohttp.ClientRequest("GET", URL(origin), loop=loop, session=self._session)
            self._places[origin] = place
        return place


async def read_content(content: Any, status: int, headers: Any, *, limit: int) -> bytes:
    """Read the content of an answer to its end, and unpack it.

    Args:
        content: aiohttp's stream.
        status: the HTTP status.
        headers: the headers.
        limit: the largest size in bytes.
    """
    encoding = headers.get("Content-Encoding", "")
    if not encoding and content.is_eof() and content.total_bytes <= min(_SHORT, limit):
        whole: bytes = content.read_nowait()
        return whole
    length = headers.get("Content-Length")
    return await read_chunks(
        content.iter_any(),
        status=status,
        length=None if length is None else int(length),
        encoding=encoding,
        limit=limit,
    )


def has_known_parts() -> bool:
    """Return whether aiohttp is inside as it was: where a release moved something, its session does the work."""
    import inspect

    from aiohttp import TCPConnector
    from aiohttp.client_proto import ResponseHandler

    try:
        settings = inspect.signature(ResponseHandler.set_response_params).parameters.keys()
        connect = [*inspect.signature(TCPConnector.connect).parameters]
    except (AttributeError, TypeError, ValueError):
        return False
    return settings >= _SETTINGS and connect == _CONNECT and all(hasattr(ResponseHandler, name) for name in _PROTOCOL)


def _is_genuine(session_class: Any) -> bool:
    """Return whether the functions are aiohttp's own: wrappers copy names, but have code of their own."""
    return all(
        type(function) is FunctionType and function.__code__.co_qualname == f"ClientSession.{name}"
        for name, function in zip(_PATCHED_BY_OTHERS, _functions_of(session_class), strict=True)
    )
