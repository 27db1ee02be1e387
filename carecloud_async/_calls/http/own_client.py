"""The SDK's own client: it keeps no cookies, and calls its transport directly if no hook or log observes it.

httpx's `send` looks for redirects, cookies, hooks and a stream to close, and logs. This costs about 10 % of a small
call, and none of it applies here: our transports return whole responses, and no redirect is followed. Where the
difference could be observed (a hook, a log, a patched function), httpx sends the request.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterable
from functools import lru_cache
from operator import attrgetter
from types import FunctionType, ModuleType
from typing import Any

from carecloud_async._calls.http.bodies import drop_stream
from carecloud_async._calls.http.outgoing import OutgoingRequest
from carecloud_async._calls.http.redaction import sending

#: The functions of httpx's client that send a request have one of these in their names. Tracers and test tools patch
#: such functions, and a patched one must be called.
_IN_THEIR_NAMES = ("send", "transport")


class _SendingFunctions:
    """The functions of a client's class that send a request. Notices if a tracer or a test tool has patched one.

    Args:
        owner: the class.
        names: the names of the functions. With fewer than two, the library's release is an unknown one, and they count
            as patched.
    """

    def __init__(self, owner: type[Any], names: Iterable[str]) -> None:
        names = tuple(names)
        self._owner = owner
        self._read = attrgetter(*names)
        own = vars(owner)
        # A wrapper may copy a function's name, but its code object keeps a name of its own.
        are_own = len(names) > 1 and all(
            type(own.get(name)) is FunctionType and own[name].__code__.co_qualname == f"{owner.__name__}.{name}"
            for name in names
        )
        self._original: Any = self._read(owner) if are_own else None

    @property
    def unchanged(self) -> bool:
        """Whether all of them are the library's own, now and when this object was made."""
        return self._original is not None and bool(self._read(self._owner) == self._original)


@lru_cache(maxsize=2)
def own_client_class(http_library: ModuleType) -> Any:
    """Return the library's client without cookies: one pool serves many customers.

    An empty cookie jar would do, but httpx translates every response for it, which costs about 10 % of a small call.
    """
    log = logging.getLogger(http_library.__name__)
    names = _sending_names(http_library.AsyncClient)
    functions = _SendingFunctions(http_library.AsyncClient, names)

    class NoCookies(http_library.Cookies):  # type: ignore[name-defined,misc]
        def extract_cookies(self, response: Any) -> None:
            """Keep no cookie."""

    class OwnClient(http_library.AsyncClient):  # type: ignore[name-defined,misc]
        def __init__(self, transport: Any) -> None:
            super().__init__(transport=transport, trust_env=False)
            # The attribute's name is found by its value, so that a replaced transport is noticed in every release.
            self._transport_attribute = next((name for name, value in vars(self).items() if value is transport), "")
            self._own_transport = transport

        @property
        def cookies(self) -> Any:
            """A new empty jar each time: nothing is kept."""
            return NoCookies()

        def send_buffered(self, request: OutgoingRequest) -> Coroutine[Any, Any, Any]:
            """Send a request and return its response, read to its end; to be awaited."""
            send = getattr(self._own_transport, "send_outgoing", None)
            if send is None or self._is_watched():
                return self._send_watched(request.to_httpx())
            response: Coroutine[Any, Any, Any] = send(request)
            return response

        def send_in_time(self, request: OutgoingRequest, seconds: float) -> Coroutine[Any, Any, Any] | None:
            """Send a request by our own pool with a time limit; `None` if it is not ours, or is observed."""
            send = getattr(self._own_transport, "send_in_time", None)
            if send is None or self._is_watched():
                return None
            sending: Coroutine[Any, Any, Any] | None = send(request, seconds)
            return sending

        async def _send_watched(self, request: Any) -> Any:
            with sending():
                response = await self.send(request, auth=None, follow_redirects=False)
            drop_stream(response, http_library)
            return response

        def _is_watched(self) -> bool:
            """Return whether a hook, a log or a patch could notice how a request is sent."""
            hooks, own = self.event_hooks, vars(self)
            return bool(
                hooks["request"]
                or hooks["response"]
                or self.is_closed  # httpx raises the error
                or log.isEnabledFor(logging.INFO)
                or self._is_replaced()
                or not functions.unchanged
                or not names.isdisjoint(own)  # patched on this client alone
            )

        def _is_replaced(self) -> bool:
            """Return whether the transport was replaced or patched."""
            replaced = vars(self).get(self._transport_attribute) is not self._own_transport
            return replaced or "handle_async_request" in vars(self._own_transport)

    return OwnClient


def _sending_names(client_class: Any) -> frozenset[str]:
    """Return the names of the functions that send a request, in any release of httpx."""
    return frozenset(
        name
        for name, value in vars(client_class).items()
        if callable(value) and any(part in name for part in _IN_THEIR_NAMES)
    )
