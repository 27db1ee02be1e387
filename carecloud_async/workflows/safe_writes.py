"""Parts of all workflows that write: one write for each key at a time, and a look-up after a lost answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from carecloud_async.errors import CareCloudError, ConflictError

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud

__all__ = ["found_after", "one_write"]

T = TypeVar("T")


@asynccontextmanager
async def one_write(client: CareCloud, *key: str) -> AsyncIterator[None]:
    """Lock a key while it is looked up and written, so that tasks of one client and its views write it once.

    Args:
        *key: the kind of the record, then its ids.

    Raises:
        ClientClosedError: the client is closed.
        WrongEventLoopError: the client belongs to another event loop.
    """
    context = client._caller.context
    context.check()  # a task of another event loop must fail here, not wait for the lock
    async with context.writes.hold(key):
        yield


async def found_after(error: CareCloudError, search: Callable[[], Awaitable[T | None]], *, refused: bool = False) -> T:
    """Return what a failed write made all the same, or raise its error.

    Args:
        error: the error of the write.
        search: looks for what the write makes. If it fails, the error of the write is raised: the connection that lost
            an answer is likely to fail again, and the second error would hide that the write may have happened, and
            invite another one.
        refused: whether to look although the server refused the write: another process may have been quicker.

    Raises:
        CareCloudError: the write did nothing, or what it makes was not found.
        ConflictError: the server refused the write, and the search found a record of another customer.
    """
    if not refused and not error.may_have_happened:
        raise error
    try:
        record = await search()
    except ConflictError:
        if not error.may_have_happened:
            raise
        record = None  # another customer's: the write that was lost may still come, or may have been made as well
    except CareCloudError:  # also of a token store or a device's token, without which nothing can be looked up
        record = None
    if not record:
        raise error
    return record
