"""CareCloud: the client. Owns the pool, the identity and the resources, and makes cheap views of itself."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar, overload
from zoneinfo import ZoneInfo

from carecloud_async import codec
from carecloud_async.auth.device import DeviceToken
from carecloud_async.auth.provider import AuthProvider
from carecloud_async.auth.registry import IdentityHandle, IdentityRegistry
from carecloud_async.auth.stores.base import TokenStore
from carecloud_async.auth.stores.memory import MemoryTokenStore
from carecloud_async.auth.token import LoggedIn, RenewalWindows, logged_in
from carecloud_async.calls.caller import Caller
from carecloud_async.calls.context import ClientContext, Options
from carecloud_async.calls.events import CallRecord, OnCall, observer_of, record_calls
from carecloud_async.calls.filters import check_filters
from carecloud_async.calls.login import ManagerFactory
from carecloud_async.calls.rate_limit import RateLimit, RateLimiter, RateLimitPolicy
from carecloud_async.calls.retry import RetryBudget, RetryPolicy
from carecloud_async.codec.json_value import JsonObject
from carecloud_async.config import (
    DEFAULT_CONNECTIONS,
    check_combination,
    check_provider,
    check_store,
    from_environment,
)
from carecloud_async.errors import AuthenticationError, NotFoundError, PermissionDeniedError
from carecloud_async.http.bodies import MAX_RESPONSE_BYTES
from carecloud_async.http.client import build_http_client
from carecloud_async.http.timeout import Timeout
from carecloud_async.project import Interface, Project
from carecloud_async.resources.families import Families
from carecloud_async.runtime.clock import Clock, SystemClock
from carecloud_async.runtime.event_loops import LoopGuard
from carecloud_async.runtime.validators import require_int

T = TypeVar("T")


class CareCloud(Families):
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
        transport: an httpx or httpx2 async transport to send through. No caching one: a cache below the SDK (hishel and
            the like) does not tell identities apart, and can hand one customer the record of another.
        http_client: a whole `httpx.AsyncClient` or `httpx2.AsyncClient`; it stays the caller's to close, and cannot be
            combined with transport, timeout, proxy, verify or max_connections. No caching one, as with `transport`.
            Bytes that a server sends behind an answer can be read as the next one there; the default transport drops
            such connections.
        max_response_bytes: the largest answer, unpacked; beyond it `ResponseError`. A hook of a given `http_client`
            that reads an answer itself reads it without this bound.
        app_name: the application's product for the `User-Agent`, such as `acme-portal/2.1`.
        allow_http: take an `http://` URL that is not loopback (a sandbox in a private network).
        windows: when tokens are renewed before their end.
        on_call: called with a `CallRecord` after each call, for metrics. It must be quick; what it raises is logged.
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
        rate_limit: RateLimitPolicy | None = RateLimit.adaptive(),  # noqa: B008  (a frozen value)
        timeout: Timeout | float = Timeout(),  # noqa: B008  (a frozen value)
        max_connections: int = DEFAULT_CONNECTIONS,
        proxy: str | None = None,
        verify: ssl.SSLContext | str | bool = True,
        transport: Any | None = None,
        http_client: Any | None = None,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        app_name: str | None = None,
        allow_http: bool = False,
        windows: RenewalWindows = RenewalWindows(),  # noqa: B008  (a frozen value)
        on_call: OnCall | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        check_combination(
            http_client,
            transport=transport is not None,
            timeout=timeout != Timeout(),
            proxy=proxy is not None,
            verify=verify is not True,
            max_connections=max_connections != DEFAULT_CONNECTIONS,
        )
        require_int("max_connections", max_connections, least=1)
        require_int("max_response_bytes", max_response_bytes, least=1)
        check_provider(auth)
        clock = clock or SystemClock()
        project = Project.parse(project_url, timezone=timezone, language=language, allow_http=allow_http)
        context = ClientContext(
            project=project,
            http=build_http_client(
                project,
                transport=transport,
                http_client=http_client,
                max_connections=max_connections,
                proxy=proxy,
                verify=verify,
                max_response_bytes=max_response_bytes,
                app_name=app_name,
            ),
            rate_limiter=RateLimiter(rate_limit, clock=clock),
            budget=RetryBudget(retry, clock=clock),
            clock=clock,
            random=random or Random(),  # noqa: S311  (jitter, not secrets)
            guard=LoopGuard(),
            observers=observer_of(on_call),
        )
        options = Options(language=language, timeout=Timeout.of(timeout), retry=retry)
        store = MemoryTokenStore(clock=clock) if token_store is None else check_store(token_store)
        managers = ManagerFactory(context=context, options=options, store=store, windows=windows)
        identities = IdentityRegistry(managers.make)
        self._owner = True
        self._acting = False
        self._own_seat = identities.acquire(auth)
        self._set_up(context, identities, self._own_seat, options)

    def _set_up(
        self, context: ClientContext, identities: IdentityRegistry, seat: IdentityHandle, options: Options
    ) -> None:
        self._context = context
        self._identities = identities
        self._seat = seat
        self._options = options
        interface = Interface(seat.manager.provider.interface)
        self._caller = Caller(context, interface=interface, options=options, manager=seat.manager)

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
        return cls(**from_environment(overrides))

    async def __aenter__(self) -> Self:
        self._context.check()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        provider = type(self._seat.manager.provider).__name__
        return f"<CareCloud {self._context.project.host} {self._caller.interface} {provider}>"

    async def aclose(self) -> None:
        """Close the pool. Nobody is logged out. On a view it does nothing: the pool belongs to the client."""
        if self._owner:
            await self._context.aclose()

    @property
    def project(self) -> Project:
        """The project; `client.project.localize(dt)` gives a timestamp of the API its zone."""
        return self._context.project

    @property
    def http(self) -> Any:
        """The `AsyncClient` underneath, for instrumentation. URLs in it print as path templates."""
        return self._context.http.client

    def acting_as(self, auth: AuthProvider) -> CareCloud:
        """Return a view with an identity of its own on the same pool; cheap enough for one per request.

        Raises:
            ConfigurationError: the identity's device already serves another one here.
        """
        check_provider(auth)
        seat = self._identities.acquire(auth)
        # A view of the client's own identity binds whoever uses the client, as the client itself does.
        return self._view(seat, self._options, acting=seat is not self._own_seat)

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
        return self._view(self._seat, options, acting=self._acting)

    def _view(self, seat: IdentityHandle, options: Options, *, acting: bool) -> CareCloud:
        view = CareCloud.__new__(CareCloud)
        view._owner = False
        view._acting = acting
        view._own_seat = self._own_seat
        view._set_up(self._context, self._identities, seat, options)
        return view

    async def login(self) -> LoggedIn:
        """Log in now and let the server check the credentials; without it the first call logs in by itself.

        A resumed session is looked up at the server. A device token that is at hand is returned as it is.

        Raises:
            AuthenticationError: the credentials were refused.
            SessionExpiredError: a resumed session is over.
        """
        self._context.check()
        self._identities.claim(self._seat)
        with self._context.bounded(self._options.timeout, title="login()"):
            token = await self._seat.manager.log_in(timeout=self._options.timeout.total)
        return logged_in(token, zone=self._context.project.timezone)

    async def logout(self) -> None:
        """Log out at the server and forget the token.

        A customer's session stays ended until `login()`; a user of the enterprise interface is logged in again by the
        next call.
        """
        self._context.check()
        with self._context.bounded(self._options.timeout, title="logout()"):
            await self._seat.manager.log_out(timeout=self._options.timeout.total)
        if self._seat.manager.provider.requires_relogin:
            self._identities.release(self._seat)

    def record_calls(self) -> AbstractContextManager[list[CallRecord]]:
        """Collect a `CallRecord` for each call of this client made in a block, and in tasks that are started in it.

        Calls of the client's views count, and so do logins that the calls waited for.

        ```python
        with client.record_calls() as calls:
            await client.customers.get(customer_id)
        print(calls[-1].status, calls[-1].headers.get("x-request-id"), calls[-1].seconds)
        ```
        """
        return record_calls(self._context)

    async def ping(self) -> None:
        """Check that the project answers and takes this identity's token; one small request.

        What a device token is worth shows only where a customer is logged in on it; without one, any answer will do.

        Raises:
            CareCloudError: it does not.
        """
        from carecloud_async.resources.customers import Customers
        from carecloud_async.resources.declare import declared

        manager, bearer = self._seat.manager, None
        if isinstance(manager.provider, DeviceToken):
            # Past the auth flow: it would make a new device token of a refusal that is about the customer.
            with self._context.bounded(self._options.timeout, title="ping()"):
                bearer = (await manager.get()).value
        try:
            operation = declared(Customers.list).operation
            await self._caller.call(operation, decode=codec.data, params={"count": 1}, bearer=bearer)
        except (AuthenticationError, PermissionDeniedError, NotFoundError):
            if bearer is None:
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
    ) -> JsonObject: ...

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
            ConfigurationError: a query parameter of a known operation is of the wrong kind.
            CareCloudError: see `carecloud_async.errors`.
        """
        from carecloud_async.resources.adhoc import find

        operation, values = find(method, path, path_params=path_params, safe_to_repeat=safe_to_repeat)
        decode = codec.data if into is None else partial(codec.record, into=into)
        return await self._caller.call(
            operation,
            decode=lambda body: {} if not body and into is None else decode(body),
            path_params=values,
            params=check_filters(operation, params or {}),
            json=json,
        )
