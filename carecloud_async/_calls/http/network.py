"""The network: proxies, trusted certificates, and whose exceptions are its failures."""

from __future__ import annotations

import os
import ssl
import urllib.request
from urllib.parse import urlsplit

import httpx

from carecloud_async.errors import ConfigurationError

#: Packages whose exceptions say that a connection failed, when a request raises them.
NETWORK_PACKAGES = frozenset({
    "aiohttp", "anyio", "asyncio", "h11", "h2", "httpcore", "httpcore2", "httptools", "httpx", "httpx2",
    "httpx_aiohttp", "multidict", "ssl", "trio", "yarl",
})  # fmt: skip

Verify = ssl.SSLContext | str | os.PathLike[str] | bool


def choose_proxy(origin: str, proxy: str | None) -> str | None:
    """Return the proxy to use: the one given, else the environment's.

    Raises:
        ConfigurationError: HTTP cannot go through it. The address is not shown: it may hold a password.
    """
    source = "proxy="
    if proxy is None:
        proxy, source = _environment_proxy(origin), "the environment's proxy (HTTPS_PROXY, ALL_PROXY)"
    if proxy is None:
        return None
    try:
        parts = urlsplit(proxy) if isinstance(proxy, str) else None
        usable = parts is not None and parts.scheme in {"http", "https"} and bool(parts.hostname and parts.port != 0)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(
            f'{source} must be an address such as "http://proxy.example:3128"; SOCKS proxies are not supported'
        )
    return proxy


def _environment_proxy(origin: str) -> str | None:
    """Return the proxy that the environment names for an origin (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`)."""
    parts = urlsplit(origin)
    # NO_PROXY may name a host with its port, and an IPv6 address without its brackets.
    if urllib.request.proxy_bypass(parts.netloc) or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    url = proxies.get(parts.scheme) or proxies.get("all")
    return url if url is None or "://" in url else f"http://{url}"


def check_verify(verify: Verify) -> None:
    """Raise unless `verify` has a usable type.

    Raises:
        ConfigurationError: it is of another kind, or the file does not exist.
    """
    if isinstance(verify, bool | ssl.SSLContext):
        return
    if not isinstance(verify, str | os.PathLike):
        raise ConfigurationError(
            f"verify must be True, False, a CA bundle's path or an ssl.SSLContext, not {type(verify).__name__}"
        )
    if not os.path.exists(verify):
        raise ConfigurationError("verify names a CA bundle that does not exist")


def checks_certificates(verify: Verify) -> bool:
    """Return whether a server without a trusted certificate for its name is refused."""
    if isinstance(verify, ssl.SSLContext):
        return verify.verify_mode is ssl.CERT_REQUIRED and verify.check_hostname
    return verify is not False


def tls_context(verify: Verify) -> ssl.SSLContext:
    """Return the TLS context.

    Raises:
        ConfigurationError: the CA bundle cannot be read.
    """
    source = "verify"
    try:
        if isinstance(verify, bool | ssl.SSLContext):
            source = "the environment's SSL_CERT_FILE"  # httpx reads it
            return httpx.create_ssl_context(verify=verify)
        if os.path.isdir(verify):
            return ssl.create_default_context(capath=verify)
        return ssl.create_default_context(cafile=verify)
    except OSError as error:  # what ssl raises is an OSError too
        problem = getattr(error, "reason", None) or error.strerror or type(error).__name__
    raise ConfigurationError(f"{source} names a CA bundle that cannot be read: {problem}")
