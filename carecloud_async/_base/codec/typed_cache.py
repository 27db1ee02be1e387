"""`typed_cache`: caches a function's result for each set of arguments, so that decoders are compiled once per type."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

__all__ = ["typed_cache"]

P = ParamSpec("P")
R = TypeVar("R")


def typed_cache(function: Callable[P, R]) -> Callable[P, R]:
    """Cache every result, as `functools.cache` does, and keep the function's signature for type checkers."""
    return cast("Callable[P, R]", functools.cache(function))
