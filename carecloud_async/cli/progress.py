"""Progress of an export on stderr: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from carecloud_async.cli.console import is_terminal, say
from carecloud_async.export import Progress

#: Seconds between two plain lines.
INTERVAL = 5.0


@contextmanager
def show_progress(resource: str, *, quiet: bool = False) -> Iterator[Callable[[Progress], None]]:
    """Show progress while the block runs.

    Args:
        resource: the list's name.
        quiet: whether to draw no bar, since records on the same terminal would break it.

    Yields:
        the function to call with each `Progress`.
    """
    if quiet or not is_terminal():
        yield Lines(resource)
        return
    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(resource, total=None, state="")

        def update(progress: Progress) -> None:
            bar.update(task, total=progress.total, completed=progress.records, state=describe(progress))

        yield update


class Lines:
    """Prints a line now and then.

    Args:
        resource: the list's name.
        clock: a monotonic clock.
    """

    def __init__(self, resource: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._resource = resource
        self._clock = clock
        self._next = clock() + INTERVAL

    def __call__(self, progress: Progress) -> None:
        """Print, unless a line was printed within the interval."""
        now = self._clock()
        if now >= self._next:
            self._next = now + INTERVAL
            say(f"{self._resource}: {describe(progress)}")


def describe(progress: Progress) -> str:
    """Return records so far, rate and time left in a few words."""
    if progress.stage != "reading":
        return f"{progress.records:,}, {progress.stage} the file"
    words = f"{progress.records:,}" + (f" of {progress.total:,}" if progress.total is not None else "")
    words += f", {progress.rate:,.0f} a second"
    if progress.retries:
        words += f", {retries(progress.retries)}"
    if progress.remaining is not None:
        words += f", {timedelta(seconds=round(progress.remaining))} left"
    return words


def retries(count: int) -> str:
    """Return a number of retries in words."""
    return "1 retry" if count == 1 else f"{count:,} retries"
