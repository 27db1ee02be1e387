"""What the pages of a list show: how long it is, whether records moved, and whether its order is stable.

**The length.** Some servers leave records out of single answers, and out of their totals as well. So the records read
are held against the largest total that an answer of any pass gave. A smaller one counts instead if five answers in a
row gave no larger one: the first five, because records were created since, or the last five of a pass, because records
were deleted.

**The order.** Reading a list in pages is exact only if its order is stable; some servers shuffle the records for each
page. Shuffled pages rarely look ordered: of the n! arrangements of n records, one is sorted. A report calls a list
exact only if chance alone would make all its pages fit in at most one of `2 ** ENOUGH` lists, or if one page held the
whole list.
"""

from __future__ import annotations

import math

from attrs import define, field, frozen

from carecloud_async._lists.export.reading.pages import RawPage

__all__ = ["ENOUGH", "Overlap", "Totals", "agreeing_bits", "compare", "place_bits", "sorted_bits"]

#: Shuffled lists pass once in 16 million. A single page of 11 sorted records is as much evidence.
ENOUGH = 24.0

#: Answers in a row that confirm a total.
_CONFIRMED = 5


@define(eq=False, kw_only=True)
class Totals:
    """The length of a list, as the answers of a pass report it.

    Attributes:
        first: the largest of the first five totals; `None` before there are five.
        largest: the largest total.
        last: the last total.
        length: the first total: what a pass over a list that grows as fast as it is read is measured by.
        contradicted: whether a page held more records than its own total.
    """

    first: int | None = None
    largest: int | None = None
    last: int | None = None
    length: int | None = field(init=False)
    contradicted: bool = field(default=False, init=False)
    _is_at_start: bool = field(init=False)
    _recent: list[int] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._is_at_start, self.length = self.largest is None, self.largest

    @property
    def expected(self) -> int | None:
        """The records that a pass must find; `None` if the server did not report its totals, or wrong ones."""
        if self.largest is None or self.contradicted:
            return None
        return min(self.largest if one is None else one for one in (self.first, self._confirmed))

    @property
    def is_doubtful(self) -> bool:
        """Whether the last total is lower than another one, and too few answers show that."""
        is_confirmed = self._confirmed not in {None, self.largest}
        return not self.contradicted and self.last != self.largest and not is_confirmed

    @property
    def risen_by(self) -> int:
        """By how much the last total is greater than each of some before it."""
        return max(self._recent[-1] - max(self._recent[:-1]), 0) if len(self._recent) > 1 else 0

    @property
    def _confirmed(self) -> int | None:
        return max(self._recent) if len(self._recent) == _CONFIRMED else None

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
        self.length = total if self.length is None else self.length
        self.largest, self.last = max(self.largest or 0, total), total
        self._recent = [*self._recent[1 - _CONFIRMED :], total]
        if self._is_at_start and self._confirmed is not None:
            self.first, self._is_at_start = self._confirmed, False
        return differs


@frozen
class Overlap:
    """The result of a comparison.

    Attributes:
        changed: whether the list was seen to change.
        moved_by: by how many places records moved towards the end of the list; negative towards its beginning.
        bits: how strongly the same record in the same place shows a stable order.
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


def sorted_bits(records: float) -> float:
    """Return the evidence of a run of records in the order of their ids, in bits."""
    return math.lgamma(records + 1) / math.log(2)


def place_bits(length: int) -> float:
    """Return the evidence of the same record in the same place of two pages, in bits.

    Args:
        length: the number of records that the list has at least.
    """
    return math.log2(max(length, 1))


def agreeing_bits(pairs: int, inverted: int) -> float:
    """Return the evidence of neighbours that were both seen before, in bits: the fewer are inverted, the more of it.

    Args:
        pairs: their number.
        inverted: the number of these that have another order than before.
    """
    if not pairs or 2 * inverted >= pairs:
        return 0.0
    part = inverted / pairs
    entropy = -sum(one * math.log2(one) for one in (part, 1 - part) if one)
    return pairs * (1 - entropy)
