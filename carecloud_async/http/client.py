"""The one door to httpx and httpx2: which client sends, and whose it is.

Everything here binds to the family of the object it is given, never to what happens to be installed.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

import httpx
from attrs import define, field, frozen

from carecloud_async._version import __version__
from carecloud_async.errors import ConfigurationError
from carecloud_async.http.log_redaction import OURS
from carecloud_async.http.network import Verify, check_verify, choose_proxy
from carecloud_async.http.redaction import true_url_transport
from carecloud_async.http.transport import DefaultTransport
from carecloud_async.project import Project

FAMILIES = ("httpx", "httpx2")
USER_AGENT = f"carecloud-async/{__version__} python/{sys.version_info.major}.{sys.version_info.minor}"


def _seconds(_: Any, attribute: Any, value: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise ConfigurationError(f"Timeout: {attribute.name} must be a number of seconds greater than 0")


@frozen(kw_only=True)
class Timeout:
    """How long a call may take, in seconds.

    Attributes:
        connect: to make a connection.
        read: without a byte of the answer.
        total: for the whole call, logins and repeats included; the wait at the rate limiter does not count.
    """

    connect: float = field(default=5.0, validator=_seconds)
    read: float = field(default=30.0, validator=_seconds)
    total: float = field(default=120.0, validator=_seconds)

    @classmethod
    def of(cls, value: Timeout | float) -> Timeout:
        """Take a `Timeout`, or a number of seconds as the total."""
        if isinstance(value, Timeout):
            return value
        _seconds(None, _Named("total"), value)
        return cls(connect=min(5.0, value), read=min(30.0, value), total=float(value))


@frozen
class _Named:
    name: str


@define(eq=False)
class HttpClient:
    """An httpx or httpx2 client, and whose it is.

    Attributes:
        client: the `AsyncClient` that sends.
        family: the module it comes from.
        owned: whether the SDK made it, and closes it.
    """

    client: Any
    family: ModuleType
    owned: bool

    async def send(self, request: Any, *, auth: Any) -> Any:
        """Send a request and return the answer, read to its end (unless a user's hook closed it before)."""
        ours = OURS.set(True)
        try:
            return await self._send(request, auth)
        finally:
            OURS.reset(ours)

    async def _send(self, request: Any, auth: Any) -> Any:
        if self.owned:
            return await self.client.send(request, auth=auth, follow_redirects=False)
        try:
            response = await self.client.send(request, auth=auth, follow_redirects=False, stream=True)
        except self.family.HTTPStatusError as error:
            # Some give their clients a hook that calls raise_for_status. The answer is what counts.
            response = error.response
        try:
            for answer in (*response.history, response):
                self._forget_cookies(answer)
            if not response.is_closed:
                await response.aread()
        finally:
            await response.aclose()
        return response

    async def aclose(self) -> None:
        """Close the client, if it is ours."""
        if self.owned:
            await self.client.aclose()

    def _forget_cookies(self, response: Any) -> None:
        """Take an answer's cookies out of a jar that is not ours; our own jar refuses them."""
        if "set-cookie" in response.headers:
            jar = self.client.cookies.jar
            ours = {(cookie.domain, cookie.path, cookie.name) for cookie in response.cookies.jar}
            for cookie in list(jar):
                if (cookie.domain, cookie.path, cookie.name) in ours:
                    jar.clear(cookie.domain, cookie.path, cookie.name)


@lru_cache(maxsize=2)
def _client_class(family: ModuleType) -> Any:
    """Return the family's client without cookies: one pool serves many customers.

    An empty jar would do; but httpx translates every answer for it, which is a tenth of a small call.
    """

    class NoCookies(family.Cookies):  # type: ignore[name-defined,misc]
        def extract_cookies(self, response: Any) -> None:
            """Take nothing."""

    class CookielessClient(family.AsyncClient):  # type: ignore[name-defined,misc]
        @property
        def cookies(self) -> Any:
            """No cookies, and nothing to put any in."""
            return NoCookies()

    return CookielessClient


def build_http_client(
    project: Project,
    *,
    transport: Any | None,
    http_client: Any | None,
    max_connections: int,
    proxy: str | None,
    verify: Verify,
) -> HttpClient:
    """Make the client, or take the user's client as one.

    Raises:
        ConfigurationError: the client or transport is of no family this SDK knows, or a setting cannot work.
    """
    if http_client is not None:
        family = family_of(http_client, what="http_client", wanted="AsyncClient")
        return HttpClient(http_client, family, owned=False)
    if transport is not None:
        family = family_of(transport, what="transport", wanted="AsyncBaseTransport")
        inner = true_url_transport(family)(transport)
    else:
        family = httpx
        inner = _default_transport(project, max_connections=max_connections, proxy=proxy, verify=verify)
    return HttpClient(_client_class(family)(transport=inner, trust_env=False), family, owned=True)


def _default_transport(
    project: Project, *, max_connections: int, proxy: str | None, verify: Verify
) -> httpx.AsyncBaseTransport:
    check_verify(verify)
    proxy = choose_proxy(project.origin, proxy)
    # Reading the CA bundle takes milliseconds that a project on loopback need not pay.
    secure = project.origin.startswith("https://") or (proxy or "").startswith("https://")
    return DefaultTransport(max_connections=max_connections, verify=verify if secure else None, proxy=proxy)


def family_of(thing: Any, *, what: str, wanted: str) -> ModuleType:
    """Return the module, httpx or httpx2, that an object belongs to by its class.

    Raises:
        ConfigurationError: it belongs to neither, or is of the sync kind; the message says what to pass.
    """
    for cls in type(thing).__mro__:
        name = cls.__module__.partition(".")[0]
        if name in FAMILIES and cls.__name__ == wanted:
            return import_module(name)
    need = f"{what} must be an httpx.{wanted} or httpx2.{wanted} object"
    if isinstance(thing, type):
        raise ConfigurationError(f"{need}, not the class {thing.__name__}: make one, {thing.__name__}(…)")
    got = f"{type(thing).__module__.partition('.')[0]}.{type(thing).__name__}"
    raise ConfigurationError(f"{need}, not {got}: this SDK is async and speaks through those two libraries")
