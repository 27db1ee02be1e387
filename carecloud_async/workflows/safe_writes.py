"""Parts of all workflows that write: one write for each key at a time, and a look-up after a lost answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from carecloud_async.errors import ApiError, ResponseError, TransportError

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud

__all__ = ["looked_up", "one_write", "same_id"]

T = TypeVar("T")


@asynccontextmanager
async def one_write(client: CareCloud, *key: str) -> AsyncIterator[None]:
    """Lock a key while it is looked up and written, so that tasks of one client and its views write it once.

    Args:
        client: the client.
        *key: the kind of the record, then its ids.

    Raises:
        ClientClosedError: the client is closed.
        WrongEventLoopError: the client belongs to another event loop.
    """
    context = client._caller.context
    context.check()  # a task of another event loop must fail here, not wait for the lock
    async with context.writes.hold(key):
        yield


async def looked_up(search: Awaitable[T | None]) -> T | None:
    """Return the result of a search, or `None` if the search fails.

    The connection that lost an answer is likely to fail again. If that error were raised, it would hide that the write
    may have happened, and its `is_retryable` would invite a second write: the caller raises the first error instead.

    Raises:
        ConflictError: the search found a record of another customer.
    """
    try:
        return await search
    except (TransportError, ApiError, ResponseError):
        return None


def same_id(one: str | None, other: str | None) -> bool:
    """Return whether two ids of the server are the same; a server may write its ids in another case."""
    return one is not None and other is not None and one.casefold() == other.casefold()
