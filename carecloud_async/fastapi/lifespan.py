"""The client's life within the application's: opened when a worker starts, closed when its last request is done."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

from carecloud_async.client import CareCloud
from carecloud_async.errors import ConfigurationError

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
        key = state_key(name)
        if getattr(app.state, key, None) is not None:
            raise ConfigurationError(f"this application already has a client named {name!r}: give each its own name")
        async with await _made(factory) as client:
            setattr(app.state, key, _checked(client))
            try:
                if lifespan is None:
                    yield {key: client}
                else:
                    async with lifespan(app) as state:
                        yield {key: client, **(state or {})}
            finally:
                delattr(app.state, key)

    return with_client


async def _made(factory: Factory) -> Opened:
    made = factory()
    return await made if inspect.isawaitable(made) else made


def _checked(client: Any) -> CareCloud:
    if not isinstance(client, CareCloud):
        raise ConfigurationError(
            f"the factory of carecloud_lifespan must return or yield a CareCloud, not {type(client).__name__}"
        )
    return client
