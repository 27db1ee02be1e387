"""`RunMetrics`: what a run counts, and its progress."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from carecloud_async._base.runs import Database
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.call.events import CallObserver, CallRecord, CallStart
from carecloud_async.bulk.errors import TooManyRefusedError
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.report import BulkProgress, BulkWriteReport, OnBulkProgress
from carecloud_async.fixes import ALLOW_REFUSED

#: Seconds between two reports of the progress.
_INTERVAL: Final = 0.1
#: Reasons that a report has, and lines of each.
_MOST: Final = 10
#: Reasons that differ in the line alone, or in the ids of records, are one.
_LINES: Final = re.compile(r"\blines? [\d,]+( to [\d,]+)?")
_IDS: Final = re.compile(r": records [^:]*$")
_NOT_WRITTEN: Final = (Outcome.REFUSED.value, Outcome.CONFLICT.value, Outcome.UNKNOWN.value)
_WHERE: Final = "FROM writes WHERE part = 0 AND outcome IN (?, ?, ?) AND reasons IS NOT NULL"


class Kept:
    """What a run counts besides the outcomes of its rows, kept in its journal for the run that continues it.

    Attributes:
        requests, retries, waited, seconds: see `BulkWriteReport`.
        refused_when_read: rows that were refused before any was sent.
    """

    def __init__(self) -> None:
        self.requests: int = 0
        self.retries: int = 0
        self.waited: float = 0.0
        self.seconds: float = 0.0
        self.refused_when_read: int = 0


class RunMetrics(CallObserver):
    """The metrics of one run; as the observer of its calls it counts the requests.

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
        self.kept: Kept = Kept()
        self.waits_for: str = ""
        self.reasons: Mapping[str, Any] = {}

    def call_ended(self, call: CallStart, record: CallRecord) -> None:
        """Count the requests of a call; logins are not the run's."""
        if not call.login:
            self.kept.requests += record.attempts
            self.kept.retries += max(record.attempts - 1, 0)

    def count_retry(self) -> None:
        """Count a repeated call."""
        self.kept.retries += 1

    def add_results(self, results: list[tuple[int, RowResult]]) -> None:
        """Count outcomes, and pass them on."""
        self.outcomes.update(result.outcome.value for _, result in results)
        if self._on_results is not None:
            self._on_results(results)

    @property
    def to_keep(self) -> dict[str, Any]:
        """What the journal keeps."""
        return {**vars(self.kept), "seconds": self.seconds}

    def resume(self, outcomes: Mapping[str, int], kept: Mapping[str, Any] | None) -> None:
        """Continue the metrics of an earlier run."""
        self.outcomes = Counter({name: count for name, count in outcomes.items() if name})
        self.rows = sum(outcomes.values())
        for name, value in (kept or {}).items():
            setattr(self.kept, name, getattr(self.kept, name) + value)

    @property
    def now(self) -> float:
        """The time on the monotonic clock."""
        return self._clock.monotonic()

    @property
    def seconds(self) -> float:
        """Duration, earlier runs included."""
        return self.kept.seconds + self._clock.monotonic() - self._began

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
        sent, unsent = "no more were sent", self.kept.refused_when_read
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
                report=self.report(dry_run=options.dry_run),
                fix=ALLOW_REFUSED,
            )

    def read_reasons(self, journal: Database) -> None:
        """Read the most common reasons of rows that were not written, and the first lines of each. Blocks."""
        counts: Counter[str] = Counter()
        groups = f"SELECT reasons, count(*) {_WHERE} GROUP BY 1 ORDER BY 2 DESC LIMIT 50000"
        for reasons, rows in journal.execute(groups, _NOT_WRITTEN):
            for reason in _plain(reasons):
                counts[reason] += rows
        common = dict(counts.most_common(_MOST))
        lines: dict[str, list[int]] = {reason: [] for reason in common}
        first = f"SELECT reasons, line {_WHERE} ORDER BY id LIMIT 50000"
        for reasons, line in journal.execute(first, _NOT_WRITTEN) if common else ():
            for reason in _plain(reasons):
                if reason in lines and len(lines[reason]) < _MOST:
                    lines[reason].append(line)
        self.reasons = {"reasons": common, "reason_lines": lines}

    def report(self, **more: Any) -> BulkWriteReport:
        """Return the report, with what the caller knows of it."""
        kept = {name: value for name, value in self.to_keep.items() if name != "refused_when_read"}
        return BulkWriteReport(rows=self.rows, **self._outcomes, **kept, **self.reasons, **more)

    async def report_progress(self, *, always: bool = False) -> None:
        """Report the progress, at most ten times a second unless `always`."""
        now = self._clock.monotonic()
        if self._on_progress is None or (not always and now - self._reported < _INTERVAL):
            return
        self._reported = now
        progress = BulkProgress(
            rows=self.rows,
            **self._outcomes,
            requests=self.kept.requests,
            seconds=self.seconds,
            stage=self.stage,
            done=self.done,
            waits_for=self.waits_for,
        )
        answer = self._on_progress(progress)
        if inspect.isawaitable(answer):
            await answer

    @property
    def _outcomes(self) -> dict[str, Any]:
        return {outcome.value: self.outcomes[outcome.value] for outcome in Outcome}


def _plain(reasons: str) -> Mapping[str, None]:
    """Return the reasons of a row without the numbers of lines and the ids in them, each once."""
    return dict.fromkeys(_IDS.sub("", _LINES.sub("a line", load)) for load in json.loads(reasons))
