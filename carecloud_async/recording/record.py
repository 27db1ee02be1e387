"""`record`: reads lists of a project, and writes their records with made-up values into a file."""

from __future__ import annotations

import gzip
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import attrs
from attrs import frozen

from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._base.runtime.durable_files import replace_file, sync_folder
from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async._base.runtime.validators import require_number
from carecloud_async._calls.call.operation import Operation
from carecloud_async._version import __version__
from carecloud_async.errors import ApiError, AuthenticationError, ConfigurationError, ResponseError
from carecloud_async.recording.disguise import Disguise
from carecloud_async.recording.values import MadeUp, Seen
from carecloud_async.resources.lookup.by_name import find_list, find_method, list_model, listable, missing_filters

if TYPE_CHECKING:
    from carecloud_async.check.report import ProjectCheck
    from carecloud_async.client import CareCloud

#: What a recording is called in its first line, and the version of its form.
KIND: Final = "carecloud recording"
VERSION: Final = 1
_PAGE: Final = 1000


@frozen(kw_only=True)
class RecordedList:
    """One list of a recording."""

    name: str
    """Name of the list from the client, such as `cards`."""
    path: str
    """Path template of the list."""
    total: int | None = None
    """Number of records in the project, as the server counts them."""
    status: int | None = None
    """Status of the refusal, if the list was refused."""
    records: tuple[JsonObject, ...] = attrs.field(default=(), repr=False)
    """The records, with made-up values."""


@frozen(kw_only=True)
class RecordingReport:
    """The outcome of a recording."""

    lists: tuple[RecordedList, ...]
    """The lists, those that were refused too."""
    page_cap: int | None
    """Number of records that a page had at most, if fewer came than were asked for."""
    latency: float
    """Seconds that the answer to half of the requests took at most."""

    @property
    def records(self) -> int:
        """Number of records."""
        return sum(len(recorded.records) for recorded in self.lists)


async def record(
    client: CareCloud,
    path: str | os.PathLike[str],
    *,
    lists: Sequence[str] = (),
    records: int = 200,
    secret: Callable[[int], bytes] = secrets.token_bytes,
) -> RecordingReport:
    """Write a recording of a project, from which `Sandbox.from_recording` and `carecloud sandbox --from` start.

    It only reads. Personal fields, ids, unknown fields and free texts have made-up values of the same shape; the same
    value has the same made-up one everywhere in the file. Numbers that the models know and do not call personal, such
    as amounts, stay; times are moved by some weeks. The file is private, and there whole or not at all.

    Args:
        client: the client.
        path: the file; one that ends with `.gz` is compressed.
        lists: names of lists such as `cards`; by default all that belong to no parent and need no filter.
        records: number of records of each list at most, the first ones.
        secret: source of the key by which values are made up; the key is stored nowhere.

    Raises:
        ConfigurationError: a list is unknown, belongs to a parent or needs a filter, or the number is not above 0.
        AuthenticationError: the credentials were refused.
        OSError: the file cannot be written.
    """
    require_number("records", records)
    operations = _operations(client, lists)
    with client.record_calls() as calls:
        read = [await _read(client, name, operation, records) for name, operation in operations.items()]
    check = await client.check()
    seconds = [call.seconds - call.limiter_seconds for call in calls if call.seconds is not None]
    caps = [cap for _, cap in read if cap]
    report = RecordingReport(
        lists=tuple(recorded for recorded, _ in read),
        page_cap=min(caps, default=None),
        latency=round(median(seconds or [0.0]), 4),
    )
    words = [*client.project.host.split(".")[:-2], client.project.host]
    return await run_in_thread(
        lambda: _write(report, Path(path), check, words, zone=client.project.timezone.key, secret=secret(32))
    )


def _operations(client: CareCloud, names: Sequence[str]) -> dict[str, Operation]:
    """Return the lists to be read, by their names.

    Raises:
        ConfigurationError: one of them is unknown, belongs to a parent, or needs a filter.
    """
    chosen = {name: find_list(name) for name in names} or dict(listable())
    usable = {name: operation for name, operation in chosen.items() if _is_whole(client, operation)}
    if names and len(usable) < len(chosen):
        wrong = next(name for name in chosen if name not in usable)
        raise ConfigurationError(
            f"{wrong} belongs to a parent or needs a filter: record lists such as customers, cards"
        )
    return usable


def _is_whole(client: CareCloud, operation: Operation) -> bool:
    if operation.placeholders:
        return False
    method, _ = find_method(client, operation)
    return not missing_filters(operation, method, {})


async def _read(client: CareCloud, name: str, operation: Operation, most: int) -> tuple[RecordedList, int | None]:
    """Return the first records of a list as they are, and the cap of its pages if one shows."""
    shown = {
        key: True for key in operation.parameters if key in ("purchase_items_extension", "include_property_records")
    }
    items: list[JsonObject] = []
    received, total, cap = 0, None, None
    try:
        while len(items) < most:
            count = min(most - len(items), _PAGE)
            params: dict[str, Any] = {**shown, **({"count": count, "offset": received} if operation.paged else {})}
            data = await client.request("GET", operation.path.lstrip("/"), params=params)
            page, counted = data.get(operation.result_key or ""), data.get("total_items")
            if not isinstance(page, list) or not page:
                break
            total = counted if isinstance(counted, int) else None
            if total is not None and len(page) < min(count, total - received):
                cap = len(page)
            received += len(page)
            items += [item for item in page if isinstance(item, dict)]
            if not operation.paged or (total is not None and received >= total):
                break
    except AuthenticationError:
        raise
    except ApiError as error:
        return RecordedList(name=name, path=operation.path, status=error.status), None
    except ResponseError:
        return RecordedList(name=name, path=operation.path, status=502), None
    return RecordedList(name=name, path=operation.path, total=total, records=tuple(items[:most])), cap


def _write(
    report: RecordingReport, path: Path, check: ProjectCheck, words: Sequence[str], *, zone: str, secret: bytes
) -> RecordingReport:
    """Make the values up, write the file, and return the report without the values of the project."""
    seen = Seen()
    for word in words:
        seen.text(word)
    _disguised(report, Disguise(texts=seen))
    made = _disguised(report, Disguise(texts=MadeUp(secret=secret, seen=seen.parts)))
    head = {"kind": KIND, "version": VERSION, "made_by": f"carecloud-async {__version__}", "timezone": zone}
    lines = [{**head, "page_cap": made.page_cap, "latency": made.latency}, *_lines(made)]
    lines += [{"finding": finding.name, "status": finding.status, "seen": finding.seen} for finding in check.findings]
    lines.append({"end": len(lines) + 1})
    data = b"".join(f"{json.dumps(line, ensure_ascii=False)}\n".encode(errors="backslashreplace") for line in lines)
    target = Path(os.path.realpath(path))
    replace_file(target, gzip.compress(data, mtime=0) if target.suffix == ".gz" else data)
    sync_folder(target.parent)
    return made


def _disguised(report: RecordingReport, disguise: Disguise) -> RecordingReport:
    lists = []
    for recorded in report.lists:
        model = list_model(listable()[recorded.name])
        made = tuple(disguise.record(recorded.name, item, model) for item in recorded.records)
        lists.append(attrs.evolve(recorded, records=made))
    return attrs.evolve(report, lists=tuple(lists))


def _lines(report: RecordingReport) -> Iterator[JsonObject]:
    for recorded in report.lists:
        yield {"list": recorded.path, "total": recorded.total, "refused": recorded.status}
        yield from ({"of": recorded.path, "record": item} for item in recorded.records)
