"""How a call carries its token: put it on, and after a 401 replay the call once with a new one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import lru_cache
from types import ModuleType
from typing import Any, TypeVar

from carecloud_async.auth.manager import TokenManager
from carecloud_async.auth.token import Token
from carecloud_async.auth.token_watch import TokenWatch, watch_of
from carecloud_async.errors import AuthenticationError, ConfigurationError
from carecloud_async.http.bodies import MAX_ERROR_BYTES, load
from carecloud_async.http.outgoing import OutgoingRequest

T = TypeVar("T")

UNAUTHORIZED = 401
_SENT = "carecloud_sent"


class TokenUse:
    """The tokens of one call: the identity's current one and, after a 401 that a renewal may cure, a new one, once.

    Args:
        manager: the identity's tokens.
        watch: told of what the call waits for, if somebody observes it.
    """

    __slots__ = ("_manager", "_replayed", "_token", "watch")

    def __init__(self, manager: TokenManager, watch: TokenWatch | None = None) -> None:
        self._manager = manager
        self.watch: TokenWatch | None = watch
        self._replayed = False

    async def first(self) -> Token:
        """Return the token of the first attempt."""
        self._token = self._manager.current() or await self._manager.get(watch=self.watch)
        return self._token

    def may_replay(self, operation: str) -> bool:
        """Return whether a 401 is worth a renewal and a second attempt; a second one is noted and is not.

        Args:
            operation: the method and path template of the call.
        """
        if self._replayed:
            self._manager.on_fresh_token_refused(self._token, operation)
            return False
        return not self._manager.renewal_is_useless(self._token, operation)

    async def renew(self) -> Token:
        """Return the token of the second attempt."""
        self._replayed = True
        self._token = await self._manager.get(rejected=self._token, watch=self.watch)
        return self._token


class TokenFlow:
    """The common part of `httpx.Auth` and `httpx2.Auth` here; `flow_for` binds it to one of them.

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
        """Let httpx drive one request; see `httpx.Auth.async_auth_flow`."""
        await self._check(request)
        use = TokenUse(self._manager, watch_of(request))
        token: Token | None = await use.first()
        while token is not None:
            request.headers["Authorization"] = f"Bearer {token.value}"
            mark_sent(request)
            response = yield request
            if self._is_accepted(request, response):
                return
            token = await self._renewed(use, request, response)

    async def drive(self, request: OutgoingRequest, send: Callable[[OutgoingRequest], Awaitable[Any]]) -> Any:
        """Drive one request without httpx's machinery.

        Args:
            request: the request.
            send: sends it and returns its whole response.
        """
        use = TokenUse(self._manager, watch_of(request))
        token = await use.first()
        while True:
            request.authorize(token.value)
            mark_sent(request)
            response = await send(request)
            if self._is_accepted(request, response):
                return response
            renewed = await self._renewed(use, request, response)
            if renewed is None:
                return response
            token = renewed

    def _is_accepted(self, request: Any, response: Any) -> bool:
        """Return whether the server took the token, and note it if so."""
        accepted: bool = response.status_code != UNAUTHORIZED
        if accepted:
            self._manager.on_accepted(lambda: self._operation_of(request))
        return accepted

    async def _renewed(self, use: TokenUse, request: Any, response: Any) -> Token | None:
        """Return the token to send a refused request again with, or `None` if the refusal is what counts."""
        if not use.may_replay(self._operation_of(request)):
            return None
        # Unread, it would keep its connection through the whole renewal.
        await load(response, self._family, limit=MAX_ERROR_BYTES)
        del request.extensions[_SENT]  # a 401 did nothing
        token = await use.renew()
        if use.watch is not None:
            use.watch.resent(request.headers)
        return token

    async def _check(self, request: Any) -> None:
        """Raise if the request may not carry the token."""

    def _operation_of(self, request: Any) -> str:
        # The URL of a request of the SDK prints as its path template.
        return f"{request.method} {request.url}"


class GuestFlow(TokenFlow):
    """The flow for a user's own client, whose requests may go anywhere: the token goes to the project only.

    Args:
        family: httpx or httpx2, as the client is that runs it.
        manager: the identity's tokens.
        origin: the project's scheme, host and port.
        check: raises if the CareCloud client is closed or belongs to another event loop.
    """

    def __init__(self, family: ModuleType, manager: TokenManager, *, origin: str, check: Callable[[], None]) -> None:
        super().__init__(family, manager)
        self._origin = origin
        self._at = _authority(family.URL(origin))
        self._check_client = check

    def sync_auth_flow(self, request: Any) -> Any:  # noqa: ARG002  (the name is the family's)
        """Refuse a sync client; see `httpx.Auth.sync_auth_flow`.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError("client.auth is async: give it to an AsyncClient")

    async def _check(self, request: Any) -> None:
        if _authority(request.url) != self._at:
            raise ConfigurationError(
                f"client.auth sends its token to {self._origin} only: use another client for other addresses"
            )
        self._check_client()
        await request.aread()  # a body that streams could not be sent again

    def _operation_of(self, request: Any) -> str:
        return f"{request.method} of a client of your own"  # its URL may hold a token


def _authority(url: Any) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def guest_flow_for(family: ModuleType, manager: TokenManager, *, origin: str, check: Callable[[], None]) -> Any:
    """Return the flow for a user's own client of a family; see `GuestFlow`."""
    return _flow_class(family, GuestFlow)(family, manager, origin=origin, check=check)


async def call_with_token(manager: TokenManager, operation: str, call: Callable[[Token], Awaitable[T]]) -> T:
    """Make a call whose path or body holds the token, which no auth flow can exchange; see `TokenUse`.

    Args:
        manager: the identity's tokens.
        operation: the method and path template of the call.
        call: makes the call with a token, outside of the auth flow.

    Raises:
        AuthenticationError: the server refused the token, and a new one too or none could help.
    """
    use = TokenUse(manager)
    token = await use.first()
    while True:
        try:
            result = await call(token)
        except AuthenticationError as error:
            if error.status != UNAUTHORIZED or not use.may_replay(operation):
                raise
        else:
            manager.on_accepted(lambda: operation)
            return result
        token = await use.renew()


def mark_sent(request: Any) -> None:
    """Note on the request that it is about to leave.

    From here on, a missing response may mean that the write succeeded.
    """
    request.extensions[_SENT] = True


def was_sent(request: Any) -> bool:
    """Return whether the request may have left."""
    return _SENT in request.extensions


def flow_for(family: ModuleType, manager: TokenManager) -> Any:
    """Return the flow as an `Auth` of the family (`httpx` or `httpx2`) of the client that will run it."""
    return _flow_class(family, TokenFlow)(family, manager)


@lru_cache(maxsize=4)
def _flow_class(family: ModuleType, flow: type[TokenFlow]) -> Any:
    return type("CareCloudAuth", (flow, family.Auth), {"__doc__": flow.__doc__})
