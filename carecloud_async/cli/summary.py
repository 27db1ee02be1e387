"""The outcome of a command: of an export as one line for people, of any as JSON for schedulers."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from carecloud_async._base.runtime.durable_files import replace_file
from carecloud_async.cli.console import put
from carecloud_async.cli.progress import counted
from carecloud_async.export import ExportReport

__all__ = ["summary", "write_report"]

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
        words.append("the list kept changing until the end: run it again for certainty")
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


def write_report(name: str, resource: str, report: Any, **more: str) -> None:
    """Write a report as JSON: its attributes under their names, times with their offset.

    A file is written completely or not at all; a pipe or a device is written to.

    Args:
        name: the file; `-` is stdout.
        resource: the list or family.
        report: the report, an attrs class.
        **more: more values.

    Raises:
        OSError: it cannot be written.
    """
    values = {"resource": resource, **more, **attrs.asdict(report, value_serializer=_plain)}
    text = f"{json.dumps(values, ensure_ascii=False, indent=2)}\n".encode()
    path = Path(name).absolute()
    if name == "-":
        put(text)
    elif path.exists() and not path.is_file():
        path.write_bytes(text)  # `replace_file` would put a file in its place
    else:
        replace_file(path, text)


def _plain(_: object, __: object, value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
