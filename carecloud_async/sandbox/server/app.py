"""The ASGI app, and the transport that calls it in process."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from carecloud_async.sandbox.api.calls import Answer
from carecloud_async.sandbox.api.operations import route_of
from carecloud_async.sandbox.server.pipeline import ConnectionCutError, Pipeline
from carecloud_async.sandbox.server.recording import RecordedRequest

DISCONNECT: Final = "carecloud.sandbox.disconnect"
"""Extension in the ASGI scope: a function that closes the connection at once, where the server offers it."""


class Connections:
    """Connections of clients to the server.

    Attributes:
        now: Open now.
        most: Most that were open at once.
        total: Opened so far.
    """

    def __init__(self) -> None:
        self.now: int = 0
        self.most: int = 0
        self.total: int = 0

    def opened(self) -> None:
        """Count one more."""
        self.now += 1
        self.total += 1
        self.most = max(self.most, self.now)

    def closed(self) -> None:
        """Count one less."""
        self.now -= 1


class SandboxApp:
    """The sandbox as an ASGI app; may be mounted in another one.

    Args:
        pipeline: Turns requests into answers.

    Attributes:
        connections: Sockets of clients, counted by the server.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.connections: Connections = Connections()
        self._pipeline = pipeline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of ASGI.

        Raises:
            ConnectionCutError: A fault cuts the connection, and the server gives no means to do it; the in-process
                transport then makes the client see what it would have seen.
        """
        if scope["type"] == "lifespan":
            await Router().lifespan(scope, receive, send)  # nothing to start, nothing to stop
            return
        if scope["type"] != "http":
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
        app: The sandbox's app.
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
