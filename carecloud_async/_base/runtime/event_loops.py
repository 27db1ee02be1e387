"""The event loop, thread and process that a client belongs to, and cancellations on asyncio and trio."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio

from carecloud_async.errors import WrongEventLoopError

if TYPE_CHECKING:
    import asyncio


def asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running event loop of asyncio; `None` on trio."""
    import asyncio  # at the top it would add 17 % to the time of importing the client; a running loop has loaded it

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def on_asyncio() -> bool:
    """Return whether asyncio runs here; otherwise it is trio."""
    return asyncio_loop() is not None


def _trio_token() -> object:
    """Return the identity of trio's running event loop.

    Raises:
        WrongEventLoopError: none is running.
    """
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            return trio.lowlevel.current_trio_token()
        except RuntimeError:
            pass
    raise WrongEventLoopError("no event loop is running: call the client from async code")


def loop_time() -> float:
    """Return the time of the running event loop, by which its cancel scopes end. See `anyio.current_time`."""
    loop = asyncio_loop()
    return anyio.current_time() if loop is None else loop.time()  # which takes an eighth of the time


def cancellation_requested() -> bool:
    """Return whether the running task itself was cancelled.

    On asyncio a task can receive a CancelledError without that: a connection pool that is closed cancels the futures
    that its users wait for.
    """
    if not on_asyncio():
        return True
    import asyncio  # as above

    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


#: The number of forks that lead to this process: it tells a child from its parent. `os.getpid()` takes a microsecond.
_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class LoopGuard:
    """Binds a client to the loop, thread and process of its first call, and refuses all others.

    Connections and locks belong to one loop; used in another they hang instead of failing.
    """

    def __init__(self) -> None:
        self._loop: object = None
        self._forks = 0
        self._binding = threading.Lock()

    @property
    def bound(self) -> bool:
        """Whether the first call was made."""
        return self._loop is not None

    def check(self) -> None:
        """Bind to the running loop on the first call; later check that it is the same.

        Raises:
            WrongEventLoopError: this is another loop, or the process was forked after the first call.
        """
        loop = asyncio_loop() or _trio_token()
        if loop is self._loop and _forks == self._forks:
            return
        with self._binding:  # two threads may make their first call at once
            if self._loop is None:
                self._loop, self._forks = loop, _forks
        if loop is self._loop and _forks == self._forks:
            return
        where = "process" if _forks != self._forks else "event loop"
        raise WrongEventLoopError(
            f"this client was opened in another {where}: make one CareCloud per event loop, thread and process, after "
            "forking (they may share a token store)"
        )


async def await_uninterrupted(work: Callable[[], Awaitable[None]], *, seconds: float) -> None:
    """Await `work` to its end, for some seconds at most, even if the caller is cancelled meanwhile.

    The cancellation takes effect afterwards. That of an anyio scope is raised at the caller's next checkpoint, that of
    `asyncio.Task.cancel()`, which anyio's shields do not stop, by this function.

    Args:
        work: returns the awaitable; on asyncio it runs in its own task.
        seconds: the time limit; afterwards the work is cancelled.

    Raises:
        Exception: whatever `work` raises; lost if the caller was cancelled by `Task.cancel()`.
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
