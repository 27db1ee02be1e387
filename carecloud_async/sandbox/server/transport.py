"""The sandbox in process: an httpx or httpx2 transport that needs no socket, on asyncio and on trio."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import anyio

from carecloud_async.sandbox.server.app import SandboxApp
from carecloud_async.sandbox.server.fault_effects import ConnectionCutError


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
