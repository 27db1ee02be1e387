"""Connections of aiohttp that hand out no stray bytes, end with their bodies, and look at the clock seldom."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

import httpx

if TYPE_CHECKING:
    import asyncio

#: How often a connection is thrown away because bytes wait on it that nobody asked for.
_MOST_UNSOUND = 100


@lru_cache(maxsize=1)
def handler_class() -> Any:
    """Return aiohttp's protocol, but a body that breaks off ends at once, and one timer serves a connection long."""
    from aiohttp import ClientPayloadError
    from aiohttp.client_proto import ResponseHandler

    class EndingHandler(ResponseHandler):
        _read_by: float | None = None

        def connection_lost(self, exc: BaseException | None) -> None:
            """Tell the reader of a body that it is over."""
            # aiohttp tells the reader of a body of nothing if it is the body that broke the rules of HTTP (a chunk
            # without a size), and stops the clock of its read timeout: it would wait until the end of the call's time.
            body, error = self._payload, self.exception()
            super().connection_lost(exc)
            if body is not None and not body.is_eof() and body.exception() is None:
                body.set_exception(ClientPayloadError("the body ends in error"), error or exc or EOFError())
            timer, self._read_timeout_handle = self._read_timeout_handle, None
            if timer is not None:
                timer.cancel()

        # aiohttp makes and cancels two timers for each request, which is a tenth of a small one. Here the timer stays
        # when a response has come, and where it finds that it is not yet time it is set anew.

        def _drop_timeout(self) -> None:
            self._read_by = None

        def _reschedule_timeout(self) -> None:
            seconds = self._read_timeout
            if not seconds:
                self._read_by = None
                return
            self._read_by = by = self._loop.time() + seconds
            timer = self._read_timeout_handle
            if timer is None or timer.when() > by:
                self._set_timer(by)

        def _set_timer(self, when: float) -> None:
            if self._read_timeout_handle is not None:
                self._read_timeout_handle.cancel()
            self._read_timeout_handle: asyncio.TimerHandle | None = self._loop.call_at(when, self._look_at_clock)

        def _look_at_clock(self) -> None:
            self._read_timeout_handle = None
            by = self._read_by
            if by is None:
                return
            if by > self._loop.time():
                self._set_timer(by)
            else:
                self._on_read_timeout()

    return EndingHandler


@lru_cache(maxsize=1)
def connector_class() -> Any:
    """Return aiohttp's connector, but one that never hands out a connection on which unread bytes wait.

    What a server sends behind a response would be read as the response to the next request on that connection, which
    may be another customer's (RFC 9112, 6.3: such bytes are not to be taken for a response).
    """
    import aiohttp

    handler = handler_class()

    class CleanConnector(aiohttp.TCPConnector):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._factory = cast("Any", partial(handler, loop=self._loop))

        async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
            """Return a connection that is at rest."""
            for _ in range(_MOST_UNSOUND):
                connection = await super().connect(req, traces, timeout)
                if connection.protocol is not None and not connection.protocol.should_close:
                    return connection
                connection.close()
            raise httpx.ConnectError("the server sends responses to requests that were not made")

        def __repr__(self) -> str:
            # aiohttp's warning about one that was never closed shows it.
            return "<connections of a CareCloud client: use `async with CareCloud(…) as client`, or await its aclose()>"

    return CleanConnector
