"""Departure: when a request may be written to its connection, as the rate limiter has it.

A transport awaits it as late as it can: once it holds a connection. A slot of the limit that was taken before the wait
for a connection would be old when the request leaves, and the old slots of many requests would be a burst.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

#: The request's extension under which transports find its departure.
DEPARTURE = "carecloud_departure"
#: A connection that was held without use for longer may be closed by its server at any moment (seconds).
MOST_HELD = 1.0

#: The event of httpcore and httpcore2 that comes when a connection is there, before the first byte is written.
_BEFORE_WRITING = "http11.send_request_headers.started"


class Departure:
    """Waits until one request may be written.

    Args:
        wait: waits for the request's turn; returns the seconds that it waited.

    Attributes:
        happened: whether the request may have been written.
        is_promised: whether the transport writes nothing before it has awaited this.
    """

    __slots__ = ("_wait", "happened", "is_promised")

    def __init__(self, wait: Callable[[], Awaitable[float]]) -> None:
        self._wait = wait
        self.happened: bool = False
        self.is_promised: bool = False

    async def __call__(self) -> float:
        """Wait for the turn, the first time; return the seconds that it waited.

        Raises:
            RateLimitError: the wait would be longer than the call allows.
        """
        if self.happened:
            return 0.0
        waited = await self._wait()
        self.happened = True
        return waited


class TracedDepartures:
    """The departures of requests that an httpx or httpx2 transport or client sends.

    The connection pools of both libraries report their steps to the request's `trace` extension, and wait for it. A
    user's own transport does not, and over HTTP/2 nothing may wait there: streams must be written in the order in which
    they were opened. Their requests depart before the transport is called. The first request shows which kind it is.
    """

    def __init__(self) -> None:
        self._reports = False

    async def begin(self, extensions: MutableMapping[str, Any]) -> None:
        """Begin to send a request: its pool is to wait for its departure, or it departs now.

        Args:
            extensions: those of the request.
        """
        departure: Departure | None = extensions.pop(DEPARTURE, None)
        if departure is not None:
            extensions["trace"] = _Trace(departure)
            if not self._reports:
                await departure()

    def end(self, extensions: MutableMapping[str, Any]) -> None:
        """End the sending of a request that was answered."""
        trace = extensions.pop("trace", None)
        if isinstance(trace, _Trace):
            self._reports = trace.reported


class HeldTooLongError(Exception):
    """A connection that was held for long is given up before anything is written to it: send the request again."""


class _Trace:
    """Waits for a departure when the pool reports that it is about to write the request.

    Attributes:
        reported: whether it did.
    """

    def __init__(self, departure: Departure) -> None:
        self._departure = departure
        self.reported = False

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        # A request to a proxy that opens a tunnel comes before the request itself.
        if event == _BEFORE_WRITING and getattr(info.get("request"), "method", b"") != b"CONNECT":
            self.reported = True
            if await self._departure() > MOST_HELD:
                raise HeldTooLongError
