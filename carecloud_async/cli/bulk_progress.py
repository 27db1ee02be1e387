"""Progress of a bulk write on stderr: a bar with the outcomes on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from carecloud_async.bulk import BulkProgress, Outcome
from carecloud_async.bulk.report import BulkFigures
from carecloud_async.cli.console import is_terminal, say
from carecloud_async.cli.progress import INTERVAL

__all__ = ["count_outcomes", "show_bulk_progress"]


@contextmanager
def show_bulk_progress(
    resource: str, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[BulkProgress], None]]:
    """Show progress while the block runs.

    Yields:
        the function to call with each `BulkProgress`.
    """
    if not is_terminal():
        due = clock() + INTERVAL

        def line(progress: BulkProgress) -> None:
            nonlocal due
            if clock() >= due:
                due = clock() + INTERVAL
                say(f"{resource}: {_describe(progress)}")

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(resource, total=None, state="")

        def update(progress: BulkProgress) -> None:
            total = None if progress.stage == "reading" else progress.rows
            bar.update(task, total=total, completed=progress.done, state=_describe(progress))

        yield update


def _describe(progress: BulkProgress) -> str:
    """Return the stage and the outcomes so far in a few words."""
    if progress.stage == "reading":
        return f"{progress.rows:,} rows read"
    return f"{progress.done:,} of {progress.rows:,} rows, {count_outcomes(progress) or progress.stage}"


def count_outcomes(figures: BulkFigures) -> str:
    """Return the outcomes that rows had, such as `3 created, 1 refused`."""
    return ", ".join(f"{getattr(figures, one.value):,} {one.value}" for one in Outcome if getattr(figures, one.value))
