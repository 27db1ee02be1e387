"""Settings of a client: their types, those that the environment gives, and which cannot work."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any, TypedDict, cast
from zoneinfo import ZoneInfo

from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.validators import expected
from carecloud_async._calls.auth.enterprise import EnterpriseCredentials
from carecloud_async._calls.auth.provider import AuthProvider
from carecloud_async._calls.auth.stores.base import TokenStore
from carecloud_async._calls.auth.token import RenewalWindows
from carecloud_async._calls.call.cache import ResponseCache
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.context import ViewOptions
from carecloud_async._calls.call.events import OnCall, Telemetry
from carecloud_async._calls.call.retry import RetryPolicy
from carecloud_async._calls.http.timeout import Timeout
from carecloud_async._calls.rate_limits.rate_limit import RateLimitPolicy
from carecloud_async.environment import Environment, variable_of
from carecloud_async.errors import ConfigurationError

DEFAULT_CONNECTIONS = 20

_STORE_METHODS = ("load", "save", "discard", "lock", "aclose")


class ClientSettings(TypedDict, total=False):
    """The arguments of `CareCloud`, as `from_env` takes them."""

    project_url: str
    auth: AuthProvider
    timezone: str | ZoneInfo
    language: str
    token_store: TokenStore | None
    retry: RetryPolicy
    rate_limit: RateLimitPolicy | None
    timeout: Timeout | float
    max_connections: int
    proxy: str | None
    verify: ssl.SSLContext | str | bool
    transport: Any | None
    http_client: Any | None
    max_response_bytes: int
    max_sessions: int
    app_name: str | None
    allow_http: bool
    windows: RenewalWindows
    cache: ResponseCache | None
    read_only: bool
    telemetry: Telemetry | None
    on_call: OnCall | None
    clock: Clock | None
    random: Random | None


_CREDENTIALS = ("external_application_id", "login", "password")
_OPTIONAL = ("timezone", "language")


def from_environment(given: ClientSettings, *, environment: Environment | None = None) -> dict[str, Any]:
    """Return a client's arguments from the `CARECLOUD_*` variables and the profile that they name; what is given wins.

    A password in a file is read at each login, so that a rotated one needs no restart.

    Args:
        given: the arguments that the program gives.
        environment: where the others come from; `None` reads the process's own.

    Raises:
        ConfigurationError: settings are missing; the message names all their variables.
    """
    found = Environment.read() if environment is None else environment
    settings: dict[str, Any] = {name: found.text(name) for name in ("project_url", *_OPTIONAL) if name not in given}
    credentials = {} if "auth" in given else read_credentials(found)
    needed = {"project_url": settings.get("project_url"), **credentials} if "project_url" in settings else credentials
    missing = [variable_of(name) for name, value in needed.items() if value is None]
    if missing:
        raise ConfigurationError(f"set {', '.join(missing)} in the environment")
    if "auth" not in given:
        settings["auth"] = EnterpriseCredentials(**credentials)
    settings["read_only"] = found.flag("read_only")
    return {name: value for name, value in settings.items() if value is not None} | {**given}


def read_credentials(environment: Environment) -> dict[str, Any]:
    """Return the arguments of `EnterpriseCredentials` that the environment gives; `None` for a missing one.

    Raises:
        ConfigurationError: a file that holds one of them cannot be read.
    """
    found: dict[str, Any] = {name: environment.text(name) for name in _CREDENTIALS}  # a wrong file shows at once
    return found | {"password": environment.secret("password")}


def open_twin(
    make_client: Callable[..., Any], settings: Mapping[str, Any], auth: AuthProvider, options: ViewOptions
) -> AbstractAsyncContextManager[Caller]:
    """Return a second client for another event loop, as a context that opens and closes it.

    Args:
        make_client: makes a client.
        settings: the settings of the first client.
        auth: the identity of the view that asks.
        options: the options of that view.

    Raises:
        ConfigurationError: a second client would end the first one's session, or cannot use its connections.
    """
    own = _twin_settings(settings, auth)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Caller]:
        async with make_client(**own) as client:
            view = client.with_options(
                language=options.language, timeout=options.timeout, retry=options.retry, read_only=options.read_only
            )
            yield view._caller

    return opened()


def _twin_settings(settings: Mapping[str, Any], auth: AuthProvider) -> dict[str, Any]:
    """Return the settings of a second client with the same identity, for another event loop.

    Raises:
        ConfigurationError: a second client would end the first one's session, or cannot use its connections.
    """
    if auth.device_key is not None:
        raise ConfigurationError(
            "a stream for code without async logs in for itself, which would end this device's token: use "
            "`async with listing.arrow() as batches`"
        )
    kinds = {cls.__name__ for cls in type(settings["transport"]).__mro__}
    given = "transport" if "AsyncHTTPTransport" in kinds else "http_client"
    if settings[given] is not None:
        raise ConfigurationError(
            f"{given} belongs to one event loop, and a stream for code without async needs another: leave {given} out, "
            "or use `async with listing.arrow() as batches`"
        )
    from carecloud_async._calls.auth.stores.file import FileTokenStore  # few programs stream

    store = settings["token_store"]
    # A store in memory, in Redis or of a user's own may belong to the first client's event loop.
    shared = store if isinstance(store, FileTokenStore) else None
    return {**settings, "auth": auth, "token_store": shared, "cache": None}


def check_combination(http_client: Any | None, **is_given: bool) -> None:
    """Raise if settings are given together with an HTTP client that has its own.

    Args:
        http_client: that client, if any.
        **is_given: for each of the settings, whether it was given.

    Raises:
        ConfigurationError: both are given.
    """
    given = [name for name, value in is_given.items() if value]
    if http_client is not None and given:
        raise ConfigurationError(f"http_client brings its own {', '.join(given)}: set that on the client you pass in")


def check_provider(auth: Any) -> None:
    """Raise unless `auth` is an AuthProvider.

    Raises:
        ConfigurationError: it is not, or its interface is unknown; the message says what to write.
    """
    if not isinstance(auth, AuthProvider):
        raise ConfigurationError(
            "auth must be an AuthProvider object such as EnterpriseCredentials(…), DeviceToken(…) or "
            f"CustomerSession(…), not {_kind_of(auth)}"
        )
    try:
        Interface(auth.interface)
    except ValueError:
        raise ConfigurationError(f'{type(auth).__name__}.interface must be "enterprise" or "customer"') from None


def check_cache(cache: Any) -> None:
    """Raise unless `cache` is a `ResponseCache` or `None`.

    Raises:
        ConfigurationError: it is not.
    """
    if cache is not None and not isinstance(cache, ResponseCache):
        raise ConfigurationError(
            f"cache: {expected('a ResponseCache object such as ResponseCache(max_entries=1000)', cache)}"
        )


def check_telemetry(telemetry: Any) -> None:
    """Raise unless `telemetry` makes observers, or is `None`.

    Raises:
        ConfigurationError: it does not.
    """
    if telemetry is not None and (isinstance(telemetry, type) or not callable(getattr(telemetry, "observer", None))):
        raise ConfigurationError(f"telemetry: {expected('OpenTelemetry() from carecloud_async.otel', telemetry)}")


def check_store(store: Any) -> TokenStore:
    """Raise unless `store` is a token store: an object with its methods.

    Raises:
        ConfigurationError: it is not.
    """
    if isinstance(store, type) or not all(callable(getattr(store, name, None)) for name in _STORE_METHODS):
        raise ConfigurationError(
            f"token_store must be a TokenStore object such as FileTokenStore(path), not {_kind_of(store)}"
        )
    return cast("TokenStore", store)


def _kind_of(value: Any) -> str:
    """Name what was given in place of an object: its class, or the class itself, whose call was forgotten."""
    if isinstance(value, type):
        return f"the class {value.__name__}: make one, {value.__name__}(…)"
    return type(value).__name__
