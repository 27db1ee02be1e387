"""The client of an application: opened in its lifespan, and found by a dependency, also as a session's customer."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import Parameter, Signature
from typing import Annotated, Any, TypeAlias

from attrs import frozen
from fastapi import Depends, HTTPException
from starlette.requests import HTTPConnection

from carecloud_async._calls.auth.provider import AuthProvider
from carecloud_async.client import CareCloud
from carecloud_async.errors import ConfigurationError
from carecloud_async.fastapi.disconnect import cancelled_by_hang_up

DEFAULT_NAME = "default"

Opened: TypeAlias = CareCloud | AbstractAsyncContextManager[CareCloud]
Factory: TypeAlias = Callable[[], Opened | Awaitable[Opened]]
Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]


def state_key(name: str) -> str:
    """Name the attribute of `app.state` and `request.state` that holds a client."""
    return f"carecloud_{name}"


def carecloud_lifespan(
    factory: Factory, *, name: str = DEFAULT_NAME, lifespan: Lifespan | None = None
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Make the lifespan of an application that holds a client: `FastAPI(lifespan=carecloud_lifespan(make))`.

    Each worker makes its own client, in its own event loop, when it starts; nothing exists before a server forks. The
    client is `request.state.carecloud_<name>` and `app.state.carecloud_<name>`; `carecloud_dep` finds it there.

    Args:
        factory: makes the client; may be async. It may also return an async context manager that yields the client, to
            close what the client does not own: a `RedisTokenStore`, a vault.
        name: what the client is called, where there are several.
        lifespan: the application's own lifespan. It starts when the client is there and ends before it is closed; what
            it yields is kept. For several clients, another `carecloud_lifespan` with another name.
    """

    @asynccontextmanager
    async def with_client(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        if getattr(app.state, state_key(name), None) is not None:
            raise ConfigurationError(f"this application already has a client named {name!r}: give each its own name")
        made = factory()
        async with await made if inspect.isawaitable(made) else made as client:
            if not isinstance(client, CareCloud):
                raise ConfigurationError(
                    f"the factory of carecloud_lifespan must return or yield a CareCloud, not {type(client).__name__}"
                )
            async with held(app, state_key(name), client, lifespan) as state:
                yield state

    return with_client


@asynccontextmanager
async def held(app: Any, key: str, value: Any, lifespan: Lifespan | None) -> AsyncIterator[Mapping[str, Any]]:
    """Hold a value in the state of an application while its own lifespan runs; yield the state of a request."""
    setattr(app.state, key, value)
    try:
        if lifespan is None:
            yield {key: value}
        else:
            async with lifespan(app) as state:
                yield {key: value, **(state or {})}
    finally:
        delattr(app.state, key)


def find_held(connection: HTTPConnection, key: str) -> Any:
    """Return a value of the application that serves a request; `None` if there is none."""
    # A mounted application has an `app.state` of its own, and shares the state of the lifespan.
    return getattr(connection.state, key, getattr(connection.app.state, key, None))


@frozen
class ClientDependency:
    """Finds a client; equal for equal names, and so a key of `dependency_overrides`.

    Attributes:
        name: the client's name in `carecloud_lifespan`.
    """

    name: str

    async def __call__(
        self,
        connection: HTTPConnection,
        _: None = Depends(cancelled_by_hang_up, scope="function"),
    ) -> CareCloud:
        """Return the client of the application that serves this request."""
        client: CareCloud | None = find_held(connection, state_key(self.name))
        if client is not None:
            return client
        raise ConfigurationError(
            f"no client named {self.name!r} is open: make the application with "
            "FastAPI(lifespan=carecloud_lifespan(…)), and in a test enter it (`with TestClient(app) as http:`) "
            "or set app.dependency_overrides[carecloud_dep()]"
        )


def carecloud_dep(name: str = DEFAULT_NAME) -> ClientDependency:
    """Return the dependency that finds a client: `Other = Annotated[CareCloud, Depends(carecloud_dep("other"))]`.

    A browser that hangs up during a GET or HEAD cancels the handler, and with it the call upstream; other methods run
    to their end, so that no write is cut in two.

    Args:
        name: the client's name in `carecloud_lifespan`.
    """
    return ClientDependency(name)


#: The application's client: `async def show(carecloud: CareCloudDep)`.
CareCloudDep: TypeAlias = Annotated[CareCloud, Depends(carecloud_dep())]


class NoSessionError(HTTPException):
    """No customer is logged in with the application: 401. A portal handles it by showing the login page."""

    def __init__(self) -> None:
        super().__init__(401, detail="not logged in")


class CustomerDependency:
    """Makes the view of one request; see `customer_dep`.

    Args:
        load_session: the application's dependency.
        name: the client's name.
    """

    def __init__(self, load_session: Callable[..., Any], *, name: str) -> None:
        client, session = carecloud_dep(name), load_session
        self.__signature__: Signature = Signature(
            [
                Parameter("carecloud", Parameter.KEYWORD_ONLY, default=Depends(client), annotation=CareCloud),
                Parameter("session", Parameter.KEYWORD_ONLY, default=Depends(session), annotation=Any),
            ]
        )

    async def __call__(self, *, carecloud: CareCloud, session: AuthProvider | None) -> CareCloud:
        """Return the view, or refuse."""
        if session is None:
            raise NoSessionError
        return carecloud.acting_as(session)


def customer_dep(load_session: Callable[..., Any], *, name: str = DEFAULT_NAME) -> CustomerDependency:
    """Return the dependency that acts as the customer of the request.

    ```python
    async def load_session(request: Request) -> AuthProvider | None:
        kept = sessions.get(request.session.get("key"))
        return CustomerSession.resume(token_id=kept.token_id) if kept else None

    Me = Annotated[CareCloud, Depends(customer_dep(load_session))]
    ```
    The view shares the client's pool and is made for each request. The application identifies its sessions (by a
    cookie, a header), and protects itself against request forgery.

    Args:
        load_session: a dependency that returns an identity such as `CustomerSession.resume(…)`; `None` if no customer
            is logged in, which is answered with 401 (`NoSessionError`).
        name: the client's name in `carecloud_lifespan`.
    """
    return CustomerDependency(load_session, name=name)
