"""An outbox that is open as long as the application; of several workers each has a file of a folder."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from attrs import frozen
from fastapi import Depends
from starlette.requests import HTTPConnection

from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async.errors import CareCloudError, ConfigurationError
from carecloud_async.fastapi.dependencies import DEFAULT_NAME, Lifespan, find_held, held, state_key
from carecloud_async.outbox import Outbox, OutboxError, OutboxInUseError

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud

__all__ = ["OutboxDep", "OutboxDependency", "outbox_dep", "outbox_lifespan"]


_logger: Final = logging.getLogger("carecloud_async.outbox")
#: Seconds between two looks at the files of workers that are gone, and the longest time for which one of them is sent.
_INTERVAL: Final = 30.0
_SENDING: Final = 300.0


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
            return _outbox_of_folder(client, Path(folder), settle=settle)
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
        async with opened(client) as outbox, held(app, _key(name), outbox, lifespan) as state:
            yield state

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
        outbox: Outbox | None = find_held(connection, _key(self.name))
        if outbox is not None:
            return outbox
        raise ConfigurationError(f"no outbox of the client {self.name!r} is open: see outbox_lifespan")


def outbox_dep(name: str = DEFAULT_NAME) -> OutboxDependency:
    """Return the dependency that finds an outbox.

    Args:
        name: the name of its client.
    """
    return OutboxDependency(name)


#: The application's outbox: `async def pay(outbox: OutboxDep)`.
OutboxDep: TypeAlias = Annotated[Outbox, Depends(outbox_dep())]


@asynccontextmanager
async def _outbox_of_folder(client: CareCloud, folder: Path, *, settle: float | None) -> AsyncIterator[Outbox]:
    """Open an outbox of the folder that no other process has open, and send the entries of unused files.

    Args:
        client: the client.
        folder: the folder, which exists.
        settle: as for `client.outbox`.
    """
    async with AsyncExitStack() as stack:
        own, outbox = await _take(stack, client, folder, settle=settle)
        tasks = await stack.enter_async_context(BackgroundTasks())
        tasks.start(_send_for_others, client, own, settle)
        yield outbox


async def _take(stack: AsyncExitStack, client: CareCloud, folder: Path, *, settle: float | None) -> tuple[Path, Outbox]:
    """Open the first file that no process has open and that can be used, or a new one."""
    while True:
        files = _files(folder)
        new = folder / f"outbox-{max((_number(file) for file in files), default=0) + 1}.db"
        for file in [*files, new]:
            try:
                return file, await stack.enter_async_context(client.outbox(file, settle=settle))
            except OutboxInUseError:
                continue
            except OutboxError as error:
                if file == new:
                    raise
                _logger.warning("an outbox of the folder is left alone: %s", error)


async def _send_for_others(client: CareCloud, own: Path, settle: float | None) -> None:
    """Send what other files hold, as long as no process has them open."""
    while True:
        await client._caller.context.clock.sleep(_INTERVAL)
        for file in _files(own.parent):
            if file == own:
                continue
            try:
                async with client.outbox(file, settle=settle) as outbox:
                    await outbox.flush(timeout=_SENDING)
            except OutboxInUseError:
                continue
            except CareCloudError as error:
                _logger.warning("an outbox of the folder is not sent: %s", error)


def _files(folder: Path) -> list[Path]:
    return sorted((file for file in folder.glob("outbox-*.db") if _number(file)), key=_number)


def _number(file: Path) -> int:
    digits = file.stem.removeprefix("outbox-")
    return int(digits) if digits.isdecimal() else 0
