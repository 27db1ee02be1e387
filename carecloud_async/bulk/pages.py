"""Read what a filter finds: believed only if it is one page, or was read exactly."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async.errors import ExportError

if TYPE_CHECKING:
    from carecloud_async._base.codec import Page
    from carecloud_async._lists.listings.listing import Listing
from carecloud_async._lists.listings.look_ups import read_page

#: Records of a page.
PAGE: Final = 1000


class TooManyError(Exception):
    """The records found may be more than one page: look fewer values up at once.

    Attributes:
        received: how many records the server sent.
    """

    def __init__(self, received: int) -> None:
        super().__init__(received)
        self.received = received


class TakenError(Exception):
    """A key is taken by a record that cannot be read; the message says which."""


async def read_some(listing: Listing[Any], *, alone: bool) -> Sequence[bytes]:
    """Return the records that a filter finds, each once.

    Pages are no means to read them: what is deleted or moves between two of them hides a record. For an empty first
    page see `read_page`.

    Args:
        listing: the list with its filter.
        alone: whether the filter has one value and cannot be cut.

    Raises:
        TooManyError: they may be more than one page, and the filter can be cut.
        ExportError: they may be more than one page, and cannot be read exactly.
    """
    first = await read_page(lambda: _page(listing, offset=0))
    if await _is_all(listing, first):
        return first.items
    if not alone:
        raise TooManyError(first.received)
    with tempfile.TemporaryDirectory(prefix="carecloud-bulk-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "list.jsonl"
        await read_all(listing, path)
        return await run_in_thread(lambda: [*lines_of(path)])


async def read_records(listing: Listing[Any]) -> Sequence[bytes]:
    """Return the records that a filter of one value finds, each once.

    Raises:
        ExportError: they cannot be read exactly, or one of them is shown as null or as an empty list.
    """
    lines = await read_some(listing, alone=True)
    if not all(line.startswith(b"{") for line in lines):
        raise ExportError("the server shows an entry that is no record, which may be the one that is looked for")
    return lines


async def read_all(listing: Listing[Any], path: Path) -> None:
    """Write a whole list to a JSON Lines file, each record once.

    Raises:
        ExportError: it cannot be read exactly: it may lack a record.
    """
    try:
        report = await listing.export(path, overwrite=True)
    except BaseException:
        await run_in_thread_regardless(partial(path.unlink, missing_ok=True))
        raise
    if not report.exact:
        await run_in_thread_regardless(partial(path.unlink, missing_ok=True))
        reason = report.reasons[0]
        error = ExportError(f"the list cannot be read exactly: {reason.seen}", fix=reason.fix)
        error.is_retryable = reason.may_pass
        raise error


def lines_of(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file."""
    with path.open("rb") as lines:
        for line in lines:
            yield line.rstrip(b"\n")


async def sample(listing: Listing[Any]) -> tuple[Page[bytes], int]:
    """Return the first page of a list and how many records the server gives a request."""
    page = await _page(listing, offset=0)
    # Servers may give fewer records a page than they are asked for.
    return page, min(max(page.received, 1), PAGE)


async def _is_all(listing: Listing[Any], first: Page[bytes]) -> bool:
    """Return whether nothing follows the first page.

    A page after it does not prove that: if a record of the first page is deleted, the next one moves to its place, and
    is on neither. So the second page begins with the last record of the first, and must show only that one.
    """
    received, total = first.received, first.total_items
    if not listing.export_source().operation.paged or not received or (received < PAGE and received == total):
        return True
    if received == PAGE:
        return False
    # The server caps its pages, or its total is wrong; or it ignores `offset`, and shows the same page again.
    overlap = int(received > 1)  # if the server gives one record a page, an overlap would hide the next one
    second = await _page(listing, offset=received - overlap)
    ignores_offset = second.items == first.items and (total is None or total < received)
    return second.total_items == total and (second.items == first.items[received - overlap :] or ignores_offset)


async def _page(listing: Listing[Any], *, offset: int) -> Page[bytes]:
    page, _ = await listing.export_source().raw_measured(offset, PAGE)
    return page
