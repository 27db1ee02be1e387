"""What the pages of a pass show of the list: whether any record may have been missed.

A pass is exact if

1. no gap is left between its pages, and nothing was concluded without proof,
2. its last page ends where its own total says, and
3. as many records were read as the list had at first, less what its count fell by. If the count changed, no page may
   be shorter than it should.

A count that falls by more than a few is believed once three answers in a row show it: some servers hide records in
single answers. Records that move back while the count does not rise by as much may stand behind one that the page
before left out: that page is read again, which finds such a record (`PageChain`).

`PassEvidence` alone decides it.
"""

from __future__ import annotations

from attrs import define, field, frozen

from carecloud_async._lists.export.reading.evidence import place_bits
from carecloud_async._lists.export.reading.pages import RawPage

__all__ = ["Overlap", "PassEvidence", "Totals", "compare"]

#: Answers in a row that show a lower count before it is believed.
_CONFIRMED = 3

#: So few records may be deleted between two answers.
_FEW = 3


@define(eq=False)
class Totals:
    """The length of a list, as the pages of a pass report it.

    Attributes:
        first: the first total; that of an earlier run if the pass continues one. `None` if the server gave none.
        gone: the number of records that the list had at first and lost since, as far as was shown.
        last: the last total.
        counted: the length that is believed: a lower total must be confirmed.
        contradicted: whether a page held more records than its own total.
        is_trusted: whether no page at the end of the list had a total below the records known.
    """

    first: int | None
    gone: int = 0
    last: int | None = None
    counted: int | None = field(default=None, init=False)
    contradicted: bool = field(default=False, init=False)
    is_trusted: bool = field(default=True, init=False)
    _lower: list[int] = field(factory=list, init=False)  # totals in a row below what is counted
    _recent: list[int] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.counted = self.last = self.first if self.last is None else self.last

    @property
    def length(self) -> int | None:
        """The length of the list at first; `None` if the server did not report it, or a wrong one."""
        return None if self.contradicted else self.first

    @property
    def promised(self) -> int | None:
        """The last total; `None` if the server gave none, or one that proved too low."""
        return self.last if self.is_trusted else None

    @property
    def is_falling(self) -> bool:
        """Whether the last totals are lower than what is counted, and not confirmed."""
        return bool(self._lower) and not self.contradicted

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
        if self.first is None:
            self.first = self.counted = total
        self._count(total)
        self._recent = [*self._recent[-_CONFIRMED:], total]
        return differs

    @property
    def risen_by(self) -> int:
        """By how much the last total is greater than each of some before it."""
        return max(self._recent[-1] - max(self._recent[:-1]), 0) if len(self._recent) > 1 else 0

    def _count(self, total: int) -> None:
        if self.counted is None or total >= self.counted:
            self.counted = total
            self._lower.clear()
            return
        self._lower.append(total)
        if len(self._lower) == _CONFIRMED or self.counted - total <= _FEW:
            highest = max(self._lower)
            self.gone += self.counted - highest
            self.counted = highest
            self._lower.clear()


@define(eq=False)
class PassEvidence:
    """Whether a pass has read every record that stayed in the list.

    Attributes:
        totals: the lengths that the server reported.
        list_changed: whether the list was seen to change.
        place_bits: how strongly records in the same place of two pages show a stable order; see `evidence`.
        nulls: the number of entries that were null in the pages.
    """

    totals: Totals
    list_changed: bool = False
    place_bits: float = 0.0
    nulls: int = 0
    _has_gap: bool = False
    _ends_early: bool = False  # whether the last page ended before its own total
    _leaves_out: bool = False  # whether a page was short of a record that the next one shows to be before it
    _has_counted_change: bool = False

    @property
    def exact(self) -> bool:
        """Whether no gap was left."""
        return not self._has_gap

    def leave_gap(self) -> None:
        """Note that records may be missing: a gap was left, or a page was taken without proof that it is the next."""
        self._has_gap = True

    def observe(self, page: RawPage) -> None:
        """Take into account the total of a page, whether or not the page is taken."""
        differs = self.totals.observe(page.total, at_least=page.end if page.received else 0)
        self._has_counted_change |= differs
        self.list_changed |= differs

    def leave_out(self) -> None:
        """Note that a page had fewer records than it should, and those after it stand further back."""
        self._leaves_out = True

    def take(self, page: RawPage, overlap: Overlap) -> None:
        """Take into account a page that is added to the pass."""
        self.list_changed |= overlap.changed
        self.place_bits += overlap.bits
        nulls = page.received - len(page.ids)
        self.nulls += nulls
        self.totals.gone += nulls  # they are counted, and no records
        self._ends_early = page.total is not None and page.end < page.total

    def is_doubtful(self, *, at_end: bool) -> bool:
        """Return whether a page left out records, or the last one ended before its own total.

        Args:
            at_end: whether the last page should end the list.
        """
        return self._leaves_out or (at_end and self._ends_early and not self.totals.contradicted)

    def falls_short(self, records: int) -> bool:
        """Return whether fewer records were read than the totals say, beyond those that are known to be gone."""
        totals = self.totals
        if totals.first is None or totals.contradicted:
            return False
        if totals.is_falling or self._ends_early or records + totals.gone < totals.first:
            return True
        return self._leaves_out and self._has_counted_change  # what was deleted may hide what was left out


@frozen
class Overlap:
    """The result of a comparison.

    Attributes:
        changed: whether the list was seen to change.
        moved_by: by how many places records moved towards the end of the list; negative towards its beginning.
        bits: how strongly the same record in the same place shows a stable order; see `evidence`.
    """

    changed: bool = False
    moved_by: int = 0
    bits: float = 0.0


def compare(before: RawPage | None, page: RawPage) -> Overlap:
    """Compare a page with the one before it; pages with nulls or without an overlap give no evidence."""
    if before is None or before.has_nulls or page.has_nulls or not before.ids or not page.ids:
        return Overlap()
    place = page.offset - before.offset  # of the page's first record in the page before
    if 0 <= place < len(before.ids) and before.ids[place] == page.ids[0]:
        return Overlap(bits=place_bits(page.end), moved_by=_moved_by(before, page) or 0)
    moved = _moved_by(before, page)
    return Overlap(changed=moved != 0 and (moved is not None or 0 <= place < len(before.ids)), moved_by=moved or 0)


def _moved_by(before: RawPage, page: RawPage) -> int | None:
    """Return by how many places the last record that both pages show has moved; `None` if there is none."""
    if before.ids[-1] == page.ids[0]:
        return page.offset - before.end + 1
    offsets = {one: offset for offset, one in enumerate(page.ids, page.offset)}
    for index in range(len(before.ids) - 1, -1, -1):
        if before.ids[index] in offsets:
            return offsets[before.ids[index]] - before.offset - index
    return None
