"""`BulkWriteReport`: the figures of a bulk write, and `BulkProgress` while it runs; `RunFigures` counts them."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import frozen

from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.calls.events import CallObserver, CallRecord, CallStart
from carecloud_async.runtime.clock import Clock

__all__ = ["BulkFigures", "BulkProgress", "BulkWriteReport", "OnBulkProgress", "RunFigures"]

#: Seconds between two reports of the progress.
_INTERVAL = 0.1


@frozen(kw_only=True)
class BulkFigures:
    """What a bulk write has done; the six outcomes add up to the rows that are done.

    Attributes:
        rows: rows of the source read so far.
        created: rows that made a record.
        updated: rows that changed their record.
        unchanged: rows whose record held everything already.
        refused: rows that cannot be read, have no key, repeat one, or that the server refused.
        conflict: rows whose record is in another state than the row relies on.
        unknown: rows without a key whose answer was lost.
        requests: requests made, those of earlier runs of a resumed write included.
        seconds: duration, earlier runs included.
    """

    rows: int
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    conflict: int = 0
    unknown: int = 0
    requests: int = 0
    seconds: float = 0.0


@frozen(kw_only=True)
class BulkWriteReport(BulkFigures):
    """The result of a bulk write, beside its `BulkFigures`. Its outcomes add up to `rows`.

    Attributes:
        retries: requests repeated by the bulk write after a failure.
        resumed: whether an earlier run was continued.
        dry_run: whether nothing was written; the outcomes say what would happen.
        results: the file with the outcome of each row, if one was asked for.
        rejects: the file with the refused rows, if one was asked for.
    """

    retries: int = 0
    resumed: bool = False
    dry_run: bool = False
    results: str | None = None
    rejects: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every row was created, updated or unchanged."""
        return self.rows == self.created + self.updated + self.unchanged


@frozen(kw_only=True)
class BulkProgress(BulkFigures):
    """The progress of a bulk write, beside its `BulkFigures`.

    Attributes:
        stage: `reading` the source, `finding` records, `writing` rows, or `finishing` the files.
        done: rows with an outcome.
    """

    stage: str
    done: int


OnBulkProgress = Callable[[BulkProgress], Awaitable[object] | object]


class RunFigures(CallObserver):
    """The figures of one run; as the observer of its calls it counts the requests.

    Args:
        clock: the clock.
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
        self.requests: int = 0
        self.retries: int = 0
        self.earlier_seconds: float = 0.0

    def call_ended(self, call: CallStart, record: CallRecord) -> None:
        """Count the requests of a call; logins are not the run's."""
        if not call.login:
            self.requests += record.attempts
            self.retries += max(record.attempts - 1, 0)

    def count_retry(self) -> None:
        """Count a repeated call."""
        self.retries += 1

    def note(self, results: list[tuple[int, RowResult]]) -> None:
        """Count outcomes."""
        self.outcomes.update(result.outcome.value for _, result in results)
        if self._on_results is not None:
            self._on_results(results)

    def resume(self, outcomes: Mapping[str, int], meta: Mapping[str, str | None]) -> None:
        """Take over the figures of an earlier run."""
        self.outcomes = Counter({name: count for name, count in outcomes.items() if name})
        self.rows = sum(outcomes.values())
        self.requests += int(meta["requests"] or 0)
        self.retries += int(meta["retries"] or 0)
        self.earlier_seconds = float(meta["seconds"] or 0)

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

    def report(
        self, *, resumed: bool, dry_run: bool, results: str | None = None, rejects: str | None = None
    ) -> BulkWriteReport:
        """Return the report."""
        return BulkWriteReport(
            **self._figures(), retries=self.retries, resumed=resumed, dry_run=dry_run, results=results, rejects=rejects
        )

    async def tell(self, *, always: bool = False) -> None:
        """Report the progress, if it is time."""
        now = self._clock.monotonic()
        if self._on_progress is None or (not always and now - self._reported < _INTERVAL):
            return
        self._reported = now
        answer = self._on_progress(BulkProgress(**self._figures(), stage=self.stage, done=self.done))
        if inspect.isawaitable(answer):
            await answer

    def _figures(self) -> dict[str, Any]:
        outcomes = {one.value: self.outcomes[one.value] for one in Outcome}
        return {"rows": self.rows, **outcomes, "requests": self.requests, "seconds": self.seconds}
