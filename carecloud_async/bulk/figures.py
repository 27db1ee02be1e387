"""`RunFigures`: what a run counts, and its progress."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.call.events import CallObserver, CallRecord, CallStart
from carecloud_async.bulk.errors import TooManyRefusedError
from carecloud_async.bulk.notes import Notes
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.reasons import Reasons
from carecloud_async.bulk.report import BulkProgress, BulkWriteReport, OnBulkProgress
from carecloud_async.fixes import ALLOW_REFUSED

__all__ = ["RunFigures"]

#: Seconds between two reports of the progress.
_INTERVAL = 0.1


class RunFigures(CallObserver):
    """The figures of one run; as the observer of its calls it counts the requests.

    Args:
        on_progress: called with the progress, ten times a second at most.
        on_results: called with outcomes when they are durable.
    """

    def __init__(
        self,
        clock: Clock,
        on_progress: OnBulkProgress | None = None,
        *,
        on_results: Callable[[list[tuple[int, RowResult]]], None] | None = None,
    ) -> None:
        self._clock = clock
        self._on_progress = on_progress
        self._on_results = on_results
        self._began = clock.monotonic()
        self._reported = self._began - _INTERVAL
        self.stage: str = "reading"
        self.rows: int = 0
        self.outcomes: Counter[str] = Counter()
        self.refused_when_read: int = 0
        self.requests: int = 0
        self.retries: int = 0
        self.earlier_seconds: float = 0.0
        self.waited: float = 0.0
        self.waits_for: str = ""
        self.reasons: Reasons = Reasons()
        self.notes: Notes = Notes()

    def call_ended(self, call: CallStart, record: CallRecord) -> None:
        """Count the requests of a call; logins are not the run's."""
        if not call.login:
            self.requests += record.attempts
            self.retries += max(record.attempts - 1, 0)

    def count_retry(self) -> None:
        """Count a repeated call."""
        self.retries += 1

    def add_results(self, results: list[tuple[int, RowResult]]) -> None:
        """Count outcomes, and pass them on."""
        self.outcomes.update(result.outcome.value for _, result in results)
        if self._on_results is not None:
            self._on_results(results)

    @property
    def to_keep(self) -> dict[str, float]:
        """The figures, besides the outcomes of rows, with which a run that continues this one begins."""
        return {"requests": self.requests, "retries": self.retries, "waited": self.waited, "seconds": self.seconds}

    def resume(self, outcomes: Mapping[str, int], kept: Mapping[str, float] | None) -> None:
        """Continue the figures of an earlier run."""
        self.outcomes = Counter({name: count for name, count in outcomes.items() if name})
        self.rows = sum(outcomes.values())
        if kept is not None:
            self.requests += int(kept["requests"])
            self.retries += int(kept["retries"])
            self.waited += kept["waited"]
            self.earlier_seconds = kept["seconds"]

    @property
    def now(self) -> float:
        """The time on the monotonic clock."""
        return self._clock.monotonic()

    @property
    def seconds(self) -> float:
        """Duration, earlier runs included."""
        return self.earlier_seconds + self._clock.monotonic() - self._began

    @property
    def refused(self) -> int:
        """Refused rows."""
        return self.outcomes[Outcome.REFUSED.value]

    @property
    def done(self) -> int:
        """Rows with an outcome."""
        return sum(self.outcomes.values())

    def check_written(self, options: BulkWriteOptions) -> None:
        """Check that no more rows are refused than the options allow: of all rows, and of those that were sent so far.

        Raises:
            TooManyRefusedError: more are.
        """
        sent, unsent = "no more were sent", self.refused_when_read
        self.check_refused(options, refused=self.refused, rows=self.rows, sent=sent)
        self.check_refused(options, refused=self.refused - unsent, rows=self.done - unsent, sent=sent)

    def check_refused(self, options: BulkWriteOptions, *, refused: int, rows: int, sent: str) -> None:
        """Check that no more rows are refused than the options allow.

        Args:
            refused: how many are.
            rows: of how many that were looked at.
            sent: what the error says of the rows that were not sent.

        Raises:
            TooManyRefusedError: more are.
        """
        if options.too_many(refused, rows):
            file = options.rejects or options.results
            see = "" if file is None else f" (see {file})"
            raise TooManyRefusedError(
                f"{refused:,} of {rows:,} rows are refused, more than allowed, and {sent}{see}",
                report=self.report(resumed=False, dry_run=options.dry_run),
                fix=ALLOW_REFUSED,
            )

    def report(
        self, *, resumed: bool, dry_run: bool, results: str | None = None, rejects: str | None = None
    ) -> BulkWriteReport:
        """Return the report."""
        return BulkWriteReport(
            **self._figures(),
            retries=self.retries,
            waited=self.waited,
            resumed=resumed,
            dry_run=dry_run,
            results=results,
            rejects=rejects,
            reasons=self.reasons.counts,
            reason_lines=self.reasons.lines,
            unprefixed_phones=self.notes.unprefixed_phones,
            repeats=self.notes.repeats,
        )

    async def report_progress(self, *, always: bool = False) -> None:
        """Report the progress, at most ten times a second unless `always`."""
        now = self._clock.monotonic()
        if self._on_progress is None or (not always and now - self._reported < _INTERVAL):
            return
        self._reported = now
        progress = BulkProgress(**self._figures(), stage=self.stage, done=self.done, waits_for=self.waits_for)
        answer = self._on_progress(progress)
        if inspect.isawaitable(answer):
            await answer

    def _figures(self) -> dict[str, Any]:
        outcomes = {one.value: self.outcomes[one.value] for one in Outcome}
        return {"rows": self.rows, **outcomes, "requests": self.requests, "seconds": self.seconds}
