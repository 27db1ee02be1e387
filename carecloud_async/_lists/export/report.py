"""The figures of an export: `Progress` while it runs, `ExportReport` when it is done, `Counts` inside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from attrs import field, frozen

from carecloud_async.models.field_docs import with_field_docs

__all__ = ["Counts", "ExportReport", "OnProgress", "Progress"]


@frozen(kw_only=True)
class Counts:
    """Running totals over all runs of an export; see `ExportReport`.

    Attributes:
        began: a time that the server's clock had reached when it first answered; `None` if nothing shows it.
        nulls: the number of entries that were null instead of a record.
        is_total_wrong: whether pages held more records than their total.
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
    nulls: int = 0
    is_total_wrong: bool = False


@with_field_docs
@frozen(kw_only=True)
class Progress:
    """The progress of an export."""

    records: int
    """Records accepted so far, those of earlier runs of a resumed export included."""
    total: int | None
    """The number of records in the list, as the server says; `None` if it does not, or with `changed_since`."""
    requests: int
    """Pages requested in this run."""
    pages: int
    """Pages that brought records."""
    seconds: float
    """Duration of this run."""
    rate: float
    """Records per second in this run."""
    remaining: float | None
    """Estimated seconds left at this rate; `None` if unknown."""
    stage: str = "reading"
    """`reading` from the server, or `writing` the finished file (formats that are converted at the end)."""
    retries: int = 0
    """Requests of this run that had to be repeated."""


@with_field_docs
@frozen(kw_only=True)
class ExportReport:
    """The result of an export."""

    target: str
    """The file or URL that holds the records."""
    records: int
    """The number of records written."""
    pages: int
    """Pages that brought records."""
    requests: int
    """Pages requested, those of earlier runs of a resumed export included."""
    seconds: float
    """Duration, earlier runs included."""
    list_changed: bool
    """Whether the list was seen to change meanwhile."""
    exact: bool = True
    """Whether the guarantee is known to hold. False if the list kept changing until the export gave up following it, if
    the server sends one record at a time or shuffles records between pages, or if fewer records were found than the
    server reports.
    """
    passes: int = 1
    """How often the list was read; 1 wherever it can be read in the order of its ids and agrees with its total."""
    resumed: bool = False
    """Whether an earlier run was continued."""
    total: int | None = None
    """The number of records in the list, as the server said last."""
    next_changed_since: datetime | None = None
    """The `changed_since` of the next run: two minutes before this one began, and earlier by the zone's distance from
    UTC unless a recent change shows that the list's times are local. `None` if there is none, and the next run exports
    the whole list: for lists without `last_change`, and if the server's time is not known, because it sends no `Date`
    header and no record has a `last_change`.
    """
    retries: int = 0
    """Requests that had to be repeated, earlier runs included."""
    finished_before: bool = False
    """Whether an earlier run had finished it: nothing was requested, and the file is unchanged."""
    nulls: Mapping[str, int] = field(factory=dict)
    """The number of values that the format could not hold and wrote as null, by dotted field name. JSONL holds
    everything, CSV everything but a scalar in the place of an object.
    """


OnProgress = Callable[[Progress], Awaitable[object] | object]
