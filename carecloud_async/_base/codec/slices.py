"""Computations in slices: a generator that yields after about each millisecond, and returns the result.

`CooperativeScheduler` runs one on an event loop, with other tasks in between.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

__all__ = ["exhaust"]

R = TypeVar("R")


def exhaust(slices: Generator[object, None, R]) -> R:
    """Run a computation in slices at once, and return the value that its generator returns."""
    while True:
        try:
            next(slices)
        except StopIteration as end:
            result: R = end.value
            return result
