"""Report progress to the user's function, ten times a second at most."""

from __future__ import annotations

import inspect

from attrs import define, field

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._lists.export.report import Counts, OnProgress, Progress

__all__ = ["ProgressCallback", "Reporter"]

_EVERY = 0.1


class ProgressCallback:
    """The user's function; remembers its `OSError`, so that its broken pipe is not taken for an error of the disk.

    Args:
        function: the function.

    Attributes:
        error: the error of the system that it raised, if it did.
    """

    def __init__(self, function: OnProgress) -> None:
        self._function = function
        self.error: OSError | None = None

    async def __call__(self, progress: Progress) -> None:
        """Call it."""
        try:
            result = self._function(progress)
            if inspect.isawaitable(result):
                await result
        except OSError as error:
            self.error = error
            raise


@define(eq=False, repr=False)
class Reporter:
    """Calls the user's function in the export's own task: an exception it raises ends the export, unchanged.

    Attributes:
        on_progress: the function; `None` for none.
        clock: the clock.
        before: the counts of earlier runs.
        bounded: whether the server's total is what will be written.
    """

    _on_progress: OnProgress | None = field(alias="on_progress")
    _clock: Clock = field(alias="clock", kw_only=True)
    _before: Counts = field(alias="before", kw_only=True)
    _bounded: bool = field(alias="bounded", kw_only=True)
    _started: float = field(init=False)
    _reported_at: float = field(default=-1.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._started = self._clock.monotonic()

    @property
    def seconds(self) -> float:
        """The duration of this run."""
        return self._clock.monotonic() - self._started

    async def report(self, counts: Counts, *, stage: str = "reading", now: bool = False) -> None:
        """Report, unless the last report was a moment ago.

        Args:
            counts: the counts so far.
            stage: see `Progress.stage`.
            now: report in any case.
        """
        if self._on_progress is None:
            return
        seconds = self.seconds
        if not now and 0 <= self._reported_at > seconds - _EVERY:
            return
        self._reported_at = seconds
        result = self._on_progress(self._progress(counts, seconds, stage))
        if inspect.isawaitable(result):
            await result

    def _progress(self, counts: Counts, seconds: float, stage: str) -> Progress:
        rate = max(counts.records - self._before.records, 0) / seconds if seconds > 0 else 0.0
        total = counts.total if self._bounded else None
        remaining = None if total is None or not rate else max(total - counts.records, 0) / rate
        return Progress(
            records=counts.records,
            total=total,
            requests=counts.requests - self._before.requests,
            retries=counts.retries - self._before.retries,
            pages=counts.pages,
            seconds=seconds,
            rate=rate,
            remaining=remaining,
            stage=stage,
        )
