"""The ASGI app: reads a request, hands it to the pipeline, sends the answer, or cuts the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from carecloud_async.sandbox.api.answers import Answer
from carecloud_async.sandbox.api.routes import route_of
from carecloud_async.sandbox.server.fault_effects import ConnectionCutError
from carecloud_async.sandbox.server.pipeline import Pipeline
from carecloud_async.sandbox.server.recording import RecordedRequest

DISCONNECT: Final = "carecloud.sandbox.disconnect"
"""Extension in the ASGI scope: a function that closes the connection at once, where the server offers it."""


class SandboxApp:
    """The sandbox as an ASGI app; may be mounted in another one.

    Args:
        pipeline: Turns requests into answers.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of ASGI.

        Raises:
            ConnectionCutError: A fault cuts the connection, and the server gives no means to do it; the in-process
                transport then makes the client see what it would have seen.
        """
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
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


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
