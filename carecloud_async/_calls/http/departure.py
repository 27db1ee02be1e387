"""Departure: the moment at which a request is written to its connection, as the transport notes it.

Until then a write has had no effect, whatever happens, and a request that has grown too old is not written.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

#: The request's extension under which transports find its departure.
DEPARTURE = "carecloud_departure"

#: The event of httpcore and httpcore2 that comes when a connection is there, before the first byte is written.
_BEFORE_WRITING = ".send_request_headers.started"


class Departure:
    """Is called when a transport writes a request.

    Args:
        check: raises if the request is too old.

    Attributes:
        happened: whether the request may have been written.
        is_promised: whether the transport writes nothing before it has called this.
    """

    __slots__ = ("_check", "happened", "is_promised")

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self.happened: bool = False
        self.is_promised: bool = False

    def __call__(self) -> None:
        """Note that the request is written now.

        Raises:
            RequestTimeoutError: it is too old.
        """
        self._check()
        self.happened = True


def trace_departure(extensions: MutableMapping[str, Any]) -> None:
    """Let the pool of httpx or httpx2 note the departure of a request: it reports its steps to the extension `trace`.

    Args:
        extensions: those of the request.
    """
    departure: Departure | None = extensions.pop(DEPARTURE, None)
    if departure is None:
        return

    async def on_event(event: str, info: dict[str, Any]) -> None:
        # A request to a proxy that opens a tunnel comes before the request itself.
        if event.endswith(_BEFORE_WRITING) and getattr(info.get("request"), "method", b"") != b"CONNECT":
            departure()

    extensions["trace"] = on_event
