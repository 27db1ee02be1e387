"""The one door to httpx and httpx2: clients, requests, and what their exceptions mean.

Everything here binds to the family of the object it is given, never to what happens to be installed.
"""

from __future__ import annotations

import ssl
import sys
import urllib.request
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib import import_module
from types import ModuleType
from typing import Any

import httpx
from attrs import define, field, frozen

from carecloud_async._version import __version__
from carecloud_async.aio import DefaultTransport
from carecloud_async.errors import ConfigurationError
from carecloud_async.project import Project
from carecloud_async.retry import Trouble

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
        total: for the whole call, logins and repeats included; the wait at the rate gate does not count.
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
class Door:
    """An httpx or httpx2 client, and whose it is.

    Attributes:
        client: the `AsyncClient` that sends.
        family: the module it comes from.
        owned: whether the SDK made it, and closes it.
    """

    client: Any
    family: ModuleType
    owned: bool

    async def aclose(self) -> None:
        """Close the client, if it is ours."""
        if self.owned:
            await self.client.aclose()

    def forget_cookies(self, response: Any) -> None:
        """Take an answer's cookies out of a jar that is not ours; our own jar refuses them."""
        if not self.owned and "set-cookie" in response.headers:
            jar = self.client.cookies.jar
            for cookie in list(response.cookies.jar):
                if any(kept is cookie or _same_cookie(kept, cookie) for kept in jar):
                    jar.clear(cookie.domain, cookie.path, cookie.name)


def _same_cookie(one: Any, other: Any) -> bool:
    return (one.domain, one.path, one.name) == (other.domain, other.path, other.name)


def open_door(
    project: Project,
    *,
    transport: Any | None,
    http_client: Any | None,
    max_connections: int,
    proxy: str | None,
    verify: ssl.SSLContext | str | bool,
) -> Door:
    """Make the door, or take the user's client as one.

    Raises:
        ConfigurationError: the client or transport is of no family this SDK knows.
    """
    if http_client is not None:
        family = family_of(http_client, what="http_client", wanted="AsyncClient")
        return Door(http_client, family, owned=False)
    if transport is not None:
        family = family_of(transport, what="transport", wanted="AsyncBaseTransport")
        inner = _unmasking(family)(transport)
    else:
        family = httpx
        inner = DefaultTransport(
            max_connections=max_connections,
            verify=verify,
            proxy=proxy if proxy is not None else environment_proxy(project.origin),
            secure=project.origin.startswith("https://"),
        )
    jar = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    return Door(family.AsyncClient(transport=inner, cookies=jar, trust_env=False), family, owned=True)


def family_of(thing: Any, *, what: str, wanted: str) -> ModuleType:
    """Return the module, httpx or httpx2, that an object belongs to by its class.

    Raises:
        ConfigurationError: it belongs to neither, or is of the sync kind.
    """
    for cls in type(thing).__mro__:
        name = cls.__module__.partition(".")[0]
        if name in FAMILIES and cls.__name__ == wanted:
            return import_module(name)
    problem = type(thing).__name__ if not isinstance(thing, type) else f"the class {thing.__name__}"
    raise ConfigurationError(f"{what} must be an httpx.{wanted} or httpx2.{wanted} object, not {problem}")


def environment_proxy(origin: str) -> str | None:
    """Return the proxy that the environment names for an origin (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`)."""
    scheme, _, authority = origin.partition("://")
    host = authority.rpartition("]")[0] + "]" if authority.startswith("[") else authority.partition(":")[0]
    if urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    url = proxies.get(scheme) or proxies.get("all")
    return url if url is None or "://" in url else f"http://{url}"


@lru_cache(maxsize=2)
def masked_url(family: ModuleType) -> Any:
    """Return the family's `URL` as a class that prints as the path template.

    URLs of this API hold tokens and personal data, and the families, aiohttp and tracers print them.
    """

    class MaskedURL(family.URL):  # type: ignore[name-defined,misc]
        """Works as the URL it is, and shows the operation only."""

        shown = ""

        def __str__(self) -> str:
            return self.shown

        def __repr__(self) -> str:
            return f"URL({self.shown!r})"

        def __eq__(self, other: object) -> bool:
            return bool(family.URL(self) == (family.URL(other) if isinstance(other, MaskedURL) else other))

        def __hash__(self) -> int:
            return hash(family.URL(self))

    return MaskedURL


@lru_cache(maxsize=2)
def _unmasking(family: ModuleType) -> Any:
    class UnmaskingTransport(family.AsyncBaseTransport):  # type: ignore[name-defined,misc]
        """Gives a user's transport the plain URL, which it may well print into its request line."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        async def handle_async_request(self, request: Any) -> Any:
            plain = family.Request(
                request.method,
                family.URL(request.url),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
            await plain.aread()
            return await self.inner.handle_async_request(plain)

        async def aclose(self) -> None:
            await self.inner.aclose()

    return UnmaskingTransport


@frozen(kw_only=True)
class Cause:
    """What an exception of the HTTP library means.

    Attributes:
        trouble: whether the request may have left.
        timeout: whether time ran out.
        garbled: whether an answer came that is no HTTP.
        text: what may be shown of it.
    """

    trouble: Trouble
    timeout: bool = False
    garbled: bool = False
    text: str


_NOT_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "LocalProtocolError")
_AIOHTTP_NOT_SENT = ("ClientConnectorError", "ConnectionTimeoutError", "ClientHttpProxyError", "InvalidURL")


def cause_of(error: Exception, door: Door) -> Cause | None:
    """Read an exception that came out of the client; `None` if it is none of the HTTP library's."""
    family = door.family
    if not isinstance(error, (family.HTTPError, family.StreamError, family.InvalidURL, OSError)):
        return None
    names = {cls.__name__ for cls in type(error).__mro__}
    text = type(error).__name__
    if "DecodingError" in names:
        return Cause(trouble=Trouble.FINAL, garbled=True, text=text)
    origin = error.__cause__
    if origin is not None and type(origin).__module__.startswith("aiohttp"):
        # httpx-aiohttp calls nearly everything a connect timeout; what aiohttp said decides.
        origins = {cls.__name__ for cls in type(origin).__mro__}
        not_sent = not origins.isdisjoint(_AIOHTTP_NOT_SENT)
        timeout = "TimeoutError" in origins
        text = type(origin).__name__
    else:
        not_sent = not names.isdisjoint(_NOT_SENT)
        timeout = "TimeoutException" in names
    return Cause(trouble=Trouble.NOT_SENT if not_sent else Trouble.LOST, timeout=timeout, text=text)
