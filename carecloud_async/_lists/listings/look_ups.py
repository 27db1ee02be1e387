"""Look-ups by a filter, on whose answer a write depends: is the record there or not?"""

from __future__ import annotations

from typing import TypeVar

from carecloud_async._lists.listings.listing import Listing
from carecloud_async._lists.paging.auto import DEFAULT_COUNT
from carecloud_async._lists.paging.iterators import Page

__all__ = ["look_up", "look_up_page"]

T = TypeVar("T")


async def look_up(listing: Listing[T]) -> list[T]:
    """Return the records that a filter finds, past the client's cache.

    Args:
        listing: the list with its filter, from its beginning.
    """
    page = await look_up_page(listing)
    return [*page.items] if page.is_last(DEFAULT_COUNT) else [one async for one in listing.fresh()]


async def look_up_page(listing: Listing[T]) -> Page[T]:
    """Return the first page that a filter finds, past the client's cache.

    An empty page whose total is not 0 is read once more, and believed then: it contradicts itself, unless the server's
    total does not count by the filter.
    """
    page = await listing.fresh().page()
    if not page.received and page.total_items:
        page = await listing.fresh().page()
    return page
