"""What an export tells: `Progress` while it runs, `ExportReport` when it is done, and the `Counts` behind both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from attrs import field, frozen

__all__ = ["Counts", "ExportReport", "OnProgress", "Progress"]


@frozen(kw_only=True)
class Counts:
    """What is counted, over all runs of an export; see `ExportReport`."""

    records: int = 0
    pages: int = 0
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    drifted: bool = False
    settled: bool = True
    sweeps: int = 1
    total: int | None = None
    began: datetime | None = None


@frozen(kw_only=True)
class Progress:
    """How far an export is.

    Attributes:
        records: records accepted so far, those of earlier runs of a resumed export included.
        total: how many there will be, as the server says; `None` if it does not, or with `changed_since`.
        requests: pages asked for in this run.
        retries: how often one of them had to be asked for again.
        pages: pages that brought records.
        seconds: how long this run has taken.
        rate: records per second in this run.
        remaining: seconds that are left at this rate, if that can be told.
        stage: `reading` from the server, or `writing` the finished file (formats that are converted at the end).
    """

    records: int
    total: int | None
    requests: int
    pages: int
    seconds: float
    rate: float
    remaining: float | None
    stage: str = "reading"
    retries: int = 0


@frozen(kw_only=True)
class ExportReport:
    """What became of an export.

    Attributes:
        target: where the records are.
        records: how many records were written.
        pages: pages that brought records.
        requests: pages asked for, those of earlier runs of a resumed export included.
        retries: how often a page had to be asked for again, earlier runs included.
        seconds: how long it took, earlier runs included.
        drifted: whether the list was seen to change meanwhile.
        settled: whether the guarantee holds: false if the list kept changing until the export gave up following it.
        sweeps: how often the list was read; 1 wherever it can be read in the order of its ids.
        resumed: whether an earlier run was gone on with.
        finished_before: whether an earlier run had finished it: nothing was asked for, and the file is as it was.
        total: how many records there are, as the server said last.
        next_changed_since: the mark for the next `changed_since`; `None` for lists without `last_change`.
        nulls: the number of values that the format could not hold and wrote as null, by dotted field name; formats of
            text (JSONL, CSV) hold everything.
    """

    target: str
    records: int
    pages: int
    requests: int
    seconds: float
    drifted: bool
    settled: bool = True
    sweeps: int = 1
    resumed: bool = False
    total: int | None = None
    next_changed_since: datetime | None = None
    retries: int = 0
    finished_before: bool = False
    nulls: Mapping[str, int] = field(factory=dict)


OnProgress = Callable[[Progress], Awaitable[object] | object]
