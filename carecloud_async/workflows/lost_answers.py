"""Look up what became of a write whose answer was lost."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from carecloud_async.errors import ApiError, ResponseError, TransportError

T = TypeVar("T")


async def looked_up(search: Awaitable[T | None]) -> T | None:
    """Return what a search finds, or `None` if it fails on its way.

    The line that lost an answer is likely to fail again. Raised as it is, that error would hide that the write may have
    happened, and its `is_retryable` would invite a second one: the caller raises the `OutcomeUnknownError` instead.

    Raises:
        ConflictError: the search found what it must not.
    """
    try:
        return await search
    except (TransportError, ApiError, ResponseError):
        return None
