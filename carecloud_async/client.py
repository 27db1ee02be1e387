"""CareCloud: the client. Owns the pool, the identity and the resources, and makes cheap views of itself."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload
from zoneinfo import ZoneInfo

from attrs import field, frozen

from carecloud_async import codec
from carecloud_async.auth.enterprise import EnterpriseCredentials
from carecloud_async.auth.identities import Identities, Seat
from carecloud_async.auth.lease import RenewalWindows
from carecloud_async.auth.manager import TokenManager
from carecloud_async.auth.provider import AuthProvider, digest
from carecloud_async.auth.renewal import Renewal
from carecloud_async.auth.stores.base import TokenStore
from carecloud_async.auth.stores.memory import MemoryTokenStore
from carecloud_async.auth.token import valid_to_utc
from carecloud_async.call import Caller, Engine, LoginSender, Options
from carecloud_async.clock import Clock, SystemClock
from carecloud_async.errors import ConfigurationError, NotFoundError, PermissionDeniedError
from carecloud_async.http import Timeout, open_door
from carecloud_async.loops import LoopGuard
from carecloud_async.observe import OnCall
from carecloud_async.project import Interface, Project
from carecloud_async.rate import Gate, Limit, RateLimit
from carecloud_async.retry import RetryBudget, RetryPolicy

if TYPE_CHECKING:
    from carecloud_async.resources.customers import Customers
    from carecloud_async.resources.tokens import Tokens
    from carecloud_async.resources.users import Users

T = TypeVar("T")

_ENVIRONMENT = {
    "project_url": "CARECLOUD_PROJECT_URL",
    "external_application_id": "CARECLOUD_EXTERNAL_APPLICATION_ID",
    "login": "CARECLOUD_LOGIN",
    "password": "CARECLOUD_PASSWORD",
}


def _masked(_: object) -> str:
    return "'***'"


@frozen(kw_only=True)
class LoggedIn:
    """What a login brought.

    Attributes:
        token_id: the token: a customer's bound device token, or a user's bearer token. Keep it like a password.
        customer_id: the customer, on the customer interface.
        user: the user, on the enterprise interface (`carecloud_async.models.User`).
        valid_to: until when the token is good, in UTC; `None` if it does not end by time.
    """

    token_id: str = field(repr=_masked)
    customer_id: str | None = None
    user: Any = field(default=None, repr=False)
    valid_to: datetime | None = None


class CareCloud:
    """A client of one CareCloud project for one identity.

    Use it in `async with`, or call `aclose()` at the end; it opens on first use. One client belongs to one event loop.

    Args:
        project_url: the project's domain, or its `https://` URL. `http://` is for loopback.
        auth: who calls; the interface (enterprise or customer) follows from it.
        timezone: the project's zone, an IANA name; the API's timestamps are local to it.
        language: the `Accept-Language` of every call.
        token_store: where tokens are kept; in memory if left out. The caller closes a store that holds connections.
        retry: how calls are repeated.
        rate_limit: how fast calls leave; `None` for no limit.
        timeout: a `Timeout`, or the total in seconds.
        max_connections: the size of the pool.
        proxy: a proxy's URL; the environment's (`HTTPS_PROXY`, `NO_PROXY`) if left out.
        verify: `False`, a CA bundle's path or an `ssl.SSLContext` in place of the usual certificate checks.
        transport: an httpx or httpx2 async transport to send through.
        http_client: a whole `httpx.AsyncClient` or `httpx2.AsyncClient`; it stays the caller's to close, and cannot be
            combined with transport, timeout, proxy, verify or max_connections.
        allow_http: take an `http://` URL that is not loopback (a sandbox in a private network).
        windows: when tokens are renewed before their end.
        on_call: called with a `CallRecord` after each call, for metrics. It must be quick and must not raise.
        clock: the clock, for tests.
        random: chance, for tests.

    Raises:
        ConfigurationError: a setting cannot work; the message says why.
    """

    def __init__(
        self,
        project_url: str,
        *,
        auth: AuthProvider,
        timezone: str | ZoneInfo = "Europe/Prague",
        language: str = "cs, en-gb;q=0.8",
        token_store: TokenStore | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  (a frozen value)
        rate_limit: Limit | None = RateLimit.adaptive(),  # noqa: B008  (a frozen value)
        timeout: Timeout | float | None = None,
        max_connections: int | None = None,
        proxy: str | None = None,
        verify: ssl.SSLContext | str | bool | None = None,
        transport: Any | None = None,
        http_client: Any | None = None,
        allow_http: bool = False,
        windows: RenewalWindows = RenewalWindows(),  # noqa: B008  (a frozen value)
        on_call: OnCall | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        _check_combination(
            http_client,
            transport=transport,
            timeout=timeout,
            proxy=proxy,
            verify=verify,
            max_connections=max_connections,
        )
        _check_provider(auth)
        clock = clock or SystemClock()
        project = Project.parse(project_url, timezone=timezone, language=language, allow_http=allow_http)
        engine = Engine(
            project=project,
            door=open_door(
                project,
                transport=transport,
                http_client=http_client,
                max_connections=_connections(max_connections),
                proxy=proxy,
                verify=True if verify is None else verify,
            ),
            gate=Gate(rate_limit, clock=clock),
            budget=RetryBudget(retry, clock=clock),
            clock=clock,
            random=random or Random(),  # noqa: S311  (jitter, not secrets)
            guard=LoopGuard(),
            on_call=on_call,
        )
        options = Options(language=language, timeout=Timeout() if timeout is None else Timeout.of(timeout), retry=retry)
        managers = _Managers(engine, options, token_store or MemoryTokenStore(clock=clock), windows)
        identities = Identities(managers.make)
        self._set_up(engine, identities, identities.seat(auth), options, owner=True)

    def _set_up(self, engine: Engine, identities: Identities, seat: Seat, options: Options, *, owner: bool) -> None:
        self._engine = engine
        self._identities = identities
        self._seat = seat
        self._options = options
        self._owner = owner
        interface = Interface(seat.manager.provider.interface)
        self._caller = Caller(engine, interface=interface, options=options, manager=seat.manager)

    @classmethod
    def from_env(cls, **overrides: Any) -> CareCloud:
        """Make a client for an enterprise user from `CARECLOUD_*` variables.

        `CARECLOUD_PROJECT_URL`, `CARECLOUD_EXTERNAL_APPLICATION_ID`, `CARECLOUD_LOGIN` and `CARECLOUD_PASSWORD` are
        required, `CARECLOUD_TIMEZONE` and `CARECLOUD_LANGUAGE` are not.

        Args:
            **overrides: any argument of `CareCloud`, in place of the variable or beside them.

        Raises:
            ConfigurationError: variables are missing; the message names them.
        """
        wanted = dict(_ENVIRONMENT)
        if "auth" in overrides:
            wanted = {"project_url": wanted["project_url"]}
        if "project_url" in overrides:
            del wanted["project_url"]
        values = {name: os.environ.get(variable, "").strip() for name, variable in wanted.items()}
        missing = [wanted[name] for name, value in values.items() if not value]
        if missing:
            raise ConfigurationError(f"set {', '.join(missing)} in the environment")
        for name, variable in (("timezone", "CARECLOUD_TIMEZONE"), ("language", "CARECLOUD_LANGUAGE")):
            if os.environ.get(variable, "").strip():
                overrides.setdefault(name, os.environ[variable].strip())
        project_url = overrides.pop("project_url", None) or values.pop("project_url")
        auth = overrides.pop("auth", None) or EnterpriseCredentials(**values)
        return cls(project_url, auth=auth, **overrides)

    async def __aenter__(self) -> Self:
        self._engine.check()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        provider = type(self._seat.manager.provider).__name__
        return f"<CareCloud {self._engine.project.host} {self._caller.interface} {provider}>"

    async def aclose(self) -> None:
        """Close the pool. Nobody is logged out. On a view it does nothing: the pool belongs to the client."""
        if self._owner:
            await self._engine.aclose()

    @property
    def project(self) -> Project:
        """The project; `client.project.localize(dt)` gives a timestamp of the API its zone."""
        return self._engine.project

    @property
    def http(self) -> Any:
        """The `AsyncClient` underneath, for instrumentation. URLs in it print as path templates."""
        return self._engine.door.client

    def acting_as(self, auth: AuthProvider) -> CareCloud:
        """Return a view with an identity of its own on the same pool; cheap enough for one per request.

        Raises:
            ConfigurationError: the identity's device already serves another one here.
        """
        _check_provider(auth)
        return self._view(self._identities.seat(auth), self._options)

    def with_options(
        self,
        *,
        language: str | None = None,
        timeout: Timeout | float | None = None,
        retry: RetryPolicy | None = None,
    ) -> CareCloud:
        """Return a view with other options on the same pool and identity.

        A timeout given here also applies with `http_client`. The retry budget stays the client's.
        """
        options = Options(
            language=self._options.language if language is None else language,
            timeout=self._options.timeout if timeout is None else Timeout.of(timeout),
            retry=self._options.retry if retry is None else retry,
        )
        view = self._view(self._seat, options)
        view._acting = self._acting
        return view

    def _view(self, seat: Seat, options: Options) -> CareCloud:
        view = CareCloud.__new__(CareCloud)
        view._set_up(self._engine, self._identities, seat, options, owner=False)
        view._acting = True
        return view

    _acting = False

    async def login(self) -> LoggedIn:
        """Log in now and let the server check the credentials; without it the first call logs in by itself.

        Raises:
            AuthenticationError: the credentials were refused.
        """
        self._engine.check()
        token = await self._seat.manager.log_in()
        return LoggedIn(
            token_id=token.value,
            customer_id=token.customer_id,
            user=token.user,
            valid_to=_end(token, self._engine.project.timezone),
        )

    async def logout(self) -> None:
        """Log out at the server and forget the token.

        A customer's session stays ended until `login()`; a user of the enterprise interface is logged in again by the
        next call.
        """
        self._engine.check()
        await self._seat.manager.log_out()
        self._identities.release(self._seat)

    async def ping(self) -> None:
        """Check that the project answers and takes this identity's token; one small request.

        Raises:
            CareCloudError: it does not.
        """
        from carecloud_async.resources.customers import operations

        try:
            await self._caller.call(operations.LIST, decode=codec.data, params={"count": 1})
        except (PermissionDeniedError, NotFoundError):
            # A device that no customer is logged in on may ask for nothing; being told so proves the same.
            if self._caller.interface is Interface.ENTERPRISE:
                raise

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        path_params: Mapping[str, Any] | None = None,
        json: Any = None,
        safe_to_repeat: bool | None = None,
    ) -> dict[str, Any]: ...

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        into: type[T],
        params: Mapping[str, Any] | None = None,
        path_params: Mapping[str, Any] | None = None,
        json: Any = None,
        safe_to_repeat: bool | None = None,
    ) -> T: ...

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        path_params: Mapping[str, Any] | None = None,
        json: Any = None,
        into: Any = None,
        safe_to_repeat: bool | None = None,
    ) -> Any:
        """Make any call of the API.

        Args:
            method: the HTTP verb.
            path: the path below the version, such as `customers/{customer_id}`.
            params: query parameters; sequences become `name[]=…`.
            path_params: values of the path's placeholders.
            json: the body; inputs, dicts, dates.
            into: a model class to decode `data` into; without it the JSON under `data` is returned as it is.
            safe_to_repeat: whether sending it twice is the same as once; follows from the verb if left out.

        Raises:
            InterfaceError: this identity's interface does not have the operation.
            CareCloudError: see `carecloud_async.errors`.
        """
        from carecloud_async.resources.adhoc import find

        operation, values = find(method, path, path_params=path_params, safe_to_repeat=safe_to_repeat)
        decode = codec.data if into is None else partial(codec.record, into=into)
        return await self._caller.call(
            operation,
            decode=lambda body: {} if not body and into is None else decode(body),
            path_params=values,
            params=params,
            json=json,
        )

    @property
    def customers(self) -> Customers:
        """The customers."""
        from carecloud_async.resources.customers import Customers

        return Customers(self._caller, acting=self._acting)

    @property
    def tokens(self) -> Tokens:
        """The device tokens of the customer interface."""
        from carecloud_async.resources.tokens import Tokens

        return Tokens(self._caller, manager=self._seat.manager)

    @property
    def users(self) -> Users:
        """The users of the enterprise interface."""
        from carecloud_async.resources.users import Users

        return Users(self._caller)


class _Managers:
    """Makes the token manager of an identity."""

    def __init__(self, engine: Engine, options: Options, store: TokenStore, windows: RenewalWindows) -> None:
        self._engine = engine
        self._options = options
        self._store = store
        self._windows = windows

    def make(self, provider: AuthProvider) -> TokenManager:
        engine = self._engine
        interface = Interface(provider.interface)
        caller = Caller(engine, interface=interface, options=self._options)
        renewal = Renewal(
            provider,
            key=f"{digest(engine.project.origin)}:{interface}:{digest(provider.application_id)}:{provider.identity_key}",
            store=self._store,
            sender=lambda patient: LoginSender(caller, patient=patient),
            clock=engine.clock,
            zone=engine.project.timezone,
            windows=self._windows,
        )
        return TokenManager(renewal, clock=engine.clock)


def _end(token: Any, zone: ZoneInfo) -> datetime | None:
    if token.valid_to is not None:
        return valid_to_utc(token.valid_to, zone=zone, after=None)
    return None


def _check_combination(http_client: Any | None, **others: Any) -> None:
    given = [name for name, value in others.items() if value is not None]
    if http_client is not None and given:
        raise ConfigurationError(f"http_client brings its own {', '.join(given)}: set that on the client you pass in")


def _check_provider(auth: Any) -> None:
    if not isinstance(auth, AuthProvider):
        raise ConfigurationError(
            f"auth must be an AuthProvider object such as EnterpriseCredentials, DeviceToken or CustomerSession, not "
            f"{type(auth).__name__}"
        )
    try:
        Interface(auth.interface)
    except ValueError:
        raise ConfigurationError(f'{type(auth).__name__}.interface must be "enterprise" or "customer"') from None


def _connections(number: int | None) -> int:
    if number is None:
        return 20
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ConfigurationError("max_connections must be a whole number from 1 up")
    return number
