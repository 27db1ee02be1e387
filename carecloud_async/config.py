"""Settings of a client: their types, defaults and checks, those that the environment gives, and those of a twin."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any, Concatenate, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

from attrs import Attribute, asdict, field, fields, frozen

from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.validators import expected, require_int
from carecloud_async._calls.auth.enterprise import EnterpriseCredentials
from carecloud_async._calls.auth.provider import AuthProvider
from carecloud_async._calls.auth.stores import TokenStore
from carecloud_async._calls.auth.tokens import MAX_SESSIONS
from carecloud_async._calls.call.cache import ResponseCache
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.context import CallOptions
from carecloud_async._calls.call.events import OnCall, Telemetry
from carecloud_async._calls.http.responses import MAX_RESPONSE_BYTES
from carecloud_async._calls.rate_limits.rate_limit import RateLimit, RateLimitPolicy
from carecloud_async.environment import Environment, variable_of
from carecloud_async.errors import ConfigurationError

_STORE_METHODS = ("load", "save", "discard", "lock", "aclose")
#: Settings that an `http_client` has of its own.
_OF_HTTP_CLIENT = ("transport", "timeout", "proxy", "verify", "max_connections")


def _whole(_: object, attribute: Attribute[int], value: Any) -> None:
    require_int(attribute.name, value, least=1)


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


def _check_store(_: object, __: object, store: Any) -> None:
    if store is None:
        return
    if isinstance(store, type) or not all(callable(getattr(store, name, None)) for name in _STORE_METHODS):
        raise ConfigurationError(
            f"token_store must be a TokenStore object such as FileTokenStore(path), not {_kind_of(store)}"
        )


def _check_cache(_: object, __: object, cache: Any) -> None:
    if cache is not None and not isinstance(cache, ResponseCache):
        raise ConfigurationError(
            f"cache: {expected('a ResponseCache object such as ResponseCache(max_entries=1000)', cache)}"
        )


def _check_telemetry(_: object, __: object, telemetry: Any) -> None:
    if telemetry is not None and (isinstance(telemetry, type) or not callable(getattr(telemetry, "observer", None))):
        raise ConfigurationError(f"telemetry: {expected('OpenTelemetry() from carecloud_async.otel', telemetry)}")


def _check_alone(settings: Any, _: object, http_client: Any) -> None:
    defaults = fields(type(settings))
    given = [name for name in _OF_HTTP_CLIENT if getattr(settings, name) != getattr(defaults, name).default]
    if http_client is not None and given:
        raise ConfigurationError(f"http_client brings its own {', '.join(given)}: set that on the client you pass in")


def _kind_of(value: Any) -> str:
    """Name what was given in place of an object: its class, or the class itself, whose call was forgotten."""
    if isinstance(value, type):
        return f"the class {value.__name__}: make one, {value.__name__}(…)"
    return type(value).__name__


@frozen(kw_only=True, repr=False, eq=False)
class OptionalSettings(CallOptions):
    """The settings of a client that have a default. `CareCloud` says what each means."""

    timezone: str | ZoneInfo = "Europe/Prague"
    token_store: TokenStore | None = field(default=None, validator=_check_store)
    rate_limit: RateLimitPolicy | None = field(default=RateLimit.adaptive())
    max_connections: int = field(default=20, validator=_whole)
    proxy: str | None = None
    verify: ssl.SSLContext | str | bool = True
    transport: Any | None = None
    http_client: Any | None = field(default=None, validator=_check_alone)
    max_response_bytes: int = field(default=MAX_RESPONSE_BYTES, validator=_whole)
    max_sessions: int = field(default=MAX_SESSIONS, validator=_whole)
    app_name: str | None = None
    allow_http: bool = False
    cache: ResponseCache | None = field(default=None, validator=_check_cache)
    telemetry: Telemetry | None = field(default=None, validator=_check_telemetry)
    on_call: OnCall | None = None
    clock: Clock | None = None
    random: Random | None = None


@frozen(repr=False, eq=False)
class ClientSettings(OptionalSettings):
    """The arguments of `CareCloud`.

    Raises:
        ConfigurationError: one of them cannot work; the message says what to write.
    """

    project_url: str
    auth: AuthProvider = field(kw_only=True, validator=lambda _, __, value: check_provider(value))


ClientSettings.__init__.__qualname__ = "CareCloud.__init__"  # Python names it in the error about an unknown argument


@frozen(kw_only=True, repr=False, eq=False)
class EnvironmentSettings(OptionalSettings):
    """The arguments of `CareCloud.from_env`, for type checkers: the environment may give all of them."""

    project_url: str = ""
    auth: AuthProvider | None = None


P = ParamSpec("P")
R = TypeVar("R")


def takes(settings: Callable[P, object]) -> Callable[[Callable[..., R]], Callable[Concatenate[Any, P], R]]:
    """Return a decorator that gives a method the arguments of a class of settings, for type checkers and `help`."""

    def with_signature(method: Callable[..., R]) -> Callable[Concatenate[Any, P], R]:
        first = next(iter(inspect.signature(method).parameters.values()))
        arguments = inspect.signature(settings).parameters.values()
        method.__signature__ = inspect.Signature([first, *arguments])  # type: ignore[attr-defined]
        return method

    return with_signature


_CREDENTIALS = ("external_application_id", "login", "password")
_OPTIONAL = ("timezone", "language")


def from_environment(
    given: Mapping[str, Any], *, environment: Environment | None = None, place: str = "the environment"
) -> dict[str, Any]:
    """Return a client's arguments from the `CARECLOUD_*` variables and the profile that they name; what is given wins.

    A password in a file is read at each login, so that a rotated one needs no restart.

    Args:
        given: the arguments that the program gives.
        environment: where the others come from; `None` reads the process's own.
        place: where missing variables are to be set.

    Raises:
        ConfigurationError: settings are missing; the message names all their variables.
    """
    environment = Environment.read() if environment is None else environment
    settings: dict[str, Any] = {
        name: environment.text(name) for name in ("project_url", *_OPTIONAL) if name not in given
    }
    credentials = {} if "auth" in given else read_credentials(environment)
    needed = {"project_url": settings.get("project_url"), **credentials} if "project_url" in settings else credentials
    missing = [variable_of(name) for name, value in needed.items() if value is None]
    if missing:
        raise ConfigurationError(f"set {', '.join(missing)} in {place}")
    if "auth" not in given:
        settings["auth"] = EnterpriseCredentials(**credentials)
    settings["read_only"] = environment.flag("read_only")
    return {name: value for name, value in settings.items() if value is not None} | {**given}


def read_credentials(environment: Environment) -> dict[str, Any]:
    """Return the arguments of `EnterpriseCredentials` that the environment gives; `None` for a missing one.

    Raises:
        ConfigurationError: a file that holds one of them cannot be read.
    """
    credentials: dict[str, Any] = {name: environment.text(name) for name in _CREDENTIALS}  # a wrong file shows at once
    return credentials | {"password": environment.secret("password")}


def open_twin(
    make_client: Callable[..., Any], settings: ClientSettings, auth: AuthProvider, options: CallOptions
) -> AbstractAsyncContextManager[Caller]:
    """Return a second client with the same identity for another event loop, as a context that opens and closes it.

    Args:
        make_client: makes a client.
        settings: the settings of the first client.
        auth: the identity of the view that asks.
        options: the options of that view.

    Raises:
        ConfigurationError: a second client would end the first one's session, or cannot use its connections.
    """
    if auth.device_key is not None:
        raise ConfigurationError(
            "a stream for code without async logs in for itself, which would end this device's token: use "
            "`async with listing.arrow() as batches`"
        )
    kinds = {cls.__name__ for cls in type(settings.transport).__mro__}
    given = "transport" if "AsyncHTTPTransport" in kinds else "http_client"
    if getattr(settings, given) is not None:
        raise ConfigurationError(
            f"{given} belongs to one event loop, and a stream for code without async needs another: leave {given} out, "
            "or use `async with listing.arrow() as batches`"
        )
    from carecloud_async._calls.auth.file_store import FileTokenStore  # few programs stream

    # A store in memory, in Redis or of a user's own may belong to the first client's event loop.
    store = settings.token_store if isinstance(settings.token_store, FileTokenStore) else None
    arguments = asdict(settings, recurse=False) | options.call_options()
    arguments |= {"auth": auth, "token_store": store, "cache": None}

    @asynccontextmanager
    async def opened() -> AsyncIterator[Caller]:
        async with make_client(**arguments) as client:
            yield client._caller

    return opened()
