"""`Checkpoint`: how far a reading is, as it is stored with the records that it includes."""

from __future__ import annotations

from enum import StrEnum

from attrs import field, frozen

from carecloud_async._lists.export.report import Counts

__all__ = ["Checkpoint", "Neighbours", "Position", "Strategy"]


class Strategy(StrEnum):
    """The way a list is read.

    `ORDERED`: in the order of its ids, which shows the new records. `UNORDERED`: in an order of the server's
    own, remembering every id. `CHANGED`: by the time of change, the latest first.
    """

    ORDERED = "ordered"
    UNORDERED = "unordered"
    CHANGED = "changed"


@frozen(kw_only=True)
class Position:
    """The position of a pass in the list, from which a later run can continue.

    Attributes:
        end: the offset of the last record that is known, -1 at the beginning.
        page_size: the number of records the server sends at most; 0 while unknown.
        largest_page: the most records that a page had; 0 before the first one.
        total: the length of the list, as the server said last.
        first_total, largest_total: see `Totals`.
        nulls: the number of entries that were null.
        changed: whether the list was seen to change.
        is_whole: whether no gap was left, and nothing was concluded without proof.
        cut, leaves_out, found_again: see `Doubts`.
    """

    end: int = -1
    page_size: int = 0
    largest_page: int = 0
    total: int | None = None
    first_total: int | None = None
    largest_total: int | None = None
    nulls: int = 0
    changed: bool = False
    is_whole: bool = True
    cut: int = 0
    leaves_out: bool = False
    found_again: int = 0


@frozen(kw_only=True)
class Neighbours:
    """The neighbours in all pages of a list that is read with a memory of its ids, all passes together.

    Attributes:
        pairs: their number.
        inversions: the number of these that have another order than when they were first seen.
        repeated_pairs: the number of neighbours that had both been seen before.
        repeated_inversions: the number of these that have another order.
    """

    pairs: int = 0
    inversions: int = 0
    repeated_pairs: int = 0
    repeated_inversions: int = 0


@frozen(kw_only=True)
class Checkpoint:
    """The state of an export after a commit.

    Attributes:
        strategy: the way the list is read.
        position: the position of the pass.
        count: the page size that was requested; 0 if it was found.
        by_text: whether records are identified by their whole text, because their ids are not unique.
        orders: the orders of ids that all pages agreed with, by name; `None` before the first page.
        last_id: the furthest id, for the ordered strategy.
        recent_ids: the ids last accepted, in the order of the list.
        step: the last step in which seen ids were added.
        known: the number of seen ids.
        neighbours: what the pages showed of their order.
        counts: the counts so far.
        complete: whether everything was read.
    """

    strategy: Strategy = Strategy.ORDERED
    position: Position = field(factory=Position)
    count: int = 0
    by_text: bool = False
    orders: list[str] | None = None
    last_id: str | None = None
    recent_ids: list[str] = field(factory=list)
    step: int = 0
    known: int = 0
    neighbours: Neighbours = field(factory=Neighbours)
    counts: Counts = field(factory=Counts)
    complete: bool = False
