"""The `Progress` of an export, its `ExportReport`, and `Written`: the finished file, whose report can be confirmed."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from attrs import field, frozen

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.threads import run_in_thread_regardless
from carecloud_async._lists.export.reasons import InexactReason
from carecloud_async.models.field_docs import with_field_docs

__all__ = ["ExportReport", "OnProgress", "Progress", "Reporter", "Written"]

R = TypeVar("R")

_EVERY = 0.1


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
    """The result of an export; while it runs, the figures so far."""

    target: str
    """The file or URL that holds the records."""
    records: int = 0
    """The number of records written."""
    pages: int = 0
    """Pages that brought records."""
    requests: int = 0
    """Pages requested, those of earlier runs of a resumed export included."""
    seconds: float = 0.0
    """Duration, earlier runs included."""
    list_changed: bool = False
    """Whether the list was seen to change meanwhile."""
    reasons: Sequence[InexactReason] = ()
    """Why records may be missing: what was seen, and what helps. Empty if the guarantee is known to hold."""
    passes: int = 1
    """How often the list was read, whole or by change: until one reading shows that nothing is missing."""
    resumed: bool = False
    """Whether an earlier run was continued."""
    total: int | None = None
    """The number of records in the list, as the server said last."""
    next_changed_since: datetime | None = None
    """The `changed_since` of the next run: two minutes before this one began. `None` for lists without `last_change`,
    and if the server sends no `Date` header: then the next run exports the whole list.
    """
    retries: int = 0
    """Requests that had to be repeated, earlier runs included."""
    finished_before: bool = False
    """Whether an earlier run had finished it: nothing was requested, and the file is unchanged."""
    nulls: Mapping[str, int] = field(factory=dict)
    """The number of values that the format could not hold and wrote as null, by dotted field name. JSONL holds
    everything, CSV everything but a scalar in the place of an object.
    """

    @property
    def exact(self) -> bool:
        """Whether the guarantee is known to hold: there are no `reasons` against it."""
        return not self.reasons


OnProgress = Callable[[Progress], Awaitable[object] | object]


class Reporter:
    """Calls the user's function in the export's own task: an exception it raises ends the export, unchanged.

    Args:
        on_progress: the function; `None` for none.
        clock: measures the duration of this run, which begins now.
        before: the figures of earlier runs.
        bounded: whether the server's total is the number of records that will be written; not with `changed_since`.
    """

    def __init__(self, on_progress: OnProgress | None, *, clock: Clock, before: ExportReport, bounded: bool) -> None:
        self._on_progress = on_progress
        self._clock = clock
        self._before = before
        self._bounded = bounded
        self._started = clock.monotonic()
        self._reported_at = -1.0

    @property
    def seconds(self) -> float:
        """The duration of this run."""
        return self._clock.monotonic() - self._started

    async def report(self, figures: ExportReport, *, stage: str = "reading", now: bool = False) -> None:
        """Report, unless the last report was less than `_EVERY` seconds ago.

        Args:
            figures: the figures so far.
            stage: see `Progress.stage`.
            now: report in any case.
        """
        if self._on_progress is None:
            return
        seconds = self.seconds
        if not now and 0 <= self._reported_at > seconds - _EVERY:
            return
        self._reported_at = seconds
        result = self._on_progress(self._progress(figures, seconds, stage))
        if inspect.isawaitable(result):
            await result

    def _progress(self, figures: ExportReport, seconds: float, stage: str) -> Progress:
        rate = max(figures.records - self._before.records, 0) / seconds if seconds > 0 else 0.0
        total = figures.total if self._bounded else None
        remaining = None if total is None or not rate else max(total - figures.records, 0) / rate
        return Progress(
            records=figures.records,
            total=total,
            requests=figures.requests - self._before.requests,
            retries=figures.retries - self._before.retries,
            pages=figures.pages,
            seconds=seconds,
            rate=rate,
            remaining=remaining,
            stage=stage,
        )


def _nothing() -> None:
    """Do nothing: there is no state."""


@frozen
class Written(Generic[R]):
    """A finished file. If it is never confirmed, the next run finds it, and returns its report again.

    Attributes:
        report: what was written.
        confirm: notes in the state that the report was received. Blocks: a local state for a few milliseconds, another
            one as long as its storage service takes. Raises `ExportError` if the disk or the storage refuses.
        close: closes the state.
        is_remote: whether the state lives in a storage service.
    """

    report: R
    confirm: Callable[[], None] = _nothing
    close: Callable[[], None] = _nothing
    is_remote: bool = False

    async def confirmed(self) -> R:
        """Confirm, close, and return the report.

        Raises:
            ExportError: see `confirm`.
        """
        try:
            if self.is_remote:
                # The storage service may be slow, and must not hold up the program's event loop.
                await run_in_thread_regardless(self.confirm)
            else:
                # Without awaiting, so that no cancellation comes in between: the caller would not get the report, and
                # repeat the job, whose state has moved on.
                self.confirm()
        finally:
            self.close()
        return self.report
