"""The ASGI app, the transport that calls it in process, and uvicorn on a socket."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import anyio
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from carecloud_async.sandbox.api.calls import Answer
from carecloud_async.sandbox.api.operations import route_of
from carecloud_async.sandbox.server.pipeline import ConnectionCutError, Pipeline
from carecloud_async.sandbox.server.recording import RecordedRequest

#: Extension in the ASGI scope: a function that closes the connection at once, where the server offers it.
DISCONNECT: Final = "carecloud.sandbox.disconnect"


class Connections:
    """Connections of clients to the server.

    Attributes:
        now: open now.
        most: most that were open at once.
        total: opened so far.
    """

    def __init__(self) -> None:
        self.now: int = 0
        self.most: int = 0
        self.total: int = 0


class SandboxApp:
    """The sandbox as an ASGI app; may be mounted in another one.

    Args:
        pipeline: turns requests into answers.

    Attributes:
        connections: sockets of clients, counted by the server.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.connections: Connections = Connections()
        self._pipeline = pipeline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of ASGI.

        Raises:
            ConnectionCutError: a fault cuts the connection, and the server gives no means to do it; the in-process
                transport then makes the client see what it would have seen.
        """
        if scope["type"] != "http":  # a server takes this as: there is nothing to start and nothing to stop
            raise ValueError("the sandbox speaks HTTP only")
        try:
            request = await _received(Request(scope, receive))
        except ClientDisconnect:
            return
        try:
            answer = await self._pipeline.answer(request)
        except ConnectionCutError as cut:
            await _cut(cut, scope, receive, send)
            return
        await _response(answer)(scope, receive, send)


def in_process(app: SandboxApp, *, family: str) -> Any:
    """Make a transport that calls the app instead of a server; a cut connection raises as in httpx.

    Args:
        app: the sandbox's app.
        family: `httpx` or `httpx2`, imported only now. Its transport raises `RemoteProtocolError` where a fault cut the
            connection and `ReadTimeout` where the answer took longer than the client waits.
    """
    module = import_module(family)

    class InProcessTransport(module.AsyncBaseTransport):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self._inner = module.ASGITransport(app=app)

        async def handle_async_request(self, request: Any) -> Any:
            try:
                # httpx leaves time limits to the transport. Here the whole answer counts as one read; and unlike a real
                # server the sandbox stops when the client gives up: a request delayed past the limit does no work.
                with anyio.fail_after((request.extensions.get("timeout") or {}).get("read")):
                    return await self._inner.handle_async_request(request)
            except ConnectionCutError as cut:
                message = (
                    "Server disconnected without sending a response."
                    if cut.answer is None
                    else "peer closed connection without sending complete message body"
                )
                raise module.RemoteProtocolError(message, request=request) from None
            except TimeoutError:
                raise module.ReadTimeout("The read operation timed out", request=request) from None

    return InProcessTransport()


async def _received(request: Request) -> RecordedRequest:
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return RecordedRequest(
        method=request.method,
        route=route_of(path),
        path=path,
        query=tuple(request.query_params.multi_items()),
        headers=dict(request.headers.items()),
        body=await request.body(),
    )


def _response(answer: Answer) -> Response:
    response = Response(answer.body, status_code=answer.status, media_type=answer.content_type)
    for name, value in answer.headers:
        response.headers.append(name, value)
    return response


async def _cut(cut: ConnectionCutError, scope: Scope, receive: Receive, send: Send) -> None:
    disconnect: Callable[[], None] | None = (scope.get("extensions") or {}).get(DISCONNECT)
    if disconnect is None:
        raise cut
    if cut.answer is not None:
        half = _response(cut.answer)
        await send({"type": "http.response.start", "status": half.status_code, "headers": half.raw_headers})
        await send(
            {"type": "http.response.body", "body": cut.answer.body[: len(cut.answer.body) // 2], "more_body": True}
        )
    disconnect()
    # The server would answer with a 500 if this returned before it noticed that the connection is closed.
    while (await receive())["type"] != "http.disconnect":
        pass


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; clients may connect at once, and wait until the server is there.

    Raises:
        OSError: the address is not available.
    """
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # Connections inherit it. asyncio sets it only for sockets whose protocol number says TCP, and `create_server` makes
    # others. Without it the body waits for the client to acknowledge the head: some 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """The base URL of a listening socket on this machine, such as `http://127.0.0.1:49321`."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host.partition("%")[0]).is_unspecified:  # it listens everywhere; no client calls that
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_for(app: SandboxApp, *, host: str, port: int) -> uvicorn.Server:
    """A server that listens nowhere yet.

    Args:
        app: the sandbox's app.
        host: name or address to listen on.
        port: port to listen on.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=ClosableProtocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        # The app's own `Date` follows the sandbox's clock.
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
    )
    return uvicorn.Server(config)


@contextmanager
def serving_in_thread(app: SandboxApp, *, host: str, port: int) -> Iterator[str]:
    """Serve from another thread while the block runs.

    Args:
        app: the sandbox's app.
        host: address to listen on.
        port: port to listen on; 0 chooses a free one.

    Yields:
        The base URL.
    """
    listener = listening(host, port)
    server = server_for(app, host=host, port=port)
    thread = threading.Thread(target=server.run, args=([listener],), name="carecloud-sandbox", daemon=True)
    thread.start()
    try:
        while thread.is_alive() and not server.started:
            time.sleep(0.001)
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


class ClosableProtocol(H11Protocol):
    """Counts its connection, and gives the app a function that closes it.

    Args:
        config: of the server, whose app is a `SandboxApp`.
        *args: see uvicorn.
        **options: see uvicorn.
    """

    def __init__(self, config: uvicorn.Config, *args: Any, **options: Any) -> None:
        super().__init__(config, *args, **options)
        self._connections: Connections = config.app.connections  # type: ignore[union-attr]
        serve = self.app

        async def with_disconnect(scope: Any, receive: Any, send: Any) -> None:
            # Closing flushes first: half an answer is to arrive as half.
            scope.setdefault("extensions", {})[DISCONNECT] = self.transport.close
            await serve(scope, receive, send)

        self.app = with_disconnect

    def connection_made(self, transport: Any) -> None:
        """See uvicorn."""
        counted = self._connections
        counted.now, counted.total = counted.now + 1, counted.total + 1
        counted.most = max(counted.most, counted.now)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See uvicorn."""
        self._connections.now -= 1
        super().connection_lost(exc)
