"""Decoding without the garbage collector in between.

A page of a thousand customers is six thousand new objects. Python's collector would stop eight times in the middle of
decoding them to look for circles, find none (all of them are wanted, and no record holds a circle), and take the ones
that are decoded already for long-lived, so that its slow full runs come ten times as often. That was a third of the
time of a listing. Nothing is left uncollected: the collector's count stands, and it runs right behind the page.
"""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["gc_paused"]

#: Whether some thread is decoding with the collector at rest; a child forked at that moment must set it going again.
_resting = False

P = ParamSpec("P")
R = TypeVar("R")


def gc_paused(function: Callable[P, R]) -> Callable[P, R]:
    """Run a short function that only builds values while the collector rests; one that was off already stays off."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if not gc.isenabled():
            return function(*args, **kwargs)
        global _resting
        gc.disable()
        _resting = True
        try:
            return function(*args, **kwargs)
        finally:
            _resting = False
            gc.enable()

    return run


def _wake() -> None:
    if _resting:
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_wake)
