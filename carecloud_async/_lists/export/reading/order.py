"""What the answers of a sweep say of its list: its length, and whether its order is stable.

**The length.** A sweep must show as many records as the largest total of any answer. A smaller total counts instead if
five answers in a row gave no larger one: the first five, because records were created since, or the last five, because
records were deleted.

**The order.** The API does not say how ids are compared, so the usual orders are all candidates: by text, as numbers in
text, ignoring case, each rising and falling. Every page rules out those that it contradicts. Shuffled pages rarely look
ordered: of the n! arrangements of n records, one is sorted. In any other order, pages that overlap show whether it is
stable: they agree on the order of the records that both show.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from carecloud_async._lists.export.reading.pages import Identity

__all__ = ["ENOUGH", "ListOrder", "Totals", "comes_before", "sorted_bits"]

#: Answers in a row that confirm a total: a smaller one than the largest counts only then.
CONFIRMED = 5
#: Bits of evidence: chance alone makes one of 16 million shuffled lists look ordered.
ENOUGH = 24.0

_Keys = Sequence[Any] | None


def sorted_bits(records: float) -> float:
    """Return the evidence of a run of records in a known order, in bits."""
    return math.lgamma(records + 1) / math.log(2)


class Totals:
    """The length of the list, as the answers of a sweep report it, in the order in which they arrived.

    Args:
        largest, first: see below; those of earlier sweeps, and of the earlier run of this one.

    Attributes:
        largest: the largest one, of earlier sweeps too.
        length: the first one: what a sweep of a list that grows as fast as it is read is measured by.
        first: the largest of the first five.
        recent: the last five.
        has_changed: whether two of them differ.
    """

    def __init__(self, *, largest: int | None = None, first: int | None = None) -> None:
        self.largest: int | None = largest
        self.length: int | None = None
        self.first: int | None = first
        self.recent: list[int] = []
        self.has_changed: bool = False

    @property
    def last(self) -> int | None:
        """The last one."""
        return self.recent[-1] if self.recent else None

    @property
    def _confirmed(self) -> int | None:
        return max(self.recent) if len(self.recent) == CONFIRMED else None

    @property
    def expected(self) -> int | None:
        """The records that the sweep must show; `None` if the server does not count them."""
        if self.largest is None:
            return None
        return min(total for total in (self.largest, self.first, self._confirmed) if total is not None)

    @property
    def is_doubtful(self) -> bool:
        """Whether the last total is not the one that is believed: too few answers gave it."""
        return self.last != (self.largest if self._confirmed is None else self._confirmed)

    def observe(self, total: int | None) -> None:
        """Take an answer into account."""
        if total is None:
            return
        self.has_changed |= self.last not in (None, total)
        self.length = total if self.length is None else self.length
        self.largest = max(self.largest or 0, total)
        self.recent = [*self.recent[1 - CONFIRMED :], total]
        if self.first is None:
            self.first = self._confirmed


def _text(ids: Sequence[Identity]) -> _Keys:
    return ids if set(map(type, ids)) <= {str} else None


def _number(ids: Sequence[Identity]) -> _Keys:
    try:
        return [_to_int(key) for key in ids]
    except ValueError:
        return None


def _to_int(key: Identity) -> int:
    if isinstance(key, str) and key.isascii() and key.removeprefix("-").isdigit() and len(key) < 40:
        return int(key)
    raise ValueError


def _casefold(ids: Sequence[Identity]) -> _Keys:
    texts = _text(ids)
    if texts is None:
        return None
    together = "".join(texts)
    return texts if together.casefold() == together else [text.casefold() for text in texts]


#: The usual orders; a name with `-` before it is the falling order.
_KEYS: dict[str, Callable[[Sequence[Identity]], _Keys]] = {"text": _text, "number": _number, "casefold": _casefold}


_NAMES = (*_KEYS, *(f"-{name}" for name in _KEYS))


class ListOrder:
    """The order in which the pages of a sweep come, and how strongly they show that it is stable.

    Args:
        names, bits, agreed, is_broken: see below; those of the earlier run of the sweep.

    Attributes:
        names: the usual orders of ids that all pages agree with; one with `-` before it falls.
        bits: the evidence of these.
        agreed: the evidence of pages that overlap, in bits.
        is_broken: whether two of these did not agree on the order of the records that both show.
    """

    def __init__(
        self,
        names: Sequence[str] = _NAMES,
        *,
        bits: float = 0.0,
        agreed: float = 0.0,
        is_broken: bool = False,
    ) -> None:
        self.names: Sequence[str] = names
        self.bits: float = bits
        self.agreed: float = agreed
        self.is_broken: bool = is_broken

    @property
    def is_shown(self) -> bool:
        """Whether the order is certainly stable."""
        return not self.is_broken and (self.bits if self.names else 0.0) + self.agreed >= ENOUGH

    def observe(self, ids: Sequence[Identity]) -> None:
        """Take a page into account."""
        self.names = [name for name in self.names if _is_sorted(name, ids)]
        self.bits += sorted_bits(len(ids))

    def compare(self, before: Sequence[Identity], ids: Sequence[Identity], *, end: int) -> None:
        """Take a page that overlaps the one before it into account.

        Args:
            before: the ids of that page.
            ids: those of the later page that both show.
            end: the length that the list has at least; 0 if records moved between the two answers.
        """
        shown = {*ids}
        self.is_broken |= [key for key in before if key in shown] != ids
        before_it = self.agreed if end or len(ids) > 1 else 0.0  # one record that moved is no sign of an order
        self.agreed = before_it + sorted_bits(len(ids)) + math.log2(max(end, 1))


def comes_before(name: str, key: Identity, other: Identity) -> bool:
    """Return whether an id comes before another in an order."""
    return _is_sorted(name, [key, other])


def _is_sorted(name: str, ids: Sequence[Identity]) -> bool:
    keys = _KEYS[name.removeprefix("-")](ids)
    before = operator.gt if name.startswith("-") else operator.lt
    return keys is not None and all(map(before, keys, keys[1:]))
