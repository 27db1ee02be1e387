"""CareCloud as a source of dlt (extra `dlt`): every list a table, incremental where records say when they changed.

    pipeline = dlt.pipeline("carecloud", destination="duckdb", dataset_name="crm")
    pipeline.run(carecloud_source("customers", "cards"))

The first run loads everything. Each later run loads the records that changed since two minutes before the previous run
began (by `last_change`) and merges them by id. The time is kept in dlt's state and committed with the load. Deleted
records are not among the changes: run with `full=True`, weekly for example, which reads everything and replaces the
table. Lists whose records have no id or no `last_change` are read whole and replaced in every run. A table is replaced
only by an exact reading, unless `allow_inexact=True` is given; an empty list is none if it had records in the last run.

`deletions=True` compares each list with the last run (`carecloud_async.changes`) and merges creations, updates and
deletions; deleted rows leave the table by dlt's `hard_delete` hint. The first such run, and the first one after a run
without `deletions`, reads everything and replaces the table. The state files are in `state_folder` or the
pipeline's working folder, and are committed with dlt's own state.

Rows are handed to dlt as they are read, exact as those of an export (`carecloud_async.export`). A reading that may lack
records, or fails, ends the run before dlt loads anything of it. With `deletions=True` the changes are read to their end
into a temporary file before.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dlt
from attrs import field, frozen
from dlt.common import logger as dlt_log  # which dlt shows; ours is silent where the application has none
from dlt.sources import DltResource, DltSource

from carecloud_async._base.runtime.validators import require_int
from carecloud_async._calls.auth.stores import MemoryTokenStore
from carecloud_async._calls.call.operation import Operation
from carecloud_async._lists.changes.file import CHANGE
from carecloud_async._lists.changes.state_file import begin_generation
from carecloud_async._lists.export.batches import BatchOptions
from carecloud_async._lists.export.formats.rows import UNKNOWN_FIELDS
from carecloud_async._lists.export.formats.schema import shape_of
from carecloud_async._lists.export.reading.since import has_changes
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.export.reasons import InexactReason, inexact_error
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.listings.blocking import spool_changes, stream
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.client import CareCloud
from carecloud_async.dlt.settings import client_of_settings
from carecloud_async.errors import ConfigurationError, ExportError
from carecloud_async.fixes import Fix
from carecloud_async.resources.lookup.by_name import find_list, open_list

__all__ = ["carecloud_source"]

#: The column that marks a row as deleted; always null in the table.
_DELETED = "carecloud_deleted"

_FULL = Fix("if they were really deleted, run once with full=True, and with allow_inexact=True if no record is left")

_TYPES = {"int": "bigint", "float": "double", "bool": "bool", "date": "date", "datetime": "timestamp"}


def carecloud_source(
    *lists: str,
    client: Callable[[], CareCloud] | None = None,
    full: bool = False,
    allow_inexact: bool = False,
    deletions: bool = False,
    state_folder: str | os.PathLike[str] | None = None,
    filters: Mapping[str, Mapping[str, Any]] | None = None,
    count: int = 500,
    concurrency: int = 8,
) -> DltSource:
    """Return a dlt source with a resource for each list.

    Args:
        *lists: the lists by their names from the client, such as `customers`, `cards`, `products.tags`; the last one's
            table is `products_tags`.
        client: makes a client; called once for each list that is read. If left out, it is made of `[sources.carecloud]`
            in dlt's `secrets.toml` and configuration, and of the `CARECLOUD_*` variables for what is not there. All
            lists have one login then.
        full: read everything and replace the tables, so that deleted records go.
        allow_inexact: replace a table also by a reading that may lack records, with a warning, for lists that are never
            calm; otherwise such a run fails and the table stays as it was.
        deletions: compare each list with the last run's, and delete the rows of records that are gone. With `full=True`
            everything is read and the comparison begins again.
        state_folder: where the states of these comparisons lie, on a disk that stays: the pipeline's working folder if
            left out. Each pipeline and data set has a folder in it, by their names: a pipeline of the same names with
            another destination needs a folder of its own.
        filters: the filters of lists, by name of the list. Other filters than those of the last run read everything.
        count: records per page.
        concurrency: how many pages are in flight.

    Returns:
        the source; `with_resources()` and the like work as usual.

    Raises:
        ConfigurationError: a list, a filter or a setting does not exist.
    """
    require_int("count", count, least=1)
    require_int("concurrency", concurrency, least=1)
    if not lists:
        raise ConfigurationError('name the lists to load: carecloud_source("customers", "cards")')
    chosen = dict(filters or {})
    unused = sorted(chosen.keys() - set(lists))
    if unused:
        raise ConfigurationError(f"filters for {', '.join(unused)}, which is not among the lists: name it as one")
    make_client = client or partial(client_of_settings, "sources.carecloud", token_store=MemoryTokenStore())
    resources: list[DltResource] = []
    for name in dict.fromkeys(lists):
        operation = find_list(name)
        params = {**chosen.get(name, {}), **({"count": count} if operation.paged else {})}
        listed = _List(operation=operation, make_client=make_client, params=params, concurrency=concurrency)
        if deletions:
            folder = Path(state_folder) if state_folder else None
            resources.append(_changes_resource(listed, full=full, allow_inexact=allow_inexact, folder=folder))
        else:
            resources.append(_resource(listed, full=full, allow_inexact=allow_inexact))
    # A run with `full=True` replaces tables that the next run merges into: their nested tables need its key.
    return dlt.source(lambda: resources, name="carecloud", root_key=True)()


@frozen(kw_only=True)
class _List:
    """A list to be loaded."""

    operation: Operation
    make_client: Callable[[], CareCloud]
    params: Mapping[str, Any] = field(repr=False)
    concurrency: int

    @property
    def table(self) -> str:
        """The name of its table."""
        return self.operation.call.removesuffix(".list").replace(".", "_")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Listing[Any]]:
        async with self.make_client() as client:
            yield open_list(client, self.operation, **self.params)

    def source(self) -> ExportSource:
        """Return the list as exports read it; nothing is sent."""
        return open_list(self.make_client(), self.operation, **self.params).export_source()

    def resource(self, rows: Callable[[], Iterator[Any]], *, replaces: bool, columns: Any) -> DltResource:
        """Return the dlt resource of these rows, which replace the table or are merged into it."""
        made: DltResource = dlt.resource(
            rows,
            name=self.table,
            primary_key=self.operation.id_field or (),
            write_disposition="replace" if replaces else "merge",
            columns=columns,
        )()
        return made


def _resource(the_list: _List, *, full: bool, allow_inexact: bool) -> DltResource:
    source = the_list.source()
    incremental = the_list.operation.id_field is not None and has_changes(source) and the_list.operation.paged

    def rows() -> Iterator[Any]:
        state, filled, replaces = dlt.current.resource_state(), _filled(), _replaces_table()
        name = dlt.current.resource_name()
        fingerprints = {**source.fingerprints(), **_other_table()}
        known = state if not replaces and state.get("list") == fingerprints else {}
        since, timeless = known.get("changed_since"), TimelessRecords(known.get("timeless", ()))
        reports: list[ExportReport] = []
        options = BatchOptions(
            changed_since=since,
            timeless=timeless,
            expects_records=filled.get(name) == fingerprints,
            concurrency=the_list.concurrency,
        )
        for batch in stream(the_list.open, options, check=reports.append):
            yield [_without_nulls(row) for row in batch.to_pylist()]
        (report,) = reports
        if not report.exact:  # an error here ends the run, and dlt drops the rows that it has
            _report_inexact(source.name, report.reasons, fails=replaces and not allow_inexact, replaces=replaces)
        if not report.records and since is None:
            yield dlt.mark.materialize_table_schema()
        has_records = report.records or (since if report.total is None else report.total)
        if report.exact or replaces or report.records:
            filled[name] = fingerprints if has_records else None
        state.update(compared=None)  # also after an inexact run: no comparison knows the rows that it merged
        if report.exact:
            mark = report.next_changed_since if incremental else None
            state.update(
                list=fingerprints,
                changed_since=None if mark is None else mark.isoformat(),
                timeless=timeless.found,
            )

    return the_list.resource(rows, replaces=full or not incremental, columns=_columns(source))


def _changes_resource(the_list: _List, *, full: bool, allow_inexact: bool, folder: Path | None) -> DltResource:
    source = the_list.source()
    if the_list.operation.id_field is None:
        raise ConfigurationError(f"{source.name} has no ids, by which deleted rows could be found: leave deletions out")

    def rows() -> Iterator[Any]:
        state, filled, is_full = dlt.current.resource_state(), _filled(), _replaces_table()
        name = dlt.current.resource_name()  # a list may be loaded under several names
        fingerprints = {**source.fingerprints(), **_other_table()}
        # Not in the resource's state, which dlt empties where a table is replaced: a run that fails must not end it.
        generations = dlt.current.source_state().setdefault("generations", {})
        last, is_filled = generations.get(name), bool(filled.get(name) or state.get("list"))
        begins = is_full or last is None or state.get("compared") != fingerprints
        path, generation = begin_generation(_states(folder), name, last=last, is_empty=begins)
        with _naming_full(), spool_changes(the_list.open, path, concurrency=the_list.concurrency) as (report, batches):
            # What other runs loaded is not in a state that begins, which could not delete it. A new table is merged:
            # only then does dlt give it the columns that later merges need.
            replaces = is_full or (begins and report.exact and is_filled)
            has_records = report.total or report.created or report.updated or report.unchanged
            is_gone = replaces and not has_records and filled.get(name) == fingerprints
            if is_gone or not report.exact:
                reasons = report.reasons or (InexactReason.EMPTIED,)
                _report_inexact(source.name, reasons, fails=replaces and not allow_inexact, replaces=replaces)
            if replaces:
                hints = dlt.mark.make_hints(write_disposition="replace")
                yield dlt.mark.with_hints(dlt.mark.materialize_table_schema(), hints)
            for batch in batches:
                yield [_changed_row(row) for row in batch.to_pylist()]
        generations[name] = generation
        state.update(compared=fingerprints if report.exact or not begins else None)
        filled[name] = fingerprints if has_records else None

    columns = _columns(source) | {_DELETED: {"data_type": "bool", "hard_delete": True}}
    return the_list.resource(rows, replaces=full, columns=columns)


def _running() -> DltResource:
    running: DltResource = dlt.current.source().resources[dlt.current.resource_name()]
    return running


def _other_table() -> dict[str, str]:
    """Return the running resource's table, where the user gave it another: what is known of one is not in the next."""
    table = _running().table_name
    return {"table": table} if isinstance(table, str) and table != dlt.current.resource_name() else {}


