"""What the pages of a list show: its length, the order of its ids, and whether that order is stable.

**The length.** Some servers leave records out of single answers, and out of their totals as well. The number of records
read is therefore compared with the largest total that an answer of any pass gave. A smaller total counts instead if
five answers in a row gave no larger one: the first five, because records were created since, or the last five of a
pass, because records were deleted.

Others show too few records while an index lags behind, and their totals are right. When it has caught up, the records
move towards the end of the list, and the total does not rise. Nothing else explains that while no deletion is seen.

**The order of ids.** The API does not say how ids are compared, so the usual orders are all candidates: by text, as
numbers in text, ignoring case, each rising and falling. Every page rules out the orders that it contradicts. Nothing is
decided while the remaining candidates disagree.

**Whether it is stable.** Reading a list in pages is exact only if its order is stable; some servers shuffle the records
for each page. Shuffled pages rarely look ordered: of the n! arrangements of n records, one is sorted. A report calls a
list exact only if chance alone would make all its pages fit in at most one of `2 ** ENOUGH` lists, or if one page held
the whole list.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Sequence
from typing import Any

from carecloud_async._lists.export.reading.pages import Identity, RawPage
from carecloud_async._lists.export.storage.checkpoint import Position

__all__ = [
    "CONFIRMED",
    "ENOUGH",
    "Doubts",
    "IdOrder",
    "Totals",
    "agreeing_bits",
    "place_bits",
    "sorted_bits",
]

#: Shuffled lists pass once in 16 million. A single page of 11 sorted records is as much evidence.
ENOUGH = 24.0

#: Answers in a row that confirm a total.
CONFIRMED = 5
_Keys = Sequence[Any] | None


class Totals:
    """The length of a list, as the answers of a pass report it.

    Args:
        first: the largest of the first five totals; `None` before there are five.
        largest: the largest total.
        last: the last total.

    Attributes:
        first, largest, last: see above.
        length: the first total: what a pass over a list that grows as fast as it is read is measured by.
        contradicted: whether a page held more records than its own total.
        has_changed: whether a total differed from that of the page before.
    """

    def __init__(self, *, first: int | None = None, largest: int | None = None, last: int | None = None) -> None:
        self.first: int | None = first
        self.largest: int | None = largest
        self.last: int | None = last
        self.length: int | None = largest
        self.contradicted: bool = False
        self.has_changed: bool = False
        self._is_at_start = largest is None
        self._largest_before: int | None = None
        self._recent: list[int] = []

    @property
    def expected(self) -> int | None:
        """The records that a pass must find; `None` if the server did not report its totals, or wrong ones."""
        if self.largest is None or self.contradicted:
            return None
        return min(self.largest if one is None else one for one in (self.first, self._confirmed))

    @property
    def is_doubtful(self) -> bool:
        """Whether the last total is lower than another one, and too few answers show that."""
        believed = self.largest if self._confirmed is None else self._confirmed
        return not self.contradicted and self.last != believed

    @property
    def risen_by(self) -> int:
        """By how much the last total is greater than those before it: the last ones, or all if these are too few."""
        before = max(self._recent[:-1]) if len(self._recent) == CONFIRMED else self._largest_before
        return 0 if before is None or not self._recent else max(self._recent[-1] - before, 0)

    @property
    def surely_risen_by(self) -> int:
        """By how much the last total is greater than those before it, or 0 while these are too few to be believed."""
        return self.risen_by if len(self._recent) == CONFIRMED else 0

    @property
    def _confirmed(self) -> int | None:
        return max(self._recent) if len(self._recent) == CONFIRMED else None

    def observe(self, total: int | None, *, at_least: int = 0) -> bool:
        """Take the total of a page into account; return whether it differs from the total of the page before.

        Args:
            at_least: the length that the page itself proves.
        """
        if total is None:
            return False
        self.contradicted |= total < at_least
        differs = self.last not in {None, total}
        self.has_changed |= differs
        self.length = total if self.length is None else self.length
        self._largest_before = self.largest
        self.largest, self.last = max(self.largest or 0, total), total
        self._recent = [*self._recent[1 - CONFIRMED :], total]
        if self._is_at_start and self._confirmed is not None:
            self.first, self._is_at_start = self._confirmed, False
        return differs


class Doubts:
    """What speaks against it that a pass found every record.

    Args:
        position: what an earlier run of the pass left.
        shown: see `ListPass`.

    Attributes:
        ends_early: whether the last page ended before its own total.
        cut: the length of the last page if it was shorter than asked, and its total says that more records follow.
        leaves_out: whether a page may have left out records: it was shorter than others, and more records followed, or
            its total was lower than that of a later page.
        passed_over: the ids that only pages showed which were not taken: the pages that were taken left them out, or
            they were deleted.
        shown: the records that the pass showed.
        found_again: those of them that a page showed only when it was read again, while the total changed: they were
            left out before, or are new.
        index_lags: whether a page was empty in spite of its total: a search index lagged behind then.
    """

    def __init__(self, position: Position, shown: Collection[Identity] = ()) -> None:
        self.ends_early: bool = False
        self.cut: int = position.cut
        self.leaves_out: bool = position.leaves_out
        self.passed_over: set[Identity] = {*shown}
        self.shown: int = 0
        self.index_lags: bool = False
        self.found_again: int = position.found_again
        self._is_resumed: bool = position.end >= 0
        self._appeared: bool = False
        self._has_shrunk: bool = False

    @property
    def has_gaps(self) -> bool:
        """Whether records of the list may not have been taken."""
        return self._has_left_out or bool(self.passed_over)

    @property
    def _has_left_out(self) -> bool:
        return self.leaves_out or (self._appeared and not self._has_shrunk)

    def is_cut(self, largest: int) -> bool:
        """Return whether the last page was cut, or left out records: the largest page had more of them."""
        return 0 < self.cut < largest

    def observe(self, page: RawPage, *, new: int, largest: int, again: bool) -> None:
        """Note what a page shows that was taken.

        Args:
            new: the number of its records that were not known.
            largest: the most records that a page had.
            again: whether it was read again while the total changed.
        """
        self.leaves_out |= self.is_cut(largest) and new > 0
        self.ends_early = page.ends_early
        self.cut = page.received if page.received < page.asked and not page.ends_list else 0
        self.passed_over.difference_update(page.ids)
        self.shown += new
        self.found_again += new if again else 0

    def observe_move(self, before: RawPage, page: RawPage, moved_by: int) -> None:
        """Note by how many places records moved towards the end of a list in the order of its ids, between two pages.

        If they moved by more than the total rose, and no page shows that records are deleted, then earlier pages left
        out what is before them now. A page that was requested ahead may show an older list than the one before it.
        """
        if page.arrived < before.arrived:
            before, page, moved_by = page, before, -moved_by
        risen_by = (page.total or 0) - (before.total or 0)
        self._appeared |= moved_by > max(risen_by, 0)
        # With a smaller total, the page may be the older one: an answer that took longer than the one before it.
        self._has_shrunk |= moved_by < 0 <= risen_by

    def prevail(self, *, records: int, least: int | None, changed: bool) -> bool:
        """Return whether records may be missing.

        Args:
            records: the records known, from this pass and others.
            least: the records that the totals promise; `None` if they say nothing.
            changed: whether the total changed during the pass.
        """
        if least is None or self.passed_over:
            return bool(self.passed_over)
        if self.ends_early or records - self.found_again < least:
            return True
        if self.shown < least and self.index_lags and not (changed or self._is_resumed):
            return True  # what other passes showed may be deleted
        # What was deleted, in this pass or since another one, may hide what was left out.
        return self._has_left_out and (changed or self.shown < least)


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


def _text(ids: Sequence[Identity]) -> _Keys:
    return ids if set(map(type, ids)) <= {str} else None


def _number(ids: Sequence[Identity]) -> _Keys:
    try:
        return [_to_int(one) for one in ids]
    except ValueError:
        return None


def _to_int(one: Identity) -> int:
    if isinstance(one, str) and one.isascii() and one.removeprefix("-").isdigit() and len(one) < 40:
        return int(one)
    raise ValueError


def _casefold(ids: Sequence[Identity]) -> _Keys:
    texts = _text(ids)
    if texts is None:
        return None
    together = "".join(texts)
    return texts if together.casefold() == together else [one.casefold() for one in texts]


#: The usual orders; a name with `-` before it is the falling order.
_KEYS: dict[str, Callable[[Sequence[Identity]], _Keys]] = {"text": _text, "number": _number, "casefold": _casefold}


_NAMES = (*_KEYS, *(f"-{name}" for name in _KEYS))


class IdOrder:
    """The orders that agree with all pages so far.

    Args:
        names: the remaining orders; all by default.
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.names: list[str] = [name for name in _NAMES if names is None or name in names]

    def check(self, ids: Sequence[Identity]) -> bool:
        """Drop the orders that a run of ids contradicts; return whether any remains."""
        self.names = [name for name in self.names if _is_sorted(name, ids)]
        return bool(self.names)

    def compare(self, one: Identity, other: Identity) -> int:
        """Return -1 if an id comes before another, 1 if after it, 0 if the remaining orders disagree."""
        signs = {_compare(name, one, other) for name in self.names}
        return signs.pop() if len(signs) == 1 else 0


def _is_sorted(name: str, ids: Sequence[Identity]) -> bool:
    keys = _KEYS[name.removeprefix("-")](ids)
    before = operator.gt if name.startswith("-") else operator.lt
    return keys is not None and all(map(before, keys, keys[1:]))


def _compare(name: str, one: Identity, other: Identity) -> int:
    keys = _KEYS[name.removeprefix("-")]([one, other])
    if keys is None or keys[0] == keys[1]:
        return 0
    return -1 if (keys[0] < keys[1]) != name.startswith("-") else 1
