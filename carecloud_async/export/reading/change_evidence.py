"""What pages show of a list that changes while it is read: by their totals, and where two pages overlap."""

from __future__ import annotations

from attrs import define, frozen

from carecloud_async.export.reading.evidence import place_bits
from carecloud_async.export.reading.pages import RawPage

__all__ = ["Overlap", "Totals", "compare"]


@define(eq=False)
class Totals:
    """The length of a list, as the pages of a pass report it.

    Attributes:
        first: the first total; that of an earlier run if the pass continues one. `None` if the server gave none.
        least: the smallest one.
        explained_missing: the number of records that observed deletions account for.
        last: the last one.
        contradicted: whether a page held more records than its own total.
        is_trusted: whether no page at the end of the list had a total below the records known.
    """

    first: int | None
    least: int | None
    explained_missing: int
    last: int | None = None
    contradicted: bool = False
    is_trusted: bool = True

    def __attrs_post_init__(self) -> None:
        self.last = self.first

    @property
    def length(self) -> int | None:
        """The length of the list at first; `None` if the server did not report it, or a wrong one."""
        return None if self.contradicted else self.first

    @property
    def promised(self) -> int | None:
        """The last total; `None` if the server gave none, or one that proved too low."""
        return self.last if self.is_trusted else None

    def check_last(self, total: int | None, *, known: int) -> None:
        """Compare the total of a page at the end of the list with the records known."""
        self.is_trusted = self.is_trusted and (total or 0) > known

    def observe(self, total: int | None, *, at_least: int = 0) -> bool:
        """Take the total of a page into account; return whether it differs from the total of the page before.

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

    def falls_short(self, records: int) -> bool:
        """Return whether records are missing by the totals, beyond those that observed changes account for."""
        return self.least is not None and records + self.explained_missing < self.least


@frozen
class Overlap:
    """The result of a comparison.

    Attributes:
        changed: whether the list was seen to change.
        moved_by: by how many places records were seen to move.
        bits: how strongly the same record in the same place shows a stable order; see `evidence`.
    """

    changed: bool = False
    moved_by: int = 0
    bits: float = 0.0


def compare(before: RawPage | None, page: RawPage) -> Overlap:
    """Compare a page with the one before it; pages with nulls or without an overlap give no evidence."""
    if before is None or before.has_nulls or page.has_nulls:
        return Overlap()
    place = page.offset - before.offset  # of the page's first record in the page before
    if not 0 <= place < len(before.ids):
        return Overlap()
    if before.ids[place] == page.ids[0]:
        return Overlap(bits=place_bits(page.end))
    return Overlap(changed=True, moved_by=_moved_by(before, page))


def _moved_by(before: RawPage, page: RawPage) -> int:
    """Return by how many places the first record that both pages show has moved; a whole page if there is none."""
    offsets = {one: offset for offset, one in enumerate(before.ids, before.offset)}
    for offset, one in enumerate(page.ids, page.offset):
        if one in offsets:
            return abs(offsets[one] - offset)
    return page.received
