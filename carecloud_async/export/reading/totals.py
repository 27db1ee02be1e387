"""`Totals`: the length of a list, as its pages report it while it changes."""

from __future__ import annotations

__all__ = ["Totals"]


class Totals:
    """The totals of the pages of a sweep.

    Args:
        last: the total that an earlier run saw last; `None` if the server said none.
        least: the smallest total that it saw.
        shift: see below.

    Attributes:
        first: the first total.
        last: the last one.
        least: the smallest one.
        shift: the number of records that observed deletions account for.
        contradicted: whether a page held more records than its own total.
    """

    def __init__(self, *, last: int | None, least: int | None, shift: int) -> None:
        self.first: int | None = last
        self.last: int | None = last
        self.least: int | None = least
        self.shift: int = shift
        self.contradicted: bool = False

    @property
    def length(self) -> int | None:
        """The length of the list at first; `None` if the server did not report it, or a wrong one."""
        return None if self.contradicted else self.first

    def note(self, total: int | None, *, at_least: int = 0) -> bool:
        """Note the total of a page; return whether it differs from the total of the page before.

        Args:
            total: the total.
            at_least: the length that the page itself proves.
        """
        if total is None:
            return False
        self.contradicted |= total < at_least
        differs = self.last not in {None, total}
        self.last = total
        self.least = total if self.least is None else min(self.least, total)
        if self.first is None:
            self.first = total
        return differs

    def exceed(self, records: int) -> bool:
        """Return whether records are missing by the totals, beyond those that observed changes account for."""
        return self.least is not None and records + self.shift < self.least
