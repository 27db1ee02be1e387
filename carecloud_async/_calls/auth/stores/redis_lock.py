"""A lock in Redis that its holder extends while it runs; it expires soon after the holder has died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Protocol, TypeVar

import anyio

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.redis_connections import redis_library
from carecloud_async._calls.auth.stores.base import backoff_delays
from carecloud_async.errors import TokenStoreError

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.auth")

#: How long a caller waits for the server to release the lock; after that the release continues in the background.
_RELEASE_SECONDS = 1.0

#: Keeps references to running tasks: the event loop itself has only weak ones.
_releases: set[asyncio.Task[None]] = set()


class Ask(Protocol):
    """Runs work with the client and raises its failures as `TokenStoreError`."""

    async def __call__(self, work: Callable[[Any], Awaitable[T]], /) -> T:
        """Run `work` with the client."""
        ...


class RedisLock(AbstractAsyncContextManager[None]):
    """redis-py's own lock, extended every third of its time to live by a task that runs while it is held.

    That task is a plain asyncio task: a task group would wrap the body's exceptions, and cancel the body when
    the lock is lost. A lost lock is a warning, since the work under it may still succeed.

    Args:
        ask: how to reach the server.
        name: the lock's key.
        time_to_live: seconds after which the server releases a lock that is not extended.
        clock: slept on while waiting and between two extensions.
        jitter: numbers in [0, 1) that scatter the attempts.
    """

    _extender: asyncio.Task[None]  # while it is held

    def __init__(self, *, ask: Ask, name: str, time_to_live: float, clock: Clock, jitter: Callable[[], float]) -> None:
        self._ask = ask
        self._name = name
        self._time_to_live = time_to_live
        self._clock = clock
        self._jitter = jitter
        # Chosen here and not by redis-py, so that a lock can be released even if the answer to its request was lost.
        self._token = secrets.token_hex(16).encode()
        self._asked = False

    async def __aenter__(self) -> None:
        try:
            await self._acquire()
        except BaseException:
            # Cancelled or timed out: the server may have granted the lock nevertheless.
            if self._asked:
                await _finish(self._undo())
            raise
        self._extender = asyncio.create_task(self._extend_regularly())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await _finish(self._release())

    async def _acquire(self) -> None:
        for wait in backoff_delays(first=0.01, longest=0.1, jitter=self._jitter):
            if await self._ask(self._take):
                return
            await self._clock.sleep(wait)

    async def _extend_regularly(self) -> None:
        while True:
            await self._clock.sleep(self._time_to_live / 3)
            try:
                ours = await self._ask(self._extend)
            except TokenStoreError:
                continue  # the next attempt may succeed, or find the lock lost
            if not ours:
                self._warn_lost()
                return

    async def _release(self) -> None:
        extender = self._extender
        lost_already = extender.done()  # it ends by itself only when the lock is lost
        extender.cancel()
        await asyncio.wait([extender])
        try:
            ours = await self._ask(self._free)
        except TokenStoreError as error:
            _log.warning("a lock could not be given back and ends by itself within %g s: %s", self._time_to_live, error)
            return
        if not ours and not lost_already:
            self._warn_lost()

    async def _undo(self) -> None:
        with contextlib.suppress(TokenStoreError):
            await self._ask(self._free)

    async def _take(self, client: Any) -> bool:
        self._asked = True
        return bool(await self._lock(client).acquire(blocking=False, token=self._token))

    async def _extend(self, client: Any) -> bool:
        try:
            await self._lock(client).reacquire()
        except redis_library("RedisTokenStore").exceptions.LockNotOwnedError:
            return False
        return True

    async def _free(self, client: Any) -> bool:
        try:
            await self._lock(client).release()
        except redis_library("RedisTokenStore").exceptions.LockNotOwnedError:
            return False
        return True

    def _lock(self, client: Any) -> Any:
        lock = client.lock(self._name, timeout=self._time_to_live, thread_local=False)
        lock.local.token = self._token
        return lock

    def _warn_lost(self) -> None:
        _log.warning(
            "a lock on a token was lost while held (%g s without contact): another may have logged in too",
            self._time_to_live,
        )


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end even if the caller is cancelled; the caller waits for it a short time."""
    task = asyncio.create_task(work)
    _releases.add(task)
    task.add_done_callback(_releases.discard)
    with anyio.move_on_after(_RELEASE_SECONDS, shield=True):
        await asyncio.shield(task)
