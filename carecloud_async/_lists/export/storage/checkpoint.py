"""`Checkpoint`: how far a reading is, as it is stored with the records that it includes."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from carecloud_async._lists.export.report import ExportReport

__all__ = ["Checkpoint", "SweepState"]


@frozen(kw_only=True)
class SweepState:
    """How far a sweep is.

    Attributes:
        number: its number, from 1.
        last: the offset of the last known record, -1 at the beginning.
        tail: the ids known last, up to that offset.
        size: the page size; 0 while unknown.
        orders: the orders of ids that all pages agree with; none if the list is not read in such an order.
        bits, agreed, is_broken: see `ListOrder`.
        largest, first, total: see `Totals`; `total` is the last one.
        moved: whether the list was seen to change.
        nulls: the number of entries that were null.
        reason: why the sweep is no proof, if that is known already.
    """

    number: int = 1
    last: int = -1
    tail: Sequence[str] = ()
    size: int = 0
    orders: Sequence[str] | None = None
    bits: float = 0.0
    agreed: float = 0.0
    is_broken: bool = False
    largest: int | None = None
    first: int | None = None
    total: int | None = None
    moved: bool = False
    nulls: int = 0
    reason: str = ""


@frozen(kw_only=True)
class Checkpoint:
    """The state of a reading after a commit.

    Attributes:
        report: the figures so far.
        sweep: how far the sweep is.
        by_text: whether records are identified by their whole text, because their ids are not unique.
        complete: whether everything was read.
        known, shown: see `Seen`.
    """

    report: ExportReport
    sweep: SweepState = field(factory=SweepState)
    by_text: bool = False
    complete: bool = False
    known: int = 0
    shown: int = 0
