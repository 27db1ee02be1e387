"""Pages for exports: raw records with their identities, and their reader, which also reads the server's clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, TypeAlias

import msgspec
from attrs import field, frozen

from carecloud_async._base.codec.pages import Page, key_decoder
from carecloud_async._calls.call.failure import server_date
from carecloud_async._calls.call.operation import RawResponse
from carecloud_async._lists.export.reading.times import ChangeTimes
from carecloud_async._lists.paging.auto import Auto
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async._lists.paging.page_reader import PageReader

__all__ = ["Identity", "RawPage", "RawPageReader", "identify", "text_digest"]

#: The identity of a record: the text of its id, which the server may send as a number too; without one, a digest of its
#: whole text.
Identity: TypeAlias = str | bytes


@frozen(kw_only=True, repr=False)
class RawPage(Page[bytes]):
    """A page of raw records, one line of JSON each.

    Attributes:
        ids: the identity of each.
        asked: the number of records asked for.
        wanted: whether each is to be written; `None` for all.
    """

    items: list[bytes] = field(factory=list)
    total_items: int | None = None
    received: int = 0
    ids: Sequence[Identity] = ()
    asked: int = 0
    wanted: Sequence[bool] | None = None

    @property
    def end(self) -> int:
        """The offset after the last entry."""
        return self.offset + self.received

    @property
    def ends_list(self) -> bool:
        """Whether it ends where the server says that the list ends."""
        return self.end == self.total_items

    @property
    def ends_early(self) -> bool:
        """Whether it ends before the end of the list, by its own total."""
        return self.total_items is not None and self.end < self.total_items

    @property
    def has_nulls(self) -> bool:
        """Whether entries were null: the place of a record in the page is not its place in the list then."""
        return self.received != len(self.ids)

    @property
    def is_ambiguous(self) -> bool:
        """Whether two of its records have the same identity."""
        return len(set(self.ids)) != len(self.ids)


class RawPageReader(PageReader[RawPage]):
    """Reads raw pages of one list.

    Args:
        source: the list.
        width: pages in flight; `auto` for the fastest.
        by_text: whether records are identified by their whole text from the beginning.

    Attributes:
        by_text: whether records are identified by their whole text, because their ids are not unique.
        requests: the number of pages requested.
        retries: the number of these requests that had to be repeated.
        times: reads when records changed.
        is_empty: whether no page had an entry, or a total.
        began: a time before which no later change of the list will lie: the server's `Date` at its first answer, less
            the time of that answer and a second; `None` if it is unknown.
    """

    def __init__(self, source: ListSource[Any], width: int | Auto = 1, *, by_text: bool = False) -> None:
        super().__init__(source, width, fetch=self._fetch_raw)
        self._source = source
        self.by_text = by_text
        self.requests: int = 0
        self.retries: int = 0
        self.is_empty: bool = True
        self.times: ChangeTimes = ChangeTimes(source.project.timezone)
        self.began: datetime | None = None

    async def fetch(self, offset: int, count: int, sort: Mapping[str, Any]) -> RawPage:
        """Get one page of a given size.

        Args:
            offset: where it begins.
            count: the number of records to request.
            sort: the sort, in place of the list's own.

        Raises:
            CareCloudError: see `Caller.call`.
        """
        page, _ = await self._fetch_raw(offset, count, sort, fail_fast=False)
        return page

    async def _fetch_raw(
        self, offset: int, count: int, sort: Mapping[str, Any] | None, /, *, fail_fast: bool
    ) -> tuple[RawPage, RawResponse]:
        clock = self._source.clock
        self.requests += 1
        sent = clock.monotonic()
        data, response = await self._source.raw_measured(offset, count, sort, fail_fast=fail_fast)
        self.retries += response.attempts - 1
        self.is_empty = self.is_empty and not data.received and not data.total_items
        lines = data.items
        if b"null" in lines:
            lines = [line for line in lines if line != b"null"]
        if self.began is None and (date := server_date(response.headers)) is not None:
            # The server writes `Date` after it has read the list: the watermark must not lie after a change in between.
            self.began = date - timedelta(seconds=max(clock.monotonic() - sent, 0) + 1)
        page = RawPage(
            offset=offset,
            items=lines,
            ids=identify(lines, None if self.by_text else self._source.operation.id_field),
            asked=count,
            received=data.received,
            total_items=data.total_items,
        )
        return page, response


def identify(lines: list[bytes], id_field: str | None) -> list[Identity]:
    """Return the identities of records.

    Args:
        lines: the records.
        id_field: the name of their id; `None` to identify them by their whole text.
    """
    if id_field is None:
        return [*map(text_digest, lines)]
    leading = _leading_ids(lines, id_field)
    if leading is not None:
        return leading
    decoder = key_decoder(id_field)
    return [_identity(decoder, line) for line in lines]


def _leading_ids(lines: list[bytes], name: str) -> list[Identity] | None:
    """Read the ids of records that all begin with their id, a plain text; `None` for others.

    Reading each with a decoder takes four times as long, because it parses the whole record. (If a record has the
    name twice, this takes the first value and a decoder the last: either identifies the record.)
    """
    begin = len(name) + 5  # {"name":"
    try:
        heads = [line[: line.index(b'"', begin) + 1] for line in lines]
        text = b"".join(heads).decode()
    except ValueError:
        return None
    parts = text.split('"')
    count = len(lines)
    if "\\" in text or len(parts) != 4 * count + 1:
        return None
    begins_with_id = parts[0::4].count("{") == parts[1::4].count(name) == parts[2::4].count(":") == count
    return [*parts[3::4]] if begins_with_id else None


def _identity(decoder: msgspec.json.Decoder[Any], line: bytes) -> Identity:
    try:
        key: str | int | None = decoder.decode(line).key
    except (ValueError, RecursionError):
        key = None
    return text_digest(line) if key is None else str(key)


def text_digest(line: bytes) -> bytes:
    """Return what identifies a record by its whole text."""
    return sha256(line).digest()[:16]
