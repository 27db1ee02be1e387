"""Locks by key, on asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

import anyio

__all__ = ["KeyedLock"]


class _Entry:
    """The lock of one key.

    Attributes:
        users: tasks that hold it or wait for it.
    """

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.users = 0


class KeyedLock:
    """Locks by key: tasks with the same key take turns in the order of their arrival, others do not wait.

    A key is removed when its last task leaves, so memory does not grow with the number of keys.
    """

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}

    def __len__(self) -> int:
        """Number of keys that are held or waited for."""
        return len(self._entries)

    def __repr__(self) -> str:
        # Keys are external ids and card numbers.
        return f"<KeyedLock with {len(self)} keys>"

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Hold the lock of a key in a block: `async with lock.hold(key):`. It is not reentrant.

        Args:
            key: the key, which only one task holds at a time.
        """
        entry = self._entries.setdefault(key, _Entry())
        entry.users += 1
        try:
            async with entry.lock:
                yield
        finally:
            entry.users -= 1
            if not entry.users:
                del self._entries[key]