@contextmanager
def _naming_full() -> Iterator[None]:
    """Name what this source has for a list that lost more than half of its records."""
    try:
        yield
    except ExportError as error:
        if error.fix is None or "allow_shrink" not in error.fix.settings:
            raise
        raise ExportError(error.problem, fix=_FULL) from None


def _replaces_table() -> bool:
    """Return whether dlt replaces the running resource's table: by our hint, or one that the user gave dlt."""
    wanted: Any = _running().write_disposition
    return (wanted.get("disposition") if isinstance(wanted, dict) else wanted) == "replace"


def _filled() -> dict[str, Any]:
    """Return which list filled each table: an empty one is doubted then. dlt keeps it where it replaces a table."""
    filled: dict[str, Any] = dlt.current.source_state().setdefault("filled", {})
    return filled


def _states(folder: Path | None) -> Path:
    """Return the folder of the running pipeline's states: pipelines that share a folder leave each other's alone."""
    pipeline = dlt.current.pipeline()
    if folder is None:
        return Path(pipeline.working_dir, "carecloud")
    return folder / f"{pipeline.pipeline_name}.{pipeline.dataset_name}"


def _changed_row(row: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = _without_nulls(row)
    return {**kept, _DELETED: True} if kept.pop(CHANGE) == "deleted" else kept


def _without_nulls(value: Any) -> Any:
    """Remove nulls, at any depth: dlt would add a column for an object that is null."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value if inner is not None] if isinstance(value, list) else value


def _report_inexact(name: str, reasons: Sequence[InexactReason], *, fails: bool, replaces: bool) -> None:
    if fails:
        raise inexact_error(name, reasons, accept="allow_inexact=True", kept="The table stays as it was")
    then = "the table is replaced nevertheless" if replaces else "the next run repeats its changes"
    dlt_log.warning(f"{name} was not read exactly: {'; '.join(reason.seen for reason in reasons)}: {then}")


def _columns(source: ExportSource) -> Any:
    """Return the hints of the model's columns; dlt infers those of lists, which become tables of their own."""
    columns = {
        "__".join(path): {"data_type": _TYPES.get(shape.kind, "text")}
        | ({"timezone": True, "precision": 6} if shape.kind == "datetime" else {})
        for path, shape in shape_of(source.into).leaves()
        if shape.kind != "list"
    }
    return columns | {UNKNOWN_FIELDS: {"data_type": "text"}}
