"""`ListEnd`: whether a page shows the end of a list."""

from __future__ import annotations

from typing import Final

from carecloud_async._lists.export.reading.pages import RawPage

__all__ = ["ListEnd"]

#: How often the end is read again because a later answer counts more records: no list is read forever.
_MOST_OLD: Final = 3


class ListEnd:
    """Judges the pages of one pass that may show the end of its list.

    A short page that ends where its total says is not enough: totals may be wrong, and pages cut short. The last known
    record has to be the last one of a page that is shorter than others, or nothing may follow it. Some servers leave
    the last records out of single answers and of their totals: if a later answer counts more, the end is read again.
    """

    def __init__(self) -> None:
        self._old = 0

    def is_shown_by(self, page: RawPage, *, last_total: int | None) -> bool:
        """Return whether a page shows the end.

        Args:
            page: a page whose last record is the last known one.
            last_total: the last total that an answer gave, of this page or of one that came after it.
        """
        if not page.ends_list:
            return False
        is_old = page.total is not None and page.total < (last_total or 0)
        self._old += is_old
        return not is_old or self._old > _MOST_OLD
