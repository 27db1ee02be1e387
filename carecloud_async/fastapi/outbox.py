"""An outbox that is open as long as the application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from attrs import frozen
from fastapi import Depends
from starlette.requests import HTTPConnection

from carecloud_async.errors import ConfigurationError
from carecloud_async.fastapi.dependencies import DEFAULT_NAME, Lifespan, state_key
from carecloud_async.fastapi.outbox_folder import outbox_of_folder
from carecloud_async.outbox import Outbox

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud

__all__ = ["OutboxDep", "OutboxDependency", "outbox_dep", "outbox_lifespan"]


def _key(name: str) -> str:
    return f"{state_key(name)}_outbox"


def outbox_lifespan(
    path: str | os.PathLike[str] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    name: str = DEFAULT_NAME,
    lifespan: Lifespan | None = None,
    wait: float = 20.0,
    settle: float | None = None,
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Make a lifespan that holds an outbox open, inside that of its client.

    ```python
    app = FastAPI(lifespan=carecloud_lifespan(CareCloud.from_env, lifespan=outbox_lifespan("shop.db")))
    ```
    One process has a file open at a time. With several workers give a folder: each worker takes a file in it that no
    living process has, or makes one, and every half minute a worker sends what the files of workers that are gone
    hold. Entries of one customer are sent in order within a file, and in any order between files.

    Args:
        path: the file, for one worker.
        folder: the folder, for several workers; made if it is not there.
        name: the name of the client in `carecloud_lifespan`.
        lifespan: the application's own lifespan. It starts when the outbox is open and ends before it is closed.
        wait: seconds to wait for a `path` that another process has open, as the worker that ends does while its
            successor starts. By default less than the 30 seconds after which gunicorn kills a worker that does not
            start.
        settle: as for `client.outbox`.

    Raises:
        ConfigurationError: neither a file nor a folder was given, or both.
        OutboxInUseError: when the application starts: another process still has the file open.
        OutboxError: when the application starts; see `client.outbox`.
    """
    if (path is None) == (folder is None):
        raise ConfigurationError('give outbox_lifespan one of the two: a file ("shop.db"), or folder="boxes"')

    def opened(client: CareCloud) -> AbstractAsyncContextManager[Outbox]:
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
            return outbox_of_folder(client, Path(folder), settle=settle)
        assert path is not None  # noqa: S101  (checked above)
        return client.outbox(path, wait=wait, settle=settle)

    @asynccontextmanager
    async def with_outbox(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        client = getattr(app.state, state_key(name), None)
        if client is None:
            raise ConfigurationError(
                f"no client named {name!r} is open: write "
                "FastAPI(lifespan=carecloud_lifespan(…, lifespan=outbox_lifespan(…)))"
            )
        async with opened(client) as outbox:
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
