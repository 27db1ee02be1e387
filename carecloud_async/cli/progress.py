"""Progress on stderr: a bar on a terminal, a plain line every few seconds elsewhere."""

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
from carecloud_async.export import Progress

__all__ = ["count_outcomes", "counted", "describe_progress", "show_progress"]

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
        due = clock() + INTERVAL

        def line(progress: Progress | BulkProgress) -> None:
            nonlocal due
            if clock() >= due:
                due = clock() + INTERVAL
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
