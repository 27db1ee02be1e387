"""Cancels the handler of a request when the browser has disconnected."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.types import Receive

from carecloud_async.runtime.background_tasks import BackgroundTasks

#: nginx's "client closed request". The answer is not read; the status is for logs and metrics.
CLIENT_CLOSED_REQUEST = 499

_ONLY_READ = frozenset({"GET", "HEAD"})


class ClientDisconnectedError(HTTPException):
    """The browser disconnected before the answer; the handler was cancelled."""

    def __init__(self) -> None:
        super().__init__(CLIENT_CLOSED_REQUEST, detail="the client closed the request")


async def cancelled_by_hang_up(connection: HTTPConnection) -> AsyncIterator[None]:
    """Cancel the handler when the browser disconnects, if the request only reads.

    Other methods run to their end: a write that was sent cannot be called back, and what the handler does after it,
    such as noting it down, must not be lost.
    """
    if not isinstance(connection, Request) or connection.method not in _ONLY_READ or _has_body(connection):
        yield
        return
    await connection.body()  # empty, and received already; from here on the handler reads it from memory
    async with hang_up_cancels(connection.receive):
        yield


@asynccontextmanager
async def hang_up_cancels(receive: Receive) -> AsyncIterator[None]:
    """Cancel the block when the browser disconnects. The rest of the request's body is dropped.

    Raises:
        ClientDisconnectedError: the browser disconnected.
    """
    with anyio.CancelScope() as scope:
        async with BackgroundTasks() as background:
            background.start(_cancel_when_gone, receive, scope)
            yield
    if scope.cancelled_caught:
        raise ClientDisconnectedError


async def _cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
