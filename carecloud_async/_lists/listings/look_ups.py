"""Look-ups by a filter, on whose answer a write depends: is the record there or not?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from carecloud_async._base.codec import Page
from carecloud_async._lists.listings.listing import Listing
from carecloud_async._lists.paging.auto import DEFAULT_COUNT
from carecloud_async._lists.paging.iterators import is_last

__all__ = ["look_up", "look_up_page", "read_page"]


T = TypeVar("T")


async def look_up(listing: Listing[T]) -> list[T]:
    """Return the records that a filter finds, past the client's cache.

    Args:
        listing: the list with its filter, from its beginning.
    """
    page = await look_up_page(listing)
    return [*page.items] if is_last(page, DEFAULT_COUNT) else [record async for record in listing.fresh()]


async def look_up_page(listing: Listing[T]) -> Page[T]:
    """Return the first page that a filter finds, past the client's cache; see `read_page`."""
    return await read_page(lambda: listing.fresh().page())


async def read_page(read: Callable[[], Awaitable[Page[T]]]) -> Page[T]:
    """Return the page that a look-up reads.

    An empty page whose total is not 0 is read once more, and believed then: it contradicts itself, unless the server's
    total does not count by the filter.
    """
    page = await read()
    return await read() if not page.received and page.total_items else page
