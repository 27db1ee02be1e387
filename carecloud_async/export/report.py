"""The figures of an export: `Progress` while it runs, `ExportReport` when it is done, `Counts` inside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from attrs import field, frozen

__all__ = ["Counts", "ExportReport", "OnProgress", "Progress"]


@frozen(kw_only=True)
class Counts:
    """Running totals over all runs of an export; see `ExportReport`.

    Attributes:
        began: a time that the server's clock had reached when it first answered; `None` if nothing shows it.
    """

    records: int = 0
    pages: int = 0
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    list_changed: bool = False
    exact: bool = False
    passes: int = 1
    total: int | None = None
    began: datetime | None = None


@frozen(kw_only=True)
class Progress:
    """The progress of an export.

    Attributes:
        records: records accepted so far, those of earlier runs of a resumed export included.
        total: the number of records in the list, as the server says; `None` if it does not, or with `changed_since`.
        requests: pages requested in this run.
        retries: requests of this run that had to be repeated.
        pages: pages that brought records.
        seconds: duration of this run.
        rate: records per second in this run.
        remaining: estimated seconds left at this rate; `None` if unknown.
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
    """The result of an export.

    Attributes:
        target: the file or URL that holds the records.
        records: the number of records written.
        pages: pages that brought records.
        requests: pages requested, those of earlier runs of a resumed export included.
        retries: requests that had to be repeated, earlier runs included.
        seconds: duration, earlier runs included.
        list_changed: whether the list was seen to change meanwhile.
        exact: whether the guarantee is known to hold. False if the list kept changing until the export gave up
            following it, if the server sends one record at a time or shuffles records between pages, or if fewer
            records were found than the server reports.
        passes: how often the list was read; 1 wherever it can be read in the order of its ids.
        resumed: whether an earlier run was continued.
        finished_before: whether an earlier run had finished it: nothing was requested, and the file is unchanged.
        total: the number of records in the list, as the server said last.
        next_changed_since: the `changed_since` of the next run. `None` if there is none, and the next run exports the
            whole list: for lists without `last_change`, and if the server's time is not known, because it sends no
            `Date` header and no record has a `last_change`.
        nulls: the number of values that the format could not hold and wrote as null, by dotted field name. JSONL holds
            everything, CSV everything but a scalar in the place of an object.
    """

    target: str
    records: int
    pages: int
    requests: int
    seconds: float
    list_changed: bool
    exact: bool = True
    passes: int = 1
    resumed: bool = False
    total: int | None = None
    next_changed_since: datetime | None = None
    retries: int = 0
    finished_before: bool = False
    nulls: Mapping[str, int] = field(factory=dict)


OnProgress = Callable[[Progress], Awaitable[object] | object]
