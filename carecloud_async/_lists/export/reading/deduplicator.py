"""Selects the records of a page to write, for lists whose order does not show which are new.

This is the slow path: in the order of ids, the ids of a few pages suffice. Here every id is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from attrs import define, field

from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async._lists.export.reading.evidence import agreeing_bits
from carecloud_async._lists.export.reading.pages import RawPage
from carecloud_async._lists.export.reading.seen_ids import SeenIds

__all__ = ["Deduplicator"]


@define(eq=False, repr=False, kw_only=True)
class Deduplicator:
    """Remembers every record by its identity.

    Attributes:
        seen: their ids.
        wanted: returns whether to write a record; by default all are written.
        step: the last step in which ids were added.
        known: the number of records seen, wanted or not.
        pairs: the number of neighbours in pages, all passes together.
        inversions: the number of these that have another order than when they were first seen.
        repeated_pairs: the number of neighbours that had both been seen before.
    """

    _seen: SeenIds = field(alias="seen")
    wanted: Callable[[bytes], bool] | None = None
    step: int = 0
    known: int = 0
    pairs: int = field(default=0, init=False)
    inversions: int = field(default=0, init=False)
    repeated_pairs: int = field(default=0, init=False)
    _repeated_inversions: int = field(default=0, init=False)

    @property
    def order_bits(self) -> float:
        """How much the neighbours seen before support a stable order; see `evidence`."""
        return agreeing_bits(self.repeated_pairs, self._repeated_inversions)

    async def select_new(
        self, page: RawPage, *, end: int | None = None, wanted: Sequence[bool] | None = None
    ) -> list[bytes]:
        """Return the records of a page to write.

        Args:
            page: the page.
            end: the index after the last record to look at; `None` for the whole page.
            wanted: whether to write each record, if known already.
        """
        ids, lines = page.ids[:end], page.lines[:end]
        self.step += 1
        step, is_wanted = self.step, self.wanted

        def select() -> tuple[list[int], list[int], list[bytes]]:
            new, ranks = self._seen.add(ids, step=step)
            if wanted is not None:
                return new, ranks, [lines[index] for index in new if wanted[index]]
            return new, ranks, [lines[index] for index in new if is_wanted is None or is_wanted(lines[index])]

        new, ranks, found = await run_in_thread(select)
        self.known += len(new)
        self._count_pairs(new, ranks)
        return found

    def _count_pairs(self, new: list[int], ranks: list[int]) -> None:
        """Count neighbours, and those that have another order than when they were first seen."""
        is_new = set(new)
        for index, (earlier, later) in enumerate(pairwise(ranks)):
            inverted = later < earlier
            self.pairs += 1
            self.inversions += inverted
            if index not in is_new and index + 1 not in is_new:
                self.repeated_pairs += 1
                self._repeated_inversions += inverted
