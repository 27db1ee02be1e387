"""Decodes pages into models, in slices: a small page at once, a large one or one with misfits record by record.

There are three readers, each for what the previous one refused: msgspec (a whole page, or record by record), then
`tolerant.mended`, then `tolerant.records`. Broken JSON is repaired first.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Generic, TypeVar

from attrs import frozen

from carecloud_async._base.codec.envelope import page_decoder
from carecloud_async._base.codec.gc_pause import gc_paused
from carecloud_async._base.codec.read import REFUSED, DecodedPage, parse_total, split_page
from carecloud_async._base.codec.slices import exhaust
from carecloud_async._base.codec.unread import UnreadRecords, history_of

__all__ = ["UnreadPage", "page", "page_slices", "unread_page"]

T = TypeVar("T")

#: The largest page, in bytes, that is decoded at once, in two or three milliseconds: splitting it would add a sixth.
WHOLE_PAGE = 2**20
#: The largest page, in bytes, that is decoded at once although its records could be read a few at a time.
SMALL_PAGE = 128 * 1024


@frozen(kw_only=True, repr=False)
class UnreadPage(Generic[T]):
    """One page of a list operation, whose records are not decoded yet.

    Attributes:
        records: the records in the server's order.
        total_items: see `DecodedPage`.
        received: see `DecodedPage`.
    """

    records: UnreadRecords[T]
    total_items: int | None
    received: int

    def __repr__(self) -> str:
        return f"UnreadPage(received={self.received}, total_items={self.total_items})"


@gc_paused
def page(body: bytes, *, key: str, into: type[T], offset: int = 0) -> DecodedPage[T]:
    """Decode one page of a list operation.

    Args:
        body: the whole body of an answer.
        key: the name of the list under `data`.
        into: the model class of a record.
        offset: where the page begins; see `list_of`.

    Raises:
        Malformed: the body is no JSON object, has no `data`, or the list is missing.
    """
    return exhaust(page_slices(body, key=key, into=into, offset=offset))


def page_slices(body: bytes, *, key: str, into: type[T], offset: int = 0) -> Generator[None, None, DecodedPage[T]]:
    """Decode one page of a list operation as `page` does, in slices of a millisecond or two.

    Yields:
        None: at the end of each slice but the last.
    """
    if len(body) <= WHOLE_PAGE and not history_of(into).has_misfits:
        found = _whole(body, key, into)
        if found is not None:
            return found
        yield
    unread = _cut(body, key, into, offset)
    items = unread.records.read()
    while unread.records:
        yield
        items += unread.records.read()
    return DecodedPage(items=items, total_items=unread.total_items, received=unread.received)


def unread_page(body: bytes, *, key: str, into: type[T], offset: int = 0) -> DecodedPage[T] | UnreadPage[T]:
    """Decode one page of a list operation; the records of a large page, or one with misfits, are decoded later.

    Args:
        body: the whole body of an answer.
        key: the name of the list under `data`.
        into: the model class of a record.
        offset: where the page begins; see `list_of`.

    Raises:
        Malformed: as `page` does; the body is then valid JSON.
    """
    found = _whole(body, key, into) if len(body) <= SMALL_PAGE and not history_of(into).has_misfits else None
    return _cut(body, key, into, offset) if found is None else found


def _cut(body: bytes, key: str, into: type[T], offset: int) -> UnreadPage[T]:
    """Split a page into its records."""
    found = split_page(body, key, offset=offset)
    records = UnreadRecords(found.records, into, size=len(body))
    return UnreadPage(records=records, total_items=parse_total(found.total), received=len(found.records))


@gc_paused
def _whole(body: bytes, key: str, into: type[T]) -> DecodedPage[T] | None:
    """Decode a page at once; `None` if msgspec refuses it."""
    decoder = page_decoder(into, key)
    if decoder is None:
        return None
    try:
        found = decoder.decode(body).data
    except REFUSED:
        return None
    return DecodedPage(items=found.items, total_items=parse_total(found.total_items), received=len(found.items))
