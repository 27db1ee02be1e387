"""Decoding without interruptions by the garbage collector.

A page of a thousand customers is six thousand new objects. Python's collector would interrupt their decoding eight
times to search for reference cycles, find none (all objects are in use, and no record holds a cycle), and promote the
decoded ones to an older generation, so that its slow full runs come ten times as often. That was a third of the time of
a listing. Nothing stays uncollected: the collector keeps its count, and runs right after the page.
"""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["gc_paused"]

#: Whether a thread is decoding with the collector paused; a child forked at that moment must enable it again.
_paused = False

P = ParamSpec("P")
R = TypeVar("R")


def gc_paused(function: Callable[P, R]) -> Callable[P, R]:
    """Run a short function that only builds values, with the collector paused; a disabled collector stays disabled."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if not gc.isenabled():
            return function(*args, **kwargs)
        global _paused
        gc.disable()
        _paused = True
        try:
            return function(*args, **kwargs)
        finally:
            _paused = False
            gc.enable()

    return run


def _resume_in_child() -> None:
    if _paused:
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_resume_in_child)
