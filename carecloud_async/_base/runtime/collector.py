"""Values that code inside a block reports, however deep it is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

__all__ = ["Collector"]

T = TypeVar("T")


class Collector(Generic[T]):
    """Collects values in a block, from the task of the block and the tasks that it starts.

    It spares the functions in between, which may be a user's own, a parameter.

    Args:
        name: for debugging.
    """

    def __init__(self, name: str) -> None:
        self._values: ContextVar[list[T] | None] = ContextVar(f"carecloud_{name}", default=None)

    @contextmanager
    def collect(self) -> Iterator[list[T]]:
        """Collect what is added inside the block; a block inside another one collects for itself."""
        values: list[T] = []
        reset = self._values.set(values)
        try:
            yield values
        finally:
            self._values.reset(reset)

    def add(self, value: T) -> None:
        """Add a value to the block around the caller; without one, nothing happens."""
        values = self._values.get()
        if values is not None:
            values.append(value)
