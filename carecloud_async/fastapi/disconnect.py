"""Cancels the handler of a request when the browser has disconnected.

**How.** A disconnect is a message that `receive()` returns, so a task waits in it. gunicorn takes a `receive()` that
was cancelled for a disconnect, and hypercorn gives the message to one waiter only. Both work if that task waits
until the request ends where responses do not call `receive()` themselves (ASGI 2.4, as gunicorn: they notice a
disconnect by `send()`), and only as long as the handler runs where they do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeGuard

import anyio
from fastapi import Depends, HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.types import Message, Receive, Scope

from carecloud_async._base.runtime.task_groups import BackgroundTasks

#: nginx's "client closed request". The answer is not read; the status is for logs and metrics.
CLIENT_CLOSED_REQUEST = 499

_ONLY_READ = frozenset({"GET", "HEAD"})
_DISCONNECT = "http.disconnect"
#: The key of the scope under which the request's `HangUp` is found.
_KEY = "carecloud_async.hang_up"
#: From this version of ASGI on, responses do not call `receive()`.
_RESPONSES_ONLY_SEND = (2, 4)


class ClientDisconnectedError(HTTPException):
    """The browser disconnected before the answer; the handler was cancelled."""

    def __init__(self) -> None:
        super().__init__(CLIENT_CLOSED_REQUEST, detail="the client closed the request")


class HangUp:
    """The disconnect of one request's browser."""

    def __init__(self) -> None:
        self._happened = anyio.Event()

    async def receive(self) -> Message:
        """Wait for the disconnect; the `receive()` of what runs while a task listens for it."""
        await self._happened.wait()
        return {"type": _DISCONNECT}

    @asynccontextmanager
    async def cancels(self) -> AsyncIterator[None]:
        """Cancel the block when the browser disconnects.

        Raises:
            ClientDisconnectedError: the browser disconnected.
        """
        with anyio.CancelScope() as scope:
            async with BackgroundTasks() as background:
                background.start(self._cancel, scope)
                yield
        if scope.cancelled_caught:
            raise ClientDisconnectedError

    async def listen(self, receive: Receive) -> None:
        """Call `receive()` until the browser disconnects. The rest of the request's body is dropped."""
        while (await receive())["type"] != _DISCONNECT:
            pass
        self._happened.set()

    async def _cancel(self, scope: anyio.CancelScope) -> None:
        await self._happened.wait()
        scope.cancel()


@asynccontextmanager
async def listening(scope: Scope, receive: Receive) -> AsyncIterator[HangUp]:
    """Listen for the disconnect of a request's browser in the block; once, if blocks are nested."""
    hang_up: HangUp | None = scope.get(_KEY)
    if hang_up is not None:
        yield hang_up
        return
    hang_up = scope[_KEY] = HangUp()
    try:
        async with BackgroundTasks() as background:
            background.start(hang_up.listen, receive)
            yield hang_up
    finally:
        del scope[_KEY]


async def _listening_to_the_end(connection: HTTPConnection) -> AsyncIterator[None]:
    """Listen until the response is sent, where responses do not listen themselves."""
    version = connection.scope.get("asgi", {}).get("spec_version", "2.0")
    if not _only_reads(connection) or tuple(map(int, version.split("."))) < _RESPONSES_ONLY_SEND:
        yield
        return
    await _receive_body(connection)
    async with listening(connection.scope, connection.receive):
        yield


async def cancelled_by_hang_up(
    connection: HTTPConnection, _: None = Depends(_listening_to_the_end, scope="request")
) -> AsyncIterator[None]:
    """Cancel the handler when the browser disconnects, if the request only reads.

    Other methods run to their end: a write that was sent cannot be called back, and what the handler does after it,
    such as noting it down, must not be lost.
    """
    if not _only_reads(connection):
        yield
        return
    await _receive_body(connection)
    async with listening(connection.scope, connection.receive) as hang_up, hang_up.cancels():
        yield


async def _receive_body(request: Request) -> None:
    """Receive the body, which is empty: from here on the handler reads it from memory."""
    try:
        await request.body()
    except ClientDisconnect:  # before this dependency had its turn
        raise ClientDisconnectedError from None


def _only_reads(connection: HTTPConnection) -> TypeGuard[Request]:
    return isinstance(connection, Request) and connection.method in _ONLY_READ and not _has_body(connection)


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
