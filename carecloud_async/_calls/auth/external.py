"""ExternalClientAuth: an identity's tokens for a user's own HTTP client, which may be of httpx or httpx2."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import httpx

from carecloud_async._base.codec.answers import refusal
from carecloud_async._calls.auth.tokens import UNAUTHORIZED, Tokens
from carecloud_async.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx2

    class AnyAuth(httpx.Auth, httpx2.Auth):  # type: ignore[misc]  # each flow takes requests of its own library
        """The `Auth` of every HTTP library that is installed."""

else:
    _libraries = [import_module(name) for name in ("httpx", "httpx2") if find_spec(name) is not None]
    AnyAuth = type(
        "AnyAuth",
        tuple(library.Auth for library in _libraries),
        {"__doc__": "The `Auth` of every HTTP library that is installed."},
    )


def authority(url: Any) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL, as text or as an object of httpx or httpx2."""
    parts = httpx.URL(url) if isinstance(url, str) else url
    return parts.scheme, parts.host, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class ExternalClientAuth(AnyAuth):
    """Sends requests with the identity's token, to the project only, and after a 401 once more with another token.

    Args:
        tokens: the identity's tokens.
        origin: the project's scheme, host and port.
        check: raises if the logins cannot be sent: their client is closed or belongs to another event loop.
    """

    def __init__(self, tokens: Tokens, *, origin: str, check: Callable[[], None]) -> None:
        self._tokens = tokens
        self._origin = origin
        self._authority = authority(origin)
        self._check_client = check

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Let httpx send one request; see `httpx.Auth.async_auth_flow`."""
        if authority(request.url) != self._authority:
            raise ConfigurationError(
                f"this auth sends its token to {self._origin} only: use another client for other addresses"
            )
        self._check_client()
        await request.aread()  # a streamed body cannot be sent again
        tokens = self._tokens
        token, replayed = tokens.current() or await tokens.get(), False
        while True:
            request.headers["Authorization"] = f"Bearer {token.value}"
            response = yield request
            if response.status_code != UNAUTHORIZED:  # its body is the user's, and may be a stream
                return
            # An unread response would keep its connection during the whole renewal. `aread` also decompresses it.
            await response.aread()
            if refusal(response.content) is None:
                return
            new_token = await tokens.after_401(token, replayed=replayed)
            if new_token is None:
                return
            token, replayed = new_token, True

    def sync_auth_flow(self, request: Any) -> Any:  # noqa: ARG002  (the name is the library's)
        """Refuse a sync client; see `httpx.Auth.sync_auth_flow`.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError("this auth is async: give it to an AsyncClient")
