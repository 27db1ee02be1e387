"""Pages for exports: raw records with their identities; counts requests and reads the server's clock."""

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
from carecloud_async._lists.export.source import ExportSource

__all__ = ["Identity", "RawPage", "RawPageFetcher", "text_digest"]

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


class RawPageFetcher:
    """Fetches the pages of one list.

    Args:
        source: the list.
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

    def __init__(self, source: ExportSource, *, by_text: bool = False) -> None:
        self._source = source
        self._id_field = source.operation.id_field
        self.by_text = by_text
        self.requests: int = 0
        self.retries: int = 0
        self.is_empty: bool = True
        self.times: ChangeTimes = ChangeTimes(source.project.timezone)
        self.began: datetime | None = None

    async def fetch(self, offset: int, count: int, params: Mapping[str, Any]) -> RawPage:
        """Get one page; see `fetch_measured`."""
        page, _ = await self.fetch_measured(offset, count, params)
        return page

    async def fetch_measured(
        self, offset: int, count: int, params: Mapping[str, Any], *, fail_fast: bool = False
    ) -> tuple[RawPage, RawResponse]:
        """Get one page with its response.

        Args:
            offset: where it begins.
            count: the number of records to request.
            params: the sort, in place of the list's own.
            fail_fast: see `page_plan.Send`.

        Raises:
            CareCloudError: see `Caller.call`.
        """
        source = self._source
        query = {**source.params, **params}
        if source.operation.paged:
            query |= {"count": count, "offset": offset}
        self.requests += 1
        sent = source.clock.monotonic()
        fetch = source.fetch_fail_fast if fail_fast and source.fetch_fail_fast is not None else source.fetch
        answer = await fetch(query)
        response, data = answer.response, answer.data
        self.retries += response.attempts - 1
        self.is_empty = self.is_empty and not data.received and not data.total_items
        lines = data.items
        if b"null" in lines:
            lines = [line for line in lines if line != b"null"]
        if self.began is None and (date := server_date(response.headers)) is not None:
            # The server writes `Date` after it has read the list: the watermark must not lie after a change in between.
            self.began = date - timedelta(seconds=max(source.clock.monotonic() - sent, 0) + 1)
        page = RawPage(
            offset=offset,
            items=lines,
            ids=self.identify(lines),
            asked=count,
            received=data.received,
            total_items=data.total_items,
        )
        return page, response

    def identify(self, lines: list[bytes]) -> list[Identity]:
        """Return the identities of records."""
        name = self._id_field
        if name is None or self.by_text:
            return [*map(text_digest, lines)]
        leading = _leading_ids(lines, name)
        if leading is not None:
            return leading
        decoder = key_decoder(name)
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
