"""HttpClient: the one place that calls httpx and httpx2; the SDK's own client, or the user's.

Everything here binds to the library of the object it is given, never to what happens to be installed.

httpx's `send` looks for redirects, cookies, hooks and a stream to close, and logs. This costs about 10 % of a small
call, and none of it applies to our transports: they return whole responses, and no redirect is followed. Where the
difference could be observed (a hook, a log, a patched function), httpx sends the request.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Coroutine
from functools import lru_cache
from importlib import import_module
from operator import attrgetter
from types import FunctionType, ModuleType
from typing import Any

import httpx
from attrs import field, frozen

from carecloud_async._base.project import Project
from carecloud_async._calls.http.destinations import handing_over
from carecloud_async._calls.http.network import Verify, check_verify, checks_certificates, choose_proxy
from carecloud_async._calls.http.outgoing import OutgoingRequest, trace_departure
from carecloud_async._calls.http.redaction import sending
from carecloud_async._calls.http.responses import MAX_RESPONSE_BYTES, drop_stream, load
from carecloud_async._calls.http.timeout import Permits, RunningCalls, Waiting
from carecloud_async._calls.http.transport import DefaultTransport, adapt_transport
from carecloud_async._version import __version__
from carecloud_async.errors import ConfigurationError

HTTP_LIBRARIES = ("httpx", "httpx2")
USER_AGENT = f"carecloud-async/{__version__} python/{sys.version_info.major}.{sys.version_info.minor}"
#: A product with or without its version (RFC 9110, 5.6.2 and 10.1.5).
_PRODUCT = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,80}(/[!#$%&'*+.^_`|~0-9A-Za-z-]{1,80})?")
#: The functions of httpx's client that send a request have one of these in their names. Tracers and test tools patch
#: such functions, and a patched one must be called.
_IN_THEIR_NAMES = ("send", "transport")


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
        permits: one for each connection of our pool, which a call takes before it sends; `None` where the transport or
            client is the user's, with a pool of unknown size.
        running: the calls under way.
    """

    client: Any
    http_library: ModuleType
    owned: bool
    user_agent: str
    max_response_bytes: int
    max_connections: int
    proxy: bool | None = None
    verified: bool | None = None
    permits: Permits | None = field(default=None, repr=False)
    running: RunningCalls = field(factory=RunningCalls, repr=False)

    def send(self, request: OutgoingRequest, seconds: float) -> Coroutine[Any, Any, Any]:
        """Send a request and return the response, read to its end (unless a user's hook closed it before).

        Args:
            request: the request.
            seconds: the longest time.

        Raises:
            OutOfTimeError: it took longer, or the client was closed.
            BodyTooLargeError: it is larger than `max_response_bytes`.
        """
        if self.owned and not self.client.is_watched():
            response: Coroutine[Any, Any, Any] = self.client.own_transport.send_outgoing(request, self.running, seconds)
            return response
        return self._send_by_library(request.to_httpx(self.http_library), seconds)

    async def _send_by_library(self, request: Any, seconds: float) -> Any:
        with Waiting(self.running, seconds), sending():
            if not self.owned:
                handing_over(f"//{request.url.netloc.decode()}")
                trace_departure(request.extensions)
            try:
                response = await self.client.send(request, auth=None, follow_redirects=False, stream=True)
            except self.http_library.HTTPStatusError as error:
                # A hook may call raise_for_status. The SDK needs the response itself.
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
    through_proxy = verified = None
    permits: Permits | None = None
    if http_client is not None:
        http_library = http_library_of(http_client, what="http_client", wanted="AsyncClient")
        running = RunningCalls(lambda: bool(http_client.is_closed))
        return HttpClient(
            http_client, http_library, False, user_agent, max_response_bytes, max_connections, running=running
        )
    running = RunningCalls()
    if transport is not None:
        http_library = http_library_of(transport, what="transport", wanted="AsyncBaseTransport")
        inner = adapt_transport(http_library, transport, max_response_bytes=max_response_bytes)
    else:
        http_library = httpx
        check_verify(verify)
        proxy = choose_proxy(project.origin, proxy)
        through_proxy, verified = proxy is not None, checks_certificates(verify)
        # Reading the CA bundle takes milliseconds that a project on loopback need not pay.
        secure = project.origin.startswith("https://") or (proxy or "").startswith("https://")
        inner = DefaultTransport(
            max_connections=max_connections,
            verify=verify if secure else None,
            proxy=proxy,
            max_response_bytes=max_response_bytes,
        )
        permits = inner.permits
    return HttpClient(
        _own_client_class(http_library)(inner, running),
        http_library,
        True,
        user_agent,
        max_response_bytes,
        max_connections,
        through_proxy,
        verified,
        permits,
        running,
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


def _watched_functions(owner: type[Any]) -> Callable[[], bool]:
    """Return a function that tells whether a tracer or a test tool has patched a function of a class that sends.

    With fewer than two such functions, the library's release is an unknown one, and they count as patched.
    """
    own = vars(owner)
    names = [name for name in own if callable(own[name]) and any(part in name for part in _IN_THEIR_NAMES)]
    # A wrapper may copy a function's name, but its code object keeps a name of its own.
    are_own = len(names) > 1 and all(
        type(own[name]) is FunctionType and own[name].__code__.co_qualname == f"{owner.__name__}.{name}"
        for name in names
    )
    if not are_own:
        return lambda: True
    read = attrgetter(*names)
    original = read(owner)
    return lambda: bool(read(owner) != original)


@lru_cache(maxsize=2)
def _own_client_class(http_library: ModuleType) -> Any:
    """Return the library's client without cookies: one pool serves many customers.

    An empty cookie jar would do, but httpx translates every response for it, which costs about 10 % of a small call.
    """
    log = logging.getLogger(http_library.__name__)
    is_patched = _watched_functions(http_library.AsyncClient)

    class NoCookies(http_library.Cookies):  # type: ignore[name-defined,misc]
        def extract_cookies(self, response: Any) -> None:
            """Keep no cookie."""

    class OwnClient(http_library.AsyncClient):  # type: ignore[name-defined,misc]
        def __init__(self, transport: Any, running: RunningCalls) -> None:
            super().__init__(transport=transport, trust_env=False)
            self._calls_under_way = running
            # The attribute's name is found by its value, so that a replaced transport is noticed in every release.
            self._transport_attribute = next((name for name, value in vars(self).items() if value is transport), "")
            self.own_transport = transport
            self._attributes = len(vars(self)) + 1

        @property
        def cookies(self) -> Any:
            """A new empty jar each time: nothing is kept."""
            return NoCookies()

        async def aclose(self) -> None:
            """End the calls under way first: a user's transport may leave those waiting that read a body."""
            self._calls_under_way.end_waits()
            await super().aclose()

        def is_watched(self) -> bool:
            """Return whether a hook, a log or a patch could notice how a request is sent."""
            hooks, own = self.event_hooks, vars(self)
            return bool(
                hooks["request"]
                or hooks["response"]
                or self.is_closed  # httpx raises the error
                or log.isEnabledFor(logging.INFO)
                or own.get(self._transport_attribute) is not self.own_transport  # replaced
                or "handle_async_request" in vars(self.own_transport)
                or is_patched()
                or len(own) != self._attributes  # patched on this client alone
            )

    return OwnClient
