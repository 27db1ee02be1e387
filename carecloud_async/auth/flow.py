"""The httpx Auth flow: put the token on, and replay once with a new one after a 401."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import lru_cache
from types import ModuleType
from typing import Any

from carecloud_async.auth.manager import TokenManager
from carecloud_async.http.bodies import MAX_ERROR_BYTES, load

UNAUTHORIZED = 401
_SENT = "carecloud_sent"


class TokenFlow:
    """What `httpx.Auth` and `httpx2.Auth` have in common here; `flow_for` binds it to one of them.

    Args:
        family: httpx or httpx2, as the client is that runs it.
        manager: the identity's tokens.
    """

    requires_request_body = False
    requires_response_body = False

    def __init__(self, family: ModuleType, manager: TokenManager) -> None:
        self._family = family
        self._manager = manager

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Drive one request; see `httpx.Auth.async_auth_flow`."""
        token = self._manager.current() or await self._manager.get()
        request.headers["Authorization"] = f"Bearer {token.value}"
        mark_sent(request)
        response = yield request
        if response.status_code != UNAUTHORIZED or self._manager.renewal_is_useless(token):
            return
        # Unread, it would keep its connection through the whole renewal.
        await load(response, self._family, limit=MAX_ERROR_BYTES)
        del request.extensions[_SENT]  # a 401 did nothing
        token = await self._manager.get(rejected=token)
        request.headers["Authorization"] = f"Bearer {token.value}"
        mark_sent(request)
        response = yield request
        if response.status_code == UNAUTHORIZED:
            self._manager.refused_at_once(token)


def mark_sent(request: Any) -> None:
    """Note on the request that it is about to leave: from now on a lost answer may hide a done deed."""
    request.extensions[_SENT] = True


def was_sent(request: Any) -> bool:
    """Tell whether the request may have left."""
    return _SENT in request.extensions


def flow_for(family: ModuleType, manager: TokenManager) -> Any:
    """Return the flow as an `Auth` of the family (`httpx` or `httpx2`) of the client that will run it."""
    return _flow_class(family)(family, manager)


@lru_cache(maxsize=2)
def _flow_class(family: ModuleType) -> Any:
    return type("CareCloudAuth", (TokenFlow, family.Auth), {"__doc__": TokenFlow.__doc__})
