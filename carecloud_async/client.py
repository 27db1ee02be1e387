"""CareCloud: the client. Owns the pool, the identity and the resources, and makes cheap views of itself."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cached_property, partial
from random import SystemRandom
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from attrs import evolve, frozen

from carecloud_async._base.project import Interface, Project
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async._base.runtime.event_loops import LoopGuard
from carecloud_async._calls.auth.provider import AuthProvider
from carecloud_async._calls.auth.stores import MemoryTokenStore
from carecloud_async._calls.auth.token import LoggedIn, logged_in
from carecloud_async._calls.auth.tokens import IdentityHandle, IdentityRegistry
from carecloud_async._calls.call.cache import AnswerStore
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.context import ClientContext, ViewOptions
from carecloud_async._calls.call.events import CallRecord, observer_of, record_calls
from carecloud_async._calls.call.login import tokens_maker
from carecloud_async._calls.call.retry import RetryBudget, RetryPolicy
from carecloud_async._calls.http.client import build_http_client
from carecloud_async._calls.http.timeout import Timeout
from carecloud_async._calls.rate_limits.rate_limit import RateLimiter
from carecloud_async.check.checks import Checks
from carecloud_async.config import (
    ClientSettings,
    EnvironmentSettings,
    check_provider,
    from_environment,
    open_twin,
    takes,
)
from carecloud_async.errors import ConfigurationError
from carecloud_async.resources.families import Families
from carecloud_async.resources.lookup.by_path import AnyCall

__all__ = ["CareCloud"]

if TYPE_CHECKING:
    from carecloud_async.outbox.outbox import Outbox


@frozen(kw_only=True, eq=False)
class _Parts:
    """The parts of a client or view.

    Attributes:
        context: state that all views share.
        identities: the identities in use on the client.
        own: the client's own identity.
        handle: the identity of the client or view.
        options: its settings.
    """

    context: ClientContext
    identities: IdentityRegistry
    own: IdentityHandle
    handle: IdentityHandle
    options: ViewOptions

    @cached_property
    def caller(self) -> Caller:
        """Makes the calls; built at the first one, so that a view costs nothing before."""
        tokens = self.handle.tokens
        interface = Interface(tokens.provider.interface)
        return Caller(self.context, interface=interface, options=self.options, tokens=tokens)


class CareCloud(Families, AnyCall, Checks):
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
        transport: an httpx or httpx2 async transport to send through, but not one that caches: a cache below the SDK
            (hishel and the like) does not distinguish identities, and can return one customer's record to another.
        http_client: a whole `httpx.AsyncClient` or `httpx2.AsyncClient`; it stays the caller's to close, and cannot be
            combined with transport, timeout, proxy, verify or max_connections. It must not cache either. Bytes that a
            server sends after a response may be read as the next response; the default transport closes such
            connections.
        max_response_bytes: the largest answer, unpacked; beyond it `ResponseError`. A hook of a given `http_client`
            that reads an answer itself reads it without this bound.
        max_sessions: how many idle identities keep their token. The next call of one beyond it reads the token store,
            or logs in if its tokens are not stored (a random device).
        app_name: the application's product for the `User-Agent`, such as `acme-portal/2.1`.
        allow_http: take an `http://` URL that is not loopback (a sandbox in a private network).
        cache: keeps answers of reads; none if left out. See `ResponseCache`.
        read_only: refuse every call that may change something with `ReadOnlyError`, before anything is sent; logins
            are allowed.
        telemetry: `OpenTelemetry()` from `carecloud_async.otel`: spans and metrics.
        on_call: called with a `CallRecord` after each call, for metrics. It must be quick; what it raises is logged.
        clock: the clock, for tests.
        random: the source of randomness, for tests.

    Raises:
        ConfigurationError: a setting cannot work; the message says why.
    """

    @takes(ClientSettings)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        settings = ClientSettings(*args, **kwargs)
        clock = settings.clock or SystemClock()
        project = Project.parse(
            settings.project_url,
            timezone=settings.timezone,
            language=settings.language,
            allow_http=settings.allow_http,
        )
        limiter = RateLimiter(settings.rate_limit, origin=project.origin, clock=clock)
        telemetry, cache = settings.telemetry, settings.cache
        watching = () if telemetry is None else (telemetry.observer(project, lambda: limiter.rate),)
        context = ClientContext(
            project=project,
            http=build_http_client(
                project,
                transport=settings.transport,
                http_client=settings.http_client,
                max_connections=settings.max_connections,
                proxy=settings.proxy,
                verify=settings.verify,
                max_response_bytes=settings.max_response_bytes,
                app_name=settings.app_name,
            ),
            rate_limiter=limiter,
            budget=RetryBudget(settings.retry, clock=clock),
            clock=clock,
            random=settings.random or SystemRandom(),  # without a state that forked workers would share
            guard=LoopGuard(),
            observers=(*observer_of(settings.on_call), *watching),
            answers=None if cache is None else AnswerStore(cache, clock=clock),
            twin=partial(open_twin, CareCloud, settings),
        )
        options = ViewOptions(**settings.call_options())
        store = settings.token_store or MemoryTokenStore(clock=clock)
        make_tokens = tokens_maker(context, options=options, store=store)
        identities = IdentityRegistry(make_tokens, max_sessions=settings.max_sessions)
        own = identities.acquire(settings.auth)
        self._parts = _Parts(context=context, identities=identities, own=own, handle=own, options=options)

    @classmethod
    @takes(EnvironmentSettings)
    def from_env(cls, **settings: Any) -> CareCloud:
        """Make a client for an enterprise user from `CARECLOUD_*` variables.

        `CARECLOUD_PROJECT_URL`, `CARECLOUD_EXTERNAL_APPLICATION_ID`, `CARECLOUD_LOGIN` and `CARECLOUD_PASSWORD` are
        required, `CARECLOUD_TIMEZONE`, `CARECLOUD_LANGUAGE` and `CARECLOUD_READ_ONLY` are not. The credentials may
        stand in files that `CARECLOUD_PASSWORD_FILE` and its like name; a password in a file is read at each login.
        `CARECLOUD_PROFILE` names a profile of `config.toml`, whose values take precedence over the variables.

        Args:
            **settings: any argument of `CareCloud`; it takes precedence over profile and variables.

        Raises:
            ConfigurationError: variables are missing, or a file or profile cannot be read; the message names them.
        """
        return cls(**from_environment(settings))

    @property
    def _caller(self) -> Caller:
        return self._parts.caller

    @property
    def _acting(self) -> bool:
        # A view of the client's own identity is treated like the client itself.
        return self._parts.handle is not self._parts.own

    async def __aenter__(self) -> Self:
        self._parts.context.check()
        return self

    if not TYPE_CHECKING:  # hidden from type checkers, which must still reject `with CareCloud(…)`

        def __enter__(self):  # noqa: ANN204  (as above)
            raise ConfigurationError(
                "CareCloud is async: write `async with CareCloud(…) as client`, in an async function"
            )

        def __exit__(self, *_):  # noqa: ANN002, ANN204  (Python looks for it before it calls the other)
            """Do nothing."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        if "_parts" not in vars(self):
            return "<CareCloud that was not made: its arguments were refused>"
        parts, provider = self._parts, type(self._parts.handle.tokens.provider)
        return f"<CareCloud {parts.context.project.host} {parts.caller.interface} {provider.__name__}>"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        try:
            return handler(source)  # a model that allows arbitrary types may hold a client
        except RuntimeError as error:  # pydantic's own, in whose place FastAPI shows an advice that does not help
            raise ConfigurationError(
                "a CareCloud cannot be read from a request: in a route of FastAPI write `carecloud: CareCloudDep`, "
                "with `from carecloud_async.fastapi import CareCloudDep`"
            ) from error

    def __reduce__(self) -> NoReturn:
        raise TypeError("a CareCloud holds connections and cannot be pickled or copied: make one in each process")

    async def aclose(self) -> None:
        """Close the connections; no identity is logged out. On a view it does nothing: the client owns the pool."""
        await self._parts.context.aclose()

    @property
    def project(self) -> Project:
        """The project; `client.project.localize(dt)` gives a timestamp of the API its zone."""
        return self._parts.context.project

    @property
    def http(self) -> Any:
        """The `AsyncClient` underneath, for instrumentation. URLs in it print as path templates."""
        return self._parts.context.http.client

    def acting_as(self, auth: AuthProvider) -> CareCloud:
        """Return a view with an identity of its own on the same pool; cheap enough for one per request.

        Raises:
            ConfigurationError: the identity's device already serves another one here.
        """
        check_provider(auth)
        return _View(evolve(self._parts, handle=self._parts.identities.acquire(auth)))

    def with_options(
        self,
        *,
        language: str | None = None,
        timeout: Timeout | float | None = None,
        retry: RetryPolicy | None = None,
        read_only: bool | None = None,
    ) -> CareCloud:
        """Return a view with other options on the same pool and identity.

        A timeout given here also applies with `http_client`. The retry budget stays the client's.

        Raises:
            ConfigurationError: an option cannot work, or `read_only=False` is asked of a read-only view.
        """
        now = self._parts.options
        if now.read_only and read_only is False:
            raise ConfigurationError("read_only: this client is read-only, and so are all its views")
        given: dict[str, Any] = {"language": language, "timeout": timeout, "retry": retry, "read_only": read_only}
        options = evolve(now, **{name: value for name, value in given.items() if value is not None})
        return _View(evolve(self._parts, options=options))

    def fresh(self) -> CareCloud:
        """Return a view whose reads bypass all caches, and replace the answers in the client's."""
        return _View(evolve(self._parts, options=evolve(self._parts.options, reuses=False)))

    @property
    def auth(self) -> Any:
        """The identity as an `httpx.Auth`, also of httpx2, for an `AsyncClient` of your own.

        It makes calls to the project that the SDK does not: `httpx.AsyncClient(auth=client.auth)`. Tokens are this
        client's: one login for all, and one replay after a 401. Retries, rate limit and the bound on sizes are not part
        of it.

        Raises:
            ConfigurationError: when a request goes to another origin than the project's, which would get the token.
            CareCloudError: the login failed.
        """
        from carecloud_async._calls.auth.external import ExternalClientAuth  # few programs have a client of their own

        context = self._parts.context
        return ExternalClientAuth(self._parts.handle.tokens, origin=context.project.origin, check=context.check)

    async def login(self) -> LoggedIn:
        """Log in now and let the server check the credentials; without it the first call logs in by itself.

        A resumed session is looked up at the server. A device token that is available is returned unchanged.

        Raises:
            AuthenticationError: the credentials were refused.
            SessionExpiredError: a resumed session is over.
        """
        self._parts.context.check()
        self._parts.identities.claim(self._parts.handle)
        with self._parts.context.bounded(self._parts.options.timeout, title="login()"):
            token = await self._parts.handle.tokens.log_in()
        return logged_in(token, zone=self._parts.context.project.timezone)

    async def logout(self) -> None:
        """Log out at the server and forget the token.

        A customer's session stays ended until `login()`; a user of the enterprise interface is logged in again by the
        next call.
        """
        self._parts.context.check()
        with self._parts.context.bounded(self._parts.options.timeout, title="logout()"):
            await self._parts.handle.tokens.log_out()
        if self._parts.handle.tokens.provider.requires_relogin:
            self._parts.identities.release(self._parts.handle)

    def outbox(self, path: str | os.PathLike[str], *, wait: float = 0.0, settle: float | None = None) -> Outbox:
        """Return a queue in a file, whose writes are sent once, as soon as the server can be reached.

        ```python
        async with client.outbox("till.db") as outbox:
            await outbox.put(client.purchases.send_purchase, bill, store_id=store_id, cashdesk_number=1)
        ```
        What was put is durable when `put` returns. One process has the file open at a time.

        Args:
            path: the file; made if it is not there.
            wait: seconds to wait for another process that has the file open.
            settle: seconds after which a write whose answer was lost may be sent again; by default 120.

        Raises:
            OutboxInUseError: when it is entered: another process has the file open.
            OutboxError: when it is entered: the file is damaged, or belongs to another project or identity.
            BulkWriteError: when it is entered: the claims of this user's programs cannot be used.
        """
        from carecloud_async.outbox import Outbox  # few programs have one

        return Outbox(self._caller, path, wait=wait, settle=settle)

    def record_calls(self) -> AbstractContextManager[list[CallRecord]]:
        """Collect a `CallRecord` for each call of this client made in a block, and in tasks that are started in it.

        Calls of the client's views count, and so do logins that the calls waited for.

        ```python
        with client.record_calls() as calls:
            await client.customers.get(customer_id)
        print(calls[-1].status, calls[-1].headers.get("x-request-id"), calls[-1].seconds)
        ```
        """
        return record_calls(self._parts.context)


class _View(CareCloud):
    """A client that shares another client's pool; the settings of that client were checked already.

    Args:
        parts: the parts of the view.
    """

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts

    async def aclose(self) -> None:
        """Do nothing: the pool belongs to the client."""
