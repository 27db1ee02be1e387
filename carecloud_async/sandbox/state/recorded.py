"""A recording of a project, as `carecloud record` writes it: the records from which a sandbox starts."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import api_plans

_KIND, _VERSION = "carecloud recording", 1
_GZIP: Final = b"\x1f\x8b"
#: Bytes of a recording at most, unpacked.
_LARGEST: Final = 512 * 2**20


@attrs.frozen(kw_only=True)
class Recording:
    """What a sandbox takes from a recording.

    Attributes:
        timezone: time zone of the project.
        max_count: cap on `count`, if one was seen.
        records: records by the name of their table.
        refused: statuses of the lists that were refused, by their path.
    """

    timezone: str
    max_count: int | None
    records: Mapping[str, Sequence[JsonObject]] = attrs.field(repr=False)
    refused: Mapping[str, int]


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """Read a recording.

    Raises:
        ValueError: the file is no recording, is cut off, or has a form that this version does not know.
        OSError: it cannot be read.
    """
    name = os.fspath(path)
    try:
        lines = [json.loads(line) for line in _unpacked(Path(path)).split(b"\n") if line]
        head, *rest = lines or [{}]
        known = head.get("kind") == _KIND
        if known and head["version"] != _VERSION:
            raise ValueError(f"{name} has version {head['version']} of the form, not 1: record the project again")
        if known and lines[-1].get("end") == len(lines):
            return _recording(head, rest)
    except (TypeError, KeyError, AttributeError, EOFError, json.JSONDecodeError, UnicodeDecodeError):
        known = False
    what = "is cut off" if known else "is no recording, or a damaged one"
    raise ValueError(f"{name} {what}: make one with carecloud record -o FILE")


def _unpacked(path: Path) -> bytes:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            data: bytes = file.read(_LARGEST + 1)
    except gzip.BadGzipFile:
        raise EOFError from None
    if len(data) > _LARGEST:
        raise ValueError(f"{path} is larger than {_LARGEST >> 20} MiB: record fewer records of each list (--records)")
    return data


def _recording(head: JsonObject, lines: Sequence[Any]) -> Recording:
    records: dict[str, list[JsonObject]] = {}
    owners: dict[str, str] = {}
    refused = {}
    plans = api_plans().lists
    for line in lines:
        path = line.get("of") or line.get("list")
        plan = plans.get(path)
        # A finding, a list that this version does not know, or one that shows the records of another list again.
        if plan is None or owners.setdefault(plan.table, path) != path:
            continue
        rows = records.setdefault(plan.table, [])
        if "record" in line and isinstance(line["record"], dict):
            rows.append(line["record"])
        elif line.get("refused"):
            refused[line["list"]] = int(line["refused"])
    return Recording(
        timezone=str(head["timezone"]),
        max_count=head["page_cap"],
        records=records,
        refused=refused,
    )
