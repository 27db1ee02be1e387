"""When the records of a page changed, and whether the server sorts by it.

A page in order is no proof of the sort: the records of one import have the same time, and a list in the order of
creation is almost in the order of change. The proof needs two things: without the sort, the list begins with other
records; and the times fall within a page, or the other end of the list is older.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from carecloud_async.codec.envelope import key_decoder
from carecloud_async.errors import BadRequestError
from carecloud_async.export.reading.pages import Identity, RawPage, RawPageFetcher
from carecloud_async.export.reading.since import FIELD, parse_last_change
from carecloud_async.runtime.threads import run_in_thread

__all__ = ["ChangeTimes", "SortProbe"]

#: The records that are compared at an end of the list.
_ROWS = 20

#: This many falling times in a row are not a coincidence.
_FALLS = 8


class ChangeTimes:
    """Reads when records changed: once for each page, in a worker thread."""

    def __init__(self) -> None:
        self._decoder = key_decoder(FIELD)
        self._last: tuple[RawPage | None, list[datetime | None]] = (None, [])

    async def read(self, page: RawPage) -> list[datetime | None]:
        """Return when each record of a page changed; the page that was read last costs nothing."""
        if page is not self._last[0]:
            lines = page.lines
            self._last = (page, await run_in_thread(lambda: [self.of(line) for line in lines]))
        return self._last[1]

    def of(self, line: bytes) -> datetime | None:
        """Return when a record changed; `None` if it does not say."""
        try:
            return parse_last_change(self._decoder.decode(line).key)
        except (ValueError, RecursionError):
            return None


class SortProbe:
    """Finds out whether a list begins with its latest changes.

    Args:
        fetcher: fetches its pages.
        times: reads when records changed.
    """

    def __init__(self, fetcher: RawPageFetcher, times: ChangeTimes) -> None:
        self._fetcher = fetcher
        self._times = times

    async def is_applied(self, page: RawPage) -> bool:
        """Return whether the server applies the sort; takes two small requests, in doubtful cases up to four.

        Args:
            page: the first page of the list, sorted by the latest change.

        Raises:
            CareCloudError: a page could not be read.
        """
        times = await self._times.read(page)
        oldest = None
        if sum(later < earlier for earlier, later in pairwise([one for one in times if one is not None])) < _FALLS:
            oldest = await self._first("ASC", sort=True)
            if not _is_older(await self._times.read(oldest), than=times):
                return False
        if await self._differs(page.ids, "DESC"):
            return True
        oldest = oldest or await self._first("ASC", sort=True)
        return await self._differs(oldest.ids, "ASC")

    async def _differs(self, shown: Sequence[Identity], direction: str) -> bool:
        """Return whether the list without the sort begins with other records; a few may be new ones."""
        try:
            plain = await self._first(direction, sort=False)
        except BadRequestError:  # a direction without a field
            plain = await self._fetcher.fetch(0, _ROWS, {})
        first = list(shown[:_ROWS])
        same = len(set(first) & set(plain.ids[: len(first)]))
        return bool(first) and 2 * same < len(first)

    async def _first(self, direction: str, *, sort: bool) -> RawPage:
        params = {"sort_field": FIELD} if sort else {}
        return await self._fetcher.fetch(0, _ROWS, {**params, "sort_direction": direction})


def _is_older(times: Sequence[datetime | None], *, than: Sequence[datetime | None]) -> bool:
    newest = next((one for one in than if one is not None), None)
    if newest is None or not times:
        return False
    oldest = times[0]
    return oldest is None or oldest < newest
