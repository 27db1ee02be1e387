"""Blocking work in a thread that is over, one way or the other, when the caller goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio import to_thread

T = TypeVar("T")


async def run_in_thread_uninterrupted(work: Callable[[], T]) -> T:
    """Run `work` in a worker thread; a cancellation of the caller goes on only when the thread is done.

    anyio's own shield does not hold against `asyncio.Task.cancel()`: the thread would then write on while its caller
    has already given up the lock that it writes under.

    Raises:
        Exception: whatever `work` raises.
    """
    claim = threading.Lock()
    over = threading.Event()

    def run() -> T:
        if not claim.acquire(blocking=False):
            raise RuntimeError("the caller has gone")  # into a future that nobody reads any more
        try:
            return work()
        finally:
            over.set()

    try:
        return await to_thread.run_sync(run)
    except anyio.get_cancelled_exc_class():
        # Whoever claims first decides: if the caller does, the work never starts.
        if not claim.acquire(blocking=False):
            await _outlast(over)
        raise


async def _outlast(over: threading.Event) -> None:
    with anyio.CancelScope(shield=True):
        while not over.is_set():
            try:
                await anyio.sleep(0.002)
            except anyio.get_cancelled_exc_class():
                # A second `Task.cancel()`; the first is on its way out already and raises when the work is over.
                continue
