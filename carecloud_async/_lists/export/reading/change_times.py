"""Whether a server sorts by the time of change.

A page in order is no proof of the sort: the records of one import have the same time, and a list in the order of
creation is almost in the order of change. The proof needs three things: the times of both ends of the list are in
order; without the sort, the list begins with other records; and the times fall within a page, or the other end of the
list is older.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from carecloud_async._lists.export.reading.pages import Identity, RawPage, RawPageFetcher
from carecloud_async._lists.export.reading.times import FIELD, ChangeTime, known_times
from carecloud_async.errors import BadRequestError

__all__ = ["FAR_END", "NEAR_END", "SortProbe"]

#: The records that are compared at an end of the list.
_ROWS = 20

#: This many falling times in a row are not a coincidence.
_FALLS = 8

#: The sort that begins with the latest changes, and the one that begins with the records without a time.
NEAR_END = {"sort_field": FIELD, "sort_direction": "DESC"}
FAR_END = {"sort_field": FIELD, "sort_direction": "ASC"}


class SortProbe:
    """Finds out whether a server sorts by the time of change.

    Args:
        fetcher: fetches pages.
    """

    def __init__(self, fetcher: RawPageFetcher) -> None:
        self._fetcher = fetcher

    async def is_applied(self, near: RawPage, far: RawPage) -> bool:
        """Return whether the server applies the sort; takes a small request, in doubtful cases two.

        Args:
            near: the first page of the list, the latest change first.
            far: the first page, the latest change last.

        Raises:
            CareCloudError: a page could not be read.
        """
        times = [await self._fetcher.times.read(page.lines) for page in (near, far)]
        if not _fit(*times):
            return False
        return await self._differs(near.ids, "DESC") or await self._differs(far.ids, "ASC")

    async def _differs(self, shown: Sequence[Identity], direction: str) -> bool:
        """Return whether the list without the sort begins with other records; a few may be new ones."""
        try:
            plain = await self._fetcher.fetch(0, _ROWS, {"sort_direction": direction})
        except BadRequestError:  # a direction without a field
            plain = await self._fetcher.fetch(0, _ROWS, {})
        first = list(shown[:_ROWS])
        same = len(set(first) & set(plain.ids[: len(first)]))
        return bool(first) and 2 * same < len(first)


def _fit(near: Sequence[ChangeTime], far: Sequence[ChangeTime]) -> bool:
    """Return whether two ends of a list are in the order of change, and the far one is older."""
    falling, rising = known_times(near), known_times(far)
    if not falling or not far or any(earlier > later for earlier, later in pairwise(rising)):
        return False
    falls = sum(later < earlier for earlier, later in pairwise(falling))
    if falls != sum(later != earlier for earlier, later in pairwise(falling)):
        return False
    return falls >= _FALLS or not isinstance(far[0], datetime) or far[0] < falling[0]
