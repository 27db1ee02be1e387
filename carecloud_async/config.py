"""Settings of a client: their types, those that the environment gives, and which cannot work."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from random import Random
from typing import Any, TypedDict, cast
from zoneinfo import ZoneInfo

from carecloud_async.auth.enterprise import EnterpriseCredentials
from carecloud_async.auth.provider import AuthProvider
from carecloud_async.auth.stores.base import TokenStore
from carecloud_async.auth.token import RenewalWindows
from carecloud_async.calls.events import OnCall, Telemetry
from carecloud_async.calls.response_cache import ResponseCache
from carecloud_async.calls.retry import RetryPolicy
from carecloud_async.errors import ConfigurationError
from carecloud_async.http.timeout import Timeout
from carecloud_async.project import Interface
from carecloud_async.rate_limits.rate_limit import RateLimitPolicy
from carecloud_async.runtime.clock import Clock
from carecloud_async.runtime.validators import expected

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
    app_name: str | None
    allow_http: bool
    windows: RenewalWindows
    cache: ResponseCache | None
    telemetry: Telemetry | None
    on_call: OnCall | None
    clock: Clock | None
    random: Random | None


#: Arguments and the variables that give them.
_PROJECT = {"project_url": "CARECLOUD_PROJECT_URL"}
_CREDENTIALS = {
    "external_application_id": "CARECLOUD_EXTERNAL_APPLICATION_ID",
    "login": "CARECLOUD_LOGIN",
    "password": "CARECLOUD_PASSWORD",
}
_OPTIONAL = {"timezone": "CARECLOUD_TIMEZONE", "language": "CARECLOUD_LANGUAGE"}


def from_environment(given: ClientSettings) -> dict[str, Any]:
    """Return a client's arguments from the `CARECLOUD_*` variables; what is given wins.

    Raises:
        ConfigurationError: variables are missing; the message names them all.
    """
    needed = _PROJECT if "auth" in given else _PROJECT | _CREDENTIALS
    needed = {name: variable for name, variable in needed.items() if name not in given}
    found = _read(needed)
    missing = [variable for name, variable in needed.items() if name not in found]
    if missing:
        raise ConfigurationError(f"set {', '.join(missing)} in the environment")
    settings: dict[str, Any] = _read(_OPTIONAL)
    if "project_url" in found:
        settings["project_url"] = found.pop("project_url")
    if "auth" not in given:
        settings["auth"] = EnterpriseCredentials(**found)
    return settings | {**given}


def _read(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the variables that are set, by the arguments' names."""
    values = {name: os.environ.get(variable, "").strip() for name, variable in variables.items()}
    return {name: value for name, value in values.items() if value}


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
