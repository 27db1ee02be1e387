"""The SDK's own client: no cookies, and the shortest way to its transport while nobody watches.

httpx's `send` looks for redirects, cookies, hooks and a stream to close, and logs. That is a tenth of a small call and
comes to nothing here: our transports return whole responses, no redirect is followed, and there is no jar. Where
somebody could tell the difference (a hook, a log, a patched function), requests take httpx's way.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from functools import lru_cache
from operator import attrgetter
from types import FunctionType, ModuleType
from typing import Any

from carecloud_async.http.bodies import untie
from carecloud_async.http.outgoing import OutgoingRequest

#: What tracers and test tools patch on the class or on a client; a patched one has to be called.
_PATCHED_BY_OTHERS = ("send", "_send_handling_auth", "_send_handling_redirects", "_send_single_request")
_functions_of = attrgetter(*_PATCHED_BY_OTHERS)
_PATCHED_HERE = frozenset(_PATCHED_BY_OTHERS)


@lru_cache(maxsize=2)
def own_client_class(family: ModuleType) -> Any:
    """Return the family's client without cookies: one pool serves many customers.

    An empty jar would do; but httpx translates every answer for it, which is a tenth of a small call.
    """
    log = logging.getLogger(family.__name__)
    genuine = _functions_of(family.AsyncClient) if _is_genuine(family) else None

    class NoCookies(family.Cookies):  # type: ignore[name-defined,misc]
        def extract_cookies(self, response: Any) -> None:
            """Take nothing."""

    class OwnClient(family.AsyncClient):  # type: ignore[name-defined,misc]
        @property
        def cookies(self) -> Any:
            """No cookies, and nothing to put any in."""
            return NoCookies()

        def send_buffered(self, request: OutgoingRequest) -> Coroutine[Any, Any, Any]:
            """Send a request and return its response, read to its end; to be awaited."""
            transport = self._transport_for_url(request.url) if self._mounts else self._transport
            send = getattr(transport, "send_outgoing", None)
            if send is None or self._is_watched() or "handle_async_request" in vars(transport):
                return self._send_watched(request.to_httpx())
            way: Coroutine[Any, Any, Any] = send(request)
            return way

        async def _send_watched(self, request: Any) -> Any:
            response = await self.send(request, auth=None, follow_redirects=False)
            untie(response, family)
            return response

        def _is_watched(self) -> bool:
            """Return whether somebody could tell by which way a request goes."""
            hooks = self._event_hooks
            return bool(
                hooks["request"]
                or hooks["response"]
                or self.is_closed
                or log.isEnabledFor(logging.INFO)
                or _functions_of(family.AsyncClient) != genuine
                or not _PATCHED_HERE.isdisjoint(self.__dict__)
            )

    return OwnClient


def _is_genuine(family: ModuleType) -> bool:
    """Return whether the functions are the family's own: wrappers copy names, but have code of their own."""
    return all(
        type(function) is FunctionType and function.__code__.co_qualname == f"AsyncClient.{name}"
        for name, function in zip(_PATCHED_BY_OTHERS, _functions_of(family.AsyncClient), strict=True)
    )
