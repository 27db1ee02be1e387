"""`Spool`: a file in memory that one thread fills and another empties."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

__all__ = ["Spool"]


class Spool:
    """Keeps written bytes, in their order, until they are read."""

    def __init__(self) -> None:
        self._data: deque[bytes] = deque()

    def write(self, data: bytes) -> int:
        """Keep some bytes."""
        self._data.append(data)
        return len(data)

    def take(self) -> Iterator[bytes]:
        """Yield the bytes not yet read."""
        while self._data:
            yield self._data.popleft()
