"""The report of a command, as JSON: `--report` is checked before the work, since it is written after it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import attrs

from carecloud_async._base.runtime.durable_files import is_same_file, replace_file
from carecloud_async.cli.console import ReaderGoneError, discard_output, put
from carecloud_async.cli.failures import UsageError

__all__ = ["DESCRIPTORS", "check_distinct", "prepare_report", "report_text", "write_last_report", "write_report"]

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
    check_distinct({**{_option(key): one for key, one in others.items()}, "--report": name})
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
    for (first, one), (second, other) in combinations(given, 2):
        if is_same_file(one, other):
            name = other if isinstance(other, str) else one
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


def write_last_report(name: str | None, text: str) -> None:
    """Write the report of work that is done, and whose outcome decides the exit code: a reader may be gone.

    Args:
        name: as for `write_report`; `None` for no report.
        text: as for `write_report`.

    Raises:
        OSError: it cannot be written.
    """
    if name is not None:
        try:
            write_report(name, text)
        except ReaderGoneError:
            discard_output()


def write_report(name: str, text: str) -> None:
    """Write a report. A file is written completely or not at all; a pipe, a device or a descriptor is written to.

    Args:
        name: the value of `--report`; `-` is stdout.
        text: the report, JSON.

    Raises:
        ReaderGoneError: the reader of stdout has closed it.
        OSError: it cannot be written.
    """
    # A name of a file that is not UTF-8 has lone surrogates, which become escapes of JSON.
    data, path = text.encode(errors="backslashreplace"), Path(name)
    if name == "-":
        put(data)
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
