"""`BulkWriteReport`: the figures of a bulk write, and `BulkProgress` while it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from attrs import field, frozen

__all__ = ["BulkFigures", "BulkProgress", "BulkWriteReport", "OnBulkProgress"]


@frozen(kw_only=True)
class BulkFigures:
    """What a bulk write has done; the six outcomes add up to the rows that are done.

    Attributes:
        rows: rows of the source read so far.
        created: rows that made a record.
        updated: rows that changed their record.
        unchanged: rows whose record already had their values.
        refused: rows that cannot be read, have no key, repeat one, or that the server refused.
        conflict: rows whose record is not in the state that they expect.
        unknown: rows whose answer was lost, and no look-up can show what became of them: usually those without a key.
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
    """The result of a bulk write, with its `BulkFigures`. Its outcomes add up to `rows`.

    Attributes:
        retries: requests repeated by the bulk write after a failure.
        waited: seconds in which nothing could be done but wait for lost answers to settle, or for other runs that write
            the same keys; earlier runs included.
        resumed: whether an earlier run was continued.
        dry_run: whether nothing was written; the outcomes say what would happen.
        results: the file with the outcome of each row, if one was asked for.
        rejects: the file with the refused rows, if one was asked for.
        reasons: the most common reasons of rows that were not written, each with the number of its rows, the most
            common first; ten at most, and none of them shows a value.
        reason_lines: the first lines of the source with each of these reasons; ten at most.
    """

    retries: int = 0
    waited: float = 0.0
    resumed: bool = False
    dry_run: bool = False
    results: str | None = None
    rejects: str | None = None
    reasons: Mapping[str, int] = field(factory=dict)
    reason_lines: Mapping[str, Sequence[int]] = field(factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every row was created, updated or unchanged."""
        return self.rows == self.created + self.updated + self.unchanged


@frozen(kw_only=True)
class BulkProgress(BulkFigures):
    """The progress of a bulk write, with its `BulkFigures`.

    Attributes:
        stage: `reading` the source, `finding` records, `writing` rows, or `finishing` the files.
        done: rows with an outcome.
        waits_for: what the run waits for, and for how many rows, while it can do nothing else; empty otherwise.
    """

    stage: str
    done: int
    waits_for: str = ""


OnBulkProgress = Callable[[BulkProgress], Awaitable[object] | object]
