"""Outboxes of several workers in one folder: each worker has a file, and those of workers that are gone are sent."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async.errors import CareCloudError
from carecloud_async.outbox import Outbox, OutboxError, OutboxInUseError

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud

__all__ = ["outbox_of_folder"]

_logger: Final = logging.getLogger("carecloud_async.outbox")
#: Seconds between two looks at the files of workers that are gone, and the longest time for which one of them is sent.
_INTERVAL: Final = 30.0
_SENDING: Final = 300.0


@asynccontextmanager
async def outbox_of_folder(client: CareCloud, folder: Path, *, settle: float | None) -> AsyncIterator[Outbox]:
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
