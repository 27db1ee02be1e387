"""`Checkpoint`: how far a reading is, as it is stored with the records that it includes."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from carecloud_async._lists.export.reading.order import Evidence
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
        evidence: what the answers say of the list.
    """

    number: int = 1
    last: int = -1
    tail: Sequence[str] = ()
    size: int = 0
    evidence: Evidence = field(factory=Evidence)


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
