"""Awaits work that must be finished, at the server or in a store, before a cancellation takes effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from carecloud_async._base.runtime.event_loops import on_asyncio

__all__ = ["await_uninterrupted"]


async def await_uninterrupted(work: Callable[[], Awaitable[None]], *, seconds: float) -> None:
    """Await `work` to its end, for some seconds at most, even if the caller is cancelled meanwhile.

    A scope that was cancelled ends its block at the next checkpoint, and `asyncio.Task.cancel()`, which passes anyio's
    shields, is raised when the work has ended.

    Args:
        work: returns the awaitable; on asyncio it runs in its own task.
        seconds: the time limit; afterwards the work is cancelled.

    Raises:
        Exception: whatever `work` raises, unless the caller was cancelled by `Task.cancel()`.
    """

    async def bounded() -> None:
        with anyio.move_on_after(seconds, shield=True):
            await work()

    if not on_asyncio():
        await bounded()
        return
    import asyncio  # loaded already

    task = asyncio.create_task(bounded())
    cancelled: BaseException | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it
        raise cancelled
    task.result()
