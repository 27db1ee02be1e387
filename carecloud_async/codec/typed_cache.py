"""`typed_cache`: a function's results, kept for each set of arguments; what is compiled per type is compiled once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

__all__ = ["typed_cache"]

P = ParamSpec("P")
R = TypeVar("R")


def typed_cache(function: Callable[P, R]) -> Callable[P, R]:
    """Keep every result for good, as `functools.cache` does, with the function's own signature for type checkers."""
    return cast("Callable[P, R]", functools.cache(function))
