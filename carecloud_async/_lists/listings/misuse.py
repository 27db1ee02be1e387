"""Errors that say what to write instead, if a listing is used like a list or `collect` has no bound."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

__all__ = ["NotAList", "needs_limit"]

P = ParamSpec("P")
R = TypeVar("R")


class NotAList:
    """Base of listings; its methods are hidden from type checkers, which must still reject these uses."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __iter__(self):  # noqa: ANN204  (hidden, as below)
            raise TypeError("a Listing is async: write `async for record in listing`")

        def __await__(self):  # noqa: ANN204
            raise TypeError(
                "a Listing cannot be awaited: write `async for record in listing`, or await listing.page(), .first(), "
                ".total() or .collect(limit=…)"
            )

        def __bool__(self):  # noqa: ANN204
            raise TypeError(
                "a Listing is neither true nor false before it is read: write `if await listing.first() is not None`, "
                "or `if await listing.total()`"
            )

        def __len__(self):  # noqa: ANN204
            raise TypeError("a Listing has no length before it is read: write `await listing.total()`")

        def __getitem__(self, index):  # noqa: ANN001, ANN204
            raise TypeError(
                "a Listing has no positions: await listing.first(), or listing.collect(limit=…) and index it"
            )


def needs_limit(collect: Callable[P, R]) -> Callable[P, R]:
    """Let a call of `collect` without `limit=` raise with what to write."""

    @functools.wraps(collect)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if "limit" not in kwargs:
            raise TypeError(
                "collect() needs a bound: write `await listing.collect(limit=1000)`; `async for record in listing` "
                "reads all records"
            )
        return collect(*args, **kwargs)

    return checked
