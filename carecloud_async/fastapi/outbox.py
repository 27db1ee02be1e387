"""An outbox that is open as long as the application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from attrs import frozen
from fastapi import Depends
from starlette.requests import HTTPConnection

from carecloud_async.errors import ConfigurationError
from carecloud_async.fastapi.dependencies import DEFAULT_NAME, Lifespan, state_key
from carecloud_async.outbox import Outbox, OutboxError
from carecloud_async.outbox.tables import KIND

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud

__all__ = ["OutboxDep", "OutboxDependency", "outbox_dep", "outbox_lifespan"]


#: Seconds between two attempts to open a file that another process has open.
_INTERVAL: Final = 0.25


def _key(name: str) -> str:
    return f"{state_key(name)}_outbox"


def outbox_lifespan(
    path: str | os.PathLike[str] | Callable[[], str | os.PathLike[str]],
    *,
    name: str = DEFAULT_NAME,
    lifespan: Lifespan | None = None,
    wait: float = 20.0,
    settle: float | None = None,
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Make a lifespan that holds an outbox open, inside that of its client.

    ```python
    app = FastAPI(lifespan=carecloud_lifespan(CareCloud.from_env, lifespan=outbox_lifespan("shop.db")))
    ```
    One process has a file open at a time: with several workers, give each a file of its own, whose name a function
    makes. The entries of a worker that has gone wait until a worker opens its file.

    Args:
        path: the file, or a function that returns it when a worker starts.
        name: the name of the client in `carecloud_lifespan`.
        lifespan: the application's own lifespan. It starts when the outbox is open and ends before it is closed.
        wait: seconds to wait for a file that another process has open, as the worker that ends does while its successor
            starts. By default less than the 30 seconds after which gunicorn kills a worker that does not start.
        settle: as for `client.outbox`.

    Raises:
        OutboxError: when the application starts: another process still has the file open; or see `client.outbox`.
    """

    @asynccontextmanager
    async def with_outbox(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        client = getattr(app.state, state_key(name), None)
        if client is None:
            raise ConfigurationError(
                f"no client named {name!r} is open: write "
                "FastAPI(lifespan=carecloud_lifespan(…, lifespan=outbox_lifespan(…)))"
            )
        file = Path(path() if callable(path) else path)
        async with AsyncExitStack() as stack:
            outbox = await _open(stack, client, file, seconds=wait, settle=settle)
            setattr(app.state, _key(name), outbox)
            try:
                if lifespan is None:
                    yield {_key(name): outbox}
                else:
                    async with lifespan(app) as state:
                        yield {_key(name): outbox, **(state or {})}
            finally:
                delattr(app.state, _key(name))

    return with_outbox


async def _open(
    stack: AsyncExitStack, client: CareCloud, file: Path, *, seconds: float, settle: float | None
) -> Outbox:
    """Open an outbox, and wait for some seconds if another process has it open."""
    clock = client._caller.context.clock
    until = clock.monotonic() + seconds
    while True:
        try:
            return await stack.enter_async_context(client.outbox(file, settle=settle))
        except OutboxError as error:
            is_in_use = error.problem == KIND.in_use(file).problem
            if not is_in_use or not clock.monotonic() < until:
                raise
        await clock.sleep(_INTERVAL)


@frozen
class OutboxDependency:
    """Finds an outbox; equal for equal names, and so a key of `dependency_overrides`.

    Attributes:
        name: the name of its client.
    """

    name: str

    def __call__(self, connection: HTTPConnection) -> Outbox:
        """Return the outbox of the application that serves this request."""
        for state in (connection.state, connection.app.state):
            outbox: Any = getattr(state, _key(self.name), None)
            if outbox is not None:
                return outbox  # type: ignore[no-any-return]
        raise ConfigurationError(f"no outbox of the client {self.name!r} is open: see outbox_lifespan")


def outbox_dep(name: str = DEFAULT_NAME) -> OutboxDependency:
    """Return the dependency that finds an outbox.

    Args:
        name: the name of its client.
    """
    return OutboxDependency(name)


#: The application's outbox: `async def pay(outbox: OutboxDep)`.
OutboxDep: TypeAlias = Annotated[Outbox, Depends(outbox_dep())]
