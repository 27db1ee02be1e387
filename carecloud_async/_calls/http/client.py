"""HttpClient: the one place that calls httpx and httpx2.

Everything here binds to the library of the object it is given, never to what happens to be installed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Coroutine
from importlib import import_module
from types import ModuleType
from typing import Any

import anyio
import httpx
from attrs import field, frozen

from carecloud_async._base.project import Project
from carecloud_async._calls.http.adapter import adapt_transport
from carecloud_async._calls.http.bodies import MAX_RESPONSE_BYTES, drop_stream, load
from carecloud_async._calls.http.destinations import handing_over
from carecloud_async._calls.http.network import Verify, check_verify, checks_certificates, choose_proxy
from carecloud_async._calls.http.outgoing import OutgoingRequest, trace_departure
from carecloud_async._calls.http.own_client import own_client_class
from carecloud_async._calls.http.redaction import sending
from carecloud_async._calls.http.transport import DefaultTransport
from carecloud_async._version import __version__
from carecloud_async.errors import ConfigurationError

HTTP_LIBRARIES = ("httpx", "httpx2")
USER_AGENT = f"carecloud-async/{__version__} python/{sys.version_info.major}.{sys.version_info.minor}"
#: A product with or without its version (RFC 9110, 5.6.2 and 10.1.5).
_PRODUCT = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,80}(/[!#$%&'*+.^_`|~0-9A-Za-z-]{1,80})?")


@frozen(eq=False)
class HttpClient:
    """An httpx or httpx2 client, and whose it is.

    Attributes:
        client: the `AsyncClient` that sends.
        http_library: the module it comes from.
        owned: whether the SDK made it, and closes it.
        user_agent: the `User-Agent` of the SDK's requests.
        max_response_bytes: the largest response, unpacked.
        max_connections: the size of the pool. That of a user's client is unknown; the SDK's setting stands for it.
        proxy: whether requests go through a proxy; `None` where the transport or client is the user's.
        verified: whether certificates are checked; `None` as above.
        permits: for calls under way, one for each connection of our pool; `None` where the transport or client is the
            user's, with a pool of unknown size.
    """

    client: Any
    http_library: ModuleType
    owned: bool
    user_agent: str
    max_response_bytes: int
    max_connections: int
    proxy: bool | None = None
    verified: bool | None = None
    permits: anyio.Semaphore | None = field(default=None, repr=False)

    def send(self, request: OutgoingRequest) -> Coroutine[Any, Any, Any]:
        """Send a request and return the response, read to its end (unless a user's hook closed it before).

        Raises:
            BodyTooLargeError: it is larger than `max_response_bytes`.
        """
        if self.owned:
            response: Coroutine[Any, Any, Any] = self.client.send_buffered(request)
            return response
        return self._send_through_users(request.to_httpx())

    def send_in_time(self, request: OutgoingRequest, seconds: float) -> Coroutine[Any, Any, Any] | None:
        """Send a request with a time limit in the connection itself, if our own pool sends it and no hook observes it.

        Args:
            request: the request.
            seconds: the time, after which it raises an `OutOfTimeError`.

        Returns:
            What is to be awaited, or `None` if the request has to be sent in another way.
        """
        if not self.owned:
            return None
        sending: Coroutine[Any, Any, Any] | None = self.client.send_in_time(request, seconds)
        return sending

    async def _send_through_users(self, request: Any) -> Any:
        handing_over(f"//{request.url.netloc.decode()}")
        with sending():
            trace_departure(request.extensions)
            try:
                response = await self.client.send(request, auth=None, follow_redirects=False, stream=True)
            except self.http_library.HTTPStatusError as error:
                # A user's client may have a hook that calls raise_for_status. The SDK needs the response itself.
                response = error.response
            try:
                self._forget_cookies(response)
                await load(response, self.http_library, limit=self.max_response_bytes)
            finally:
                await response.aclose()
            drop_stream(response, self.http_library)
            return response

    async def aclose(self) -> None:
        """Close the client, if it is ours."""
        if self.owned:
            await self.client.aclose()

    def _forget_cookies(self, response: Any) -> None:
        """Remove a response's cookies from the jar of a user's client; the SDK's own client keeps none."""
        if "set-cookie" in response.headers:
            jar = self.client.cookies.jar
            ours = {(cookie.domain, cookie.path, cookie.name) for cookie in response.cookies.jar}
            for cookie in list(jar):
                if (cookie.domain, cookie.path, cookie.name) in ours:
                    jar.clear(cookie.domain, cookie.path, cookie.name)


def build_http_client(
    project: Project,
    *,
    transport: Any | None,
    http_client: Any | None,
    max_connections: int,
    proxy: str | None,
    verify: Verify,
    max_response_bytes: int = MAX_RESPONSE_BYTES,
    app_name: str | None = None,
) -> HttpClient:
    """Return the SDK's own client, or the user's client as one.

    Raises:
        ConfigurationError: the client or transport is of neither httpx nor httpx2, or a setting cannot work.
    """
    user_agent = _user_agent(app_name)
    through_proxy = verified = permits = None
    if http_client is not None:
        http_library = http_library_of(http_client, what="http_client", wanted="AsyncClient")
        return HttpClient(http_client, http_library, False, user_agent, max_response_bytes, max_connections)
    if transport is not None:
        http_library = http_library_of(transport, what="transport", wanted="AsyncBaseTransport")
        inner = adapt_transport(http_library, transport, max_response_bytes=max_response_bytes)
    else:
        http_library = httpx
        check_verify(verify)
        proxy = choose_proxy(project.origin, proxy)
        through_proxy, verified = proxy is not None, checks_certificates(verify)
        permits = anyio.Semaphore(max_connections, fast_acquire=True)
        # Reading the CA bundle takes milliseconds that a project on loopback need not pay.
        secure = project.origin.startswith("https://") or (proxy or "").startswith("https://")
        inner = DefaultTransport(
            max_connections=max_connections,
            verify=verify if secure else None,
            proxy=proxy,
            max_response_bytes=max_response_bytes,
        )
    client = own_client_class(http_library)(inner)
    return HttpClient(
        client, http_library, True, user_agent, max_response_bytes, max_connections, through_proxy, verified, permits
    )


def _user_agent(app_name: str | None) -> str:
    """Return the `User-Agent`, the application's product after the SDK's (RFC 9110, 10.1.5)."""
    if app_name is None:
        return USER_AGENT
    if not isinstance(app_name, str) or not _PRODUCT.fullmatch(app_name):
        raise ConfigurationError(
            'app_name must be a product name in ASCII, with or without its version, such as "acme-portal/2.1"'
        )
    return f"{USER_AGENT} {app_name}"


def http_library_of(thing: Any, *, what: str, wanted: str) -> ModuleType:
    """Return the module, httpx or httpx2, that an object belongs to by its class.

    Raises:
        ConfigurationError: it belongs to neither, or is of the sync kind; the message says what to pass.
    """
    for cls in type(thing).__mro__:
        name = cls.__module__.partition(".")[0]
        if name in HTTP_LIBRARIES and cls.__name__ == wanted:
            return import_module(name)
    need = f"{what} must be an httpx.{wanted} or httpx2.{wanted} object"
    if isinstance(thing, type):
        raise ConfigurationError(f"{need}, not the class {thing.__name__}: make one, {thing.__name__}(…)")
    got = f"{type(thing).__module__.partition('.')[0]}.{type(thing).__name__}"
    raise ConfigurationError(f"{need}, not {got}: only async httpx and httpx2 clients are supported")
