"""CareCloudAuth: an identity's tokens for a program that keeps its own HTTP client."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any
from zoneinfo import ZoneInfo

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.auth.external import AnyAuth, ExternalClientAuth
from carecloud_async._calls.auth.provider import AuthProvider
from carecloud_async._calls.auth.stores import TokenStore
from carecloud_async._calls.http.transport import UnpooledTransport
from carecloud_async.client import CareCloud

__all__ = ["CareCloudAuth"]


class CareCloudAuth(AnyAuth):
    """An identity as an `httpx.Auth`, also of httpx2, for an `AsyncClient` of your own.

    ```python
    auth = CareCloudAuth("acme.crmcarecloud.com", identity)
    async with httpx.AsyncClient(auth=auth, base_url="https://acme.crmcarecloud.com") as http:
        answer = await http.get("/webservice/rest-api/enterprise-interface/v1.0/customers?count=1")
    ```
    The first request logs in. Tokens are renewed before their end, once for all requests under way, and a request is
    sent once more after a 401. Retries, rate limit and typed errors of answers are not part of it. A failed login
    raises a `CareCloudError` from the request. One `CareCloudAuth` belongs to one event loop.

    Logins do not go through the client that has this auth: each opens a connection of its own and closes it, so that
    there is nothing to close here. `client.auth` of a `CareCloud` shares that client's tokens and connections.

    Args:
        project_url: as for `CareCloud`. A request to any other origin is refused with `ConfigurationError`.
        identity: who calls.
        token_store: where tokens are kept, perhaps shared with a `CareCloud`; in memory if left out. The caller closes
            a store that holds connections.
        timezone: the project's zone, in which the server writes the end of a token.
        language: the `Accept-Language` of logins.
        allow_http: as for `CareCloud`.
        http_client: an `httpx.AsyncClient` or `httpx2.AsyncClient` to send logins through, for a proxy or certificates
            that are not the environment's. It stays the caller's to close.
        clock: the clock, for tests.

    Raises:
        ConfigurationError: a setting cannot work; the message says why.
    """

    def __init__(
        self,
        project_url: str,
        identity: AuthProvider,
        *,
        token_store: TokenStore | None = None,
        timezone: str | ZoneInfo = "Europe/Prague",
        language: str = "cs, en-gb;q=0.8",
        allow_http: bool = False,
        http_client: Any | None = None,
        clock: Clock | None = None,
    ) -> None:
        client = CareCloud(
            project_url,
            auth=identity,
            token_store=token_store,
            timezone=timezone,
            language=language,
            allow_http=allow_http,
            http_client=http_client,
            transport=UnpooledTransport() if http_client is None else None,
            clock=clock,
        )
        self._auth: ExternalClientAuth = client.auth

    def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Let an `AsyncClient` send one request; see `httpx.Auth.async_auth_flow`."""
        return self._auth.async_auth_flow(request)

    def sync_auth_flow(self, request: Any) -> Any:
        """Refuse a sync client; see `httpx.Auth.sync_auth_flow`."""
        return self._auth.sync_auth_flow(request)
