"""What a command says of its work: its progress, its outcome in one line, and its report as JSON."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from carecloud_async._base.runtime.durable_files import is_same_file, replace_file
from carecloud_async.bulk import BulkProgress, Outcome
from carecloud_async.bulk.report import BulkFigures
from carecloud_async.cli.console import ReaderGoneError, discard_output, is_terminal, put, say
from carecloud_async.cli.failures import FAILED, UsageError, inexact
from carecloud_async.export import ExportReport, Progress

#: The beginnings of names that stand for an open descriptor, which may be a file or a pipe.
DESCRIPTORS = ("/dev/fd/", "/dev/std", "/proc/self/fd/")


def prepare_report(name: str | None, **others: str | None) -> None:
    """Check where the report goes, and remove an earlier one: a report exists only after a run that succeeded.

    Args:
        name: the value of `--report`; `None` for no report.
        **others: the other files of the command, under the names of their options.

    Raises:
        UsageError: no report can be written there, or it would replace another file of the command.
        OSError: an earlier report cannot be removed.
    """
    if name is None or name == "-":
        return
    check_distinct({**{_option(key): file for key, file in others.items()}, "--report": name})
    if _is_open(Path(name)):
        return
    path = Path(name).resolve()  # a link stays, and leads to the new report
    if not path.parent.is_dir() or path.is_dir():
        raise UsageError(f"--report {name}: name a file in a folder that exists")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"--report {name}: you may not write in {path.parent}: choose another place")
    path.unlink(missing_ok=True)


def _option(name: str) -> str:
    return name.upper() if name == "file" else f"--{name.replace('_', '-')}"


def check_distinct(files: Mapping[str, str | int | None]) -> None:
    """Check that no two files are one: each would overwrite the other.

    Args:
        files: names or open descriptors, by the options that give them.

    Raises:
        UsageError: two are; the message names their options.
    """
    given = [(option, file) for option, file in files.items() if file is not None and "://" not in str(file)]
    for (first, file), (second, other) in combinations(given, 2):
        if is_same_file(file, other):
            name = other if isinstance(other, str) else file
            raise UsageError(f"{first} and {second} are the same file, {name}: give each a file of its own")


def report_text(resource: str, report: Any, **more: str) -> str:
    """Return a report as JSON: its attributes under their names, times with their offset.

    Args:
        resource: the list or family.
        report: the report, an attrs class.
        **more: more values.
    """
    values = {"resource": resource, **more, **attrs.asdict(report, value_serializer=_plain)}
    if hasattr(report, "exact"):
        values["exact"] = report.exact
    return f"{json.dumps(values, ensure_ascii=False, indent=2)}\n"


def finish(resource: str, report: Any, line: str, *, file: str | None, ok: bool) -> int:
    """Say the outcome of work that is done, write its report, and return the exit code.

    Args:
        resource: the list or family.
        report: the report, an attrs class.
        line: the outcome.
        file: the value of `--report`.
        ok: whether the command succeeded.
    """
    say(line)
    write_report(file, report_text(resource, report))
    return 0 if ok else FAILED


def write_report(name: str | None, text: str) -> None:
    """Write the report of work that is done, and whose outcome decides the exit code: a reader of stdout may be gone.

    A file is written completely or not at all; a pipe, a device or a descriptor is written to.

    Args:
        name: the value of `--report`; `-` is stdout, `None` is no report.
        text: the report, JSON.

    Raises:
        OSError: it cannot be written.
    """
    if name is None:
        return
    # A name of a file that is not UTF-8 has lone surrogates, which become escapes of JSON.
    data, path = text.encode(errors="backslashreplace"), Path(name)
    if name == "-":
        try:
            put(data)
        except ReaderGoneError:
            discard_output()
    elif _is_open(path):
        with path.open("ab") as file:  # it may be a log
            file.write(data)
    else:
        replace_file(path.resolve(), data)


def _is_open(path: Path) -> bool:
    """Return whether a path leads to something that must not be replaced by a file."""
    return str(path).startswith(DESCRIPTORS) or (path.exists() and not path.is_file() and not path.is_dir())


def _plain(_: object, __: object, value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


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


def counted(count: int, single: str, several: str) -> str:
    """Return a number with its word, such as `1 retry` or `1,200 retries`."""
    return f"1 {single}" if count == 1 else f"{count:,} {several}"


def count_outcomes(figures: BulkFigures) -> str:
    """Return the outcomes that rows had, such as `3 created, 1 refused`."""
    counts = ((getattr(figures, outcome.value), outcome.value) for outcome in Outcome)
    return ", ".join(f"{count:,} {name}" for count, name in counts if count)


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
        words.append(inexact(report.reasons, may_shrink=True))
    elif report.list_changed:
        words.append("the list changed during the export: each record that stayed is in it once")
    if state is not None:
        kept = report.exact and report.next_changed_since is not None
        words.append(f"{state} keeps the time for the next run" if kept else f"{state} is left as it was")
    elif report.exact and report.next_changed_since is not None:
        words.append(f"next time: --changed-since {report.next_changed_since.isoformat(timespec='seconds')}")
    return "; ".join(words)


def _nulls(report: ExportReport) -> str:
    most = sorted(report.nulls.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count:,} {field}" for field, count in most[:_FIELDS_SHOWN]]
    if len(most) > _FIELDS_SHOWN:
        shown.append(f"and {sum(count for _, count in most[_FIELDS_SHOWN:]):,} of other fields")
    return ", ".join(shown)
