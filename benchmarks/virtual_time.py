"""An asyncio event loop whose time jumps to the next timer whenever nothing else is to be done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector:
    def __init__(self, selector: Any, loop: "VirtualLoop") -> None:
        self._selector = selector
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        events = self._selector.select(0)
        if not events and timeout:
            self._loop.now += timeout
        return events

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. Nothing in it may wait for another thread or a socket.

    Attributes:
        now: its time, in seconds.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__()
        self._selector = _JumpingSelector(self._selector, self)  # type: ignore[has-type]
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Return the virtual time."""
        return self.now


def run_virtually(work: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """Run a coroutine; return its result and the virtual seconds that it took."""
    loop = VirtualLoop()
    began = loop.now
    try:
        return loop.run_until_complete(work), loop.now - began
    finally:
        loop.close()
