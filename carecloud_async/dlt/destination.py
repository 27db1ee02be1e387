"""CareCloud as a destination of dlt: each load package is a bulk write, exact after dlt's own retries.

Each file of a load package has a journal under its own name. If dlt tries a file again, the earlier bulk write is
resumed; a file that was written is not written again. With other columns, defaults or values, rows with a key are
written from the first one on, and found by their keys.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Literal

import anyio
import dlt
from attrs import frozen
from dlt.common import logger as dlt_log  # which dlt shows; ours is silent where the application has none
from dlt.common.json import json as typed_json

from carecloud_async._base.runtime.durable_files import replace_file, state_folder, sync_folder
from carecloud_async._calls.auth.stores import MemoryTokenStore
from carecloud_async.bulk.report import BulkWriteReport
from carecloud_async.bulk.sources.files import open_file
from carecloud_async.client import CareCloud
from carecloud_async.dlt.settings import client_of_settings
from carecloud_async.resources.lookup.by_name import open_family, require_bulk, require_parents

__all__ = ["carecloud_destination"]


def carecloud_destination(
    family: str,
    *,
    match: str | None,
    mode: Literal["upsert", "create", "update"] = "upsert",
    client: Callable[[], CareCloud] | None = None,
    columns: Mapping[str, str] | None = None,
    ignore_columns: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
    values: Mapping[str, Any] | None = None,
    max_refused: float | None = None,
    rejects: str | None = None,
    of: tuple[str, ...] = (),
) -> Any:
    """Return a dlt destination that writes the rows of every table to one family.

    Args:
        family: the family by its name from the client, such as `customers`.
        match: the key that names a record, as for `bulk_write`; `None` creates every row.
        mode: as for `bulk_write`.
        client: makes a client; from the `CARECLOUD_*` variables if left out.
        columns: column → field, where they differ. dlt's `personal_information__email` is
            `personal_information.email`.
        ignore_columns: columns to pass over; any other that leads to no field fails the load before anything is sent.
        defaults: fields of new records, for rows that lack them.
        values: fields of every row.
        max_refused: fail the load when more rows are refused; as for `bulk_write`.
        rejects: a folder for a JSONL file of the refused rows of each file of a load package; it is made if it is
            missing.
        of: ids of the parents, for a family such as `customers.addresses`.

    Raises:
        ConfigurationError: there is no such family, or it has another number of parents.
    """
    require_bulk(family)
    require_parents(family, of)
    writer = _Writer(
        family=family,
        of=of,
        make_client=client or partial(client_of_settings, "destination.carecloud", token_store=MemoryTokenStore()),
        rejects=None if rejects is None else Path(rejects),
        options={
            "match": match,
            "mode": mode,
            "columns": {_dotted(name): field for name, field in dict(columns or {}).items()},
            "ignore_columns": [_dotted(name) for name in ignore_columns],
            "defaults": dict(defaults or {}),
            "values": dict(values or {}),
            "max_refused": max_refused,
        },
    )

    def carecloud(items: Any, table: Any) -> None:
        writer.write(Path(items), str(table["name"]))

    as_destination = dlt.destination(
        batch_size=0,  # hands out the path of the file
        loader_file_format="typed-jsonl",
        naming_convention="direct",
        max_table_nesting=0,
        skip_dlt_columns_and_tables=True,
    )
    return as_destination(carecloud)()


@frozen(kw_only=True)
class _Writer:
    """Writes the files of load packages."""

    family: str
    of: tuple[str, ...]
    make_client: Callable[[], CareCloud]
    rejects: Path | None
    options: Mapping[str, Any]

    def write(self, file: Path, table: str) -> None:
        """Write the rows of a file, unless an earlier attempt has written them."""
        folder = state_folder().with_name("carecloud-async-dlt")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = _stable_name(file)
        done = folder / f"{name}.done"
        if done.exists():
            return
        journal = folder / f"{name}{self._settings_digest()}.db"
        report = anyio.run(self._write, file, journal, name)
        replace_file(done, b"")
        sync_folder(folder)
        # Of rows without a key it is kept until the note is durable. Attempts before a correction had others.
        for file in (journal, *folder.glob(f"{name}.*.db*")):
            file.unlink(missing_ok=True)
        if not report.complete:
            counts = report.refused, report.conflict, report.unknown
            outcome = f"{table}: {counts[0]} rows were refused, {counts[1]} in conflict, {counts[2]} unknown"
            dlt_log.warning(f"{outcome}; rejects= writes the refused ones to a file, max_refused= lets the load fail")

    def _settings_digest(self) -> str:
        """Return an ending of the journal's name by what an attempt may correct, if rows are found by their keys."""
        if self.options["match"] is None or self.options["mode"] == "create":
            return ""  # another journal would not know which records were made
        names = ("columns", "ignore_columns", "defaults", "values")
        settings = [self.options.get(name) for name in names], self.rejects is None
        return f".{hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]}"

    async def _write(self, file: Path, journal: Path, name: str) -> BulkWriteReport:
        rejects = None if self.rejects is None else self.rejects / f"{name}.jsonl"
        if self.rejects is not None:
            self.rejects.mkdir(parents=True, exist_ok=True)
        async with self.make_client() as client:
            family = open_family(client, self.family, self.of)
            report: BulkWriteReport = await family.bulk_write(
                _rows(file), journal=journal, resume=True, rejects=rejects, **self.options
            )
        return report


def _stable_name(file: Path) -> str:
    """Return a name that is the same for all attempts at a file: its load package, its table and its id."""
    package = next((part for part in reversed(file.parts[:-1]) if re.fullmatch(r"\d+\.\d+", part)), "")
    table, file_id, *_ = *file.name.split("."), ""
    return re.sub(r"[^\w.-]", "_", f"{package}.{table}.{file_id}")


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as start:
        packing = ".gz" if start.read(2) == b"\x1f\x8b" else ""
    with closing(open_file(str(file), packing=packing)) as lines:
        for line in lines:
            parsed = typed_json.typed_loadb(line) if line.strip() else []
            for values in [parsed] if isinstance(parsed, dict) else parsed:
                yield {_dotted(name): value for name, value in values.items() if not name.startswith("_dlt")}


def _dotted(name: str) -> str:
    """Return the name of a nested field: dlt writes two underscores for its dots."""
    return name.replace("__", ".")
