"""What a command says of its work on stderr: its progress, and its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from carecloud_async.bulk import BulkProgress, Outcome
from carecloud_async.bulk.report import BulkFigures
from carecloud_async.cli.console import is_terminal, say
from carecloud_async.cli.failures import inexact
from carecloud_async.export import ExportReport, Progress

__all__ = ["count_outcomes", "counted", "describe_progress", "show_progress", "summary"]

#: Seconds between two plain lines.
INTERVAL = 5.0


@contextmanager
def show_progress(
    resource: str, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[Progress | BulkProgress], None]]:
    """Show progress while the block runs.

    Args:
        resource: the name of the list or family.
        quiet: whether to draw no bar, since records on the same terminal would break it.
        clock: a monotonic clock.

    Yields:
        the function to call with each `Progress` or `BulkProgress`.
    """
    if quiet or not is_terminal():
        due, said = clock() + INTERVAL, ""

        def line(progress: Progress | BulkProgress) -> None:
            nonlocal due, said
            # While a run waits there is no progress to be shown, so a line that says why is not put off.
            why = progress.waits_for.partition(" (")[0] if isinstance(progress, BulkProgress) else ""
            if clock() >= due or (why and why != said):
                due, said = clock() + INTERVAL, why
                say(f"{resource}: {describe_progress(progress)}")

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(resource, total=None, state="")

        def update(progress: Progress | BulkProgress) -> None:
            if isinstance(progress, Progress):
                total, done = progress.total, progress.records
            else:
                total, done = (None if progress.stage == "reading" else progress.rows), progress.done
            bar.update(task, total=total, completed=done, state=describe_progress(progress))

        yield update


def describe_progress(progress: Progress | BulkProgress) -> str:
    """Return what is done so far in a few words: records, rate and time left, or rows and their outcomes."""
    if isinstance(progress, BulkProgress):
        if progress.stage == "reading":
            return f"{progress.rows:,} rows read"
        words = f"{progress.done:,} of {progress.rows:,} rows, {count_outcomes(progress) or progress.stage}"
        return f"{words}; waiting for {progress.waits_for}" if progress.waits_for else words
    if progress.stage != "reading":
        return f"{progress.records:,}, {progress.stage} the file"
    words = f"{progress.records:,}" + (f" of {progress.total:,}" if progress.total is not None else "")
    words += f", {progress.rate:,.0f} a second"
    if progress.retries:
        words += f", {counted(progress.retries, 'retry', 'retries')}"
    if progress.remaining is not None:
        words += f", {timedelta(seconds=round(progress.remaining))} left"
    return words


def counted(count: int, one: str, several: str) -> str:
    """Return a number with its word, such as `1 retry` or `1,200 retries`."""
    return f"1 {one}" if count == 1 else f"{count:,} {several}"


def count_outcomes(figures: BulkFigures) -> str:
    """Return the outcomes that rows had, such as `3 created, 1 refused`."""
    return ", ".join(f"{getattr(figures, one.value):,} {one.value}" for one in Outcome if getattr(figures, one.value))


#: Fields with nulls that the line names; the report has all.
_FIELDS_SHOWN = 5


def summary(resource: str, report: ExportReport, *, state: str | None = None) -> str:
    """Return the outcome of an export as one line.

    Args:
        resource: the list's name.
        report: the outcome.
        state: the file that keeps the time for the next run, if there is one.
    """
    requests = counted(report.requests, "request", "requests")
    if report.retries:
        requests += f", {counted(report.retries, 'retry', 'retries')}"
    target = "stdout" if report.target == "-" else report.target
    records = counted(report.records, f"record of {resource}", resource)
    words = [f"{records} in {target} ({report.seconds:.1f} s, {requests})"]
    if report.finished_before:
        words.append("an earlier run had finished it: --overwrite asks again")
    if report.nulls:
        words.append(f"values that could not be read were written as null: {_nulls(report)}")
    if not report.exact:
        words.append(inexact(report.reasons))
    elif report.list_changed:
        words.append("the list changed during the export: each record that stayed is in it once")
    if state is not None:
        kept = report.exact and report.next_changed_since is not None
        words.append(f"{state} keeps the time for the next run" if kept else f"{state} is left as it was")
    elif report.next_changed_since is not None:
        words.append(f"next time: --changed-since {report.next_changed_since.isoformat(timespec='seconds')}")
    return "; ".join(words)


def _nulls(report: ExportReport) -> str:
    most = sorted(report.nulls.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count:,} {field}" for field, count in most[:_FIELDS_SHOWN]]
    if len(most) > _FIELDS_SHOWN:
        shown.append(f"and {sum(count for _, count in most[_FIELDS_SHOWN:]):,} of other fields")
    return ", ".join(shown)
