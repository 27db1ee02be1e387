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

from attrs import evolve, frozen

from carecloud_async._lists.export.reading.pages import Identity
from carecloud_async._lists.export.reasons import InexactReason

__all__ = ["ORDERS", "Evidence", "comes_before"]

#: Answers in a row that confirm a total: a smaller one than the largest counts only then.
CONFIRMED = 5
#: Bits of evidence: chance alone makes one of 16 million shuffled lists look ordered.
ENOUGH = 24.0

_Keys = Sequence[Any] | None


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


_KEYS: dict[str, Callable[[Sequence[Identity]], _Keys]] = {"text": _text, "number": _number, "casefold": _casefold}
#: The usual orders; a name with `-` before it is the falling order.
ORDERS = (*_KEYS, *(f"-{name}" for name in _KEYS))


@frozen(kw_only=True)
class Evidence:
    """What the answers of a sweep say of its list; kept with a checkpoint, so that a sweep can be continued.

    Attributes:
        orders: the usual orders of ids that all pages agree with; none if the list is not read in such an order.
        bits: how strongly the pages show these, in bits.
        agreed: how strongly pages that overlap show that the order is stable, in bits.
        is_broken: whether two of these did not agree on the order of the records that both show.
        largest: the largest total, of earlier sweeps too.
        length: the first total: what a sweep of a list that grows as fast as it is read is measured by.
        first: the largest of the first five.
        recent: the last five, in the order in which the answers arrived.
        has_changed: whether the list was seen to change.
        nulls: the number of entries that were null.
        problem: why the sweep is no proof, whatever else its pages show.
    """

    orders: Sequence[str] | None = None
    bits: float = 0.0
    agreed: float = 0.0
    is_broken: bool = False
    largest: int | None = None
    length: int | None = None
    first: int | None = None
    recent: Sequence[int] = ()
    has_changed: bool = False
    nulls: int = 0
    problem: InexactReason | None = None

    @property
    def last(self) -> int | None:
        """The last total."""
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

    @property
    def shows_order(self) -> bool:
        """Whether the order is certainly stable."""
        return not self.is_broken and (self.bits if self.orders else 0.0) + self.agreed >= ENOUGH

    @property
    def reason(self) -> InexactReason | None:
        """Why the pages are no proof that each record was shown, whatever their number; `None` if they are one."""
        return self.problem or (InexactReason.NULL_ENTRIES if self.nulls else None)

    def with_total(self, total: int | None) -> Evidence:
        """Return the evidence with the total of one more answer."""
        if total is None:
            return self
        recent = [*self.recent[1 - CONFIRMED :], total]
        return evolve(
            self,
            has_changed=self.has_changed or self.last not in (None, total),
            length=total if self.length is None else self.length,
            largest=max(self.largest or 0, total),
            recent=recent,
            first=max(recent) if self.first is None and len(recent) == CONFIRMED else self.first,
        )

    def with_order(self, ids: Sequence[Identity]) -> Evidence:
        """Return the evidence with the order of one more page."""
        orders = [name for name in self.orders or () if _is_sorted(name, ids)]
        return evolve(self, orders=orders, bits=self.bits + _sorted_bits(len(ids)))

    def with_overlap(self, before: Sequence[Identity], ids: Sequence[Identity], *, end: int | None) -> Evidence:
        """Return the evidence with a page that overlaps the one before it.

        Args:
            before: the ids of that page.
            ids: those of the later page that both show.
            end: the length that the list has at least; `None` if records moved between the two answers.
        """
        shown = {*ids}
        is_broken = self.is_broken or [key for key in before if key in shown] != ids
        agreed = self.agreed if end is not None or len(ids) > 1 else 0.0  # one record that moved is no sign of an order
        return evolve(self, is_broken=is_broken, agreed=agreed + _sorted_bits(len(ids)) + math.log2(end or 1))

    def with_change(self) -> Evidence:
        """Return the evidence with a change of the list."""
        return evolve(self, has_changed=True)

    def with_problem(self, problem: InexactReason) -> Evidence:
        """Return the evidence with a problem, unless there is another one."""
        return evolve(self, problem=self.problem or problem)


def _sorted_bits(records: float) -> float:
    """Return the evidence of a run of records in a known order, in bits."""
    return math.lgamma(records + 1) / math.log(2)


def comes_before(name: str, key: Identity, other: Identity) -> bool:
    """Return whether an id comes before another in an order."""
    return _is_sorted(name, [key, other])


def _is_sorted(name: str, ids: Sequence[Identity]) -> bool:
    keys = _KEYS[name.removeprefix("-")](ids)
    before = operator.gt if name.startswith("-") else operator.lt
    return keys is not None and all(map(before, keys, keys[1:]))
