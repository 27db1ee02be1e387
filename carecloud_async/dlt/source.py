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
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from anyio.from_thread import start_blocking_portal
from attrs import field, frozen
from dlt.common import logger as dlt_log  # which dlt shows; ours is silent where the application has none
from dlt.sources import DltResource, DltSource

from carecloud_async._base.runtime.validators import require_int
from carecloud_async._calls.auth.stores import MemoryTokenStore
from carecloud_async._calls.call.operation import Operation
from carecloud_async._lists.changes.file import CHANGE
from carecloud_async._lists.changes.state_file import begin_generation
from carecloud_async._lists.export.batches import BatchOptions
from carecloud_async._lists.export.formats.schema import UNKNOWN_FIELDS, shape_of
from carecloud_async._lists.export.reading.since import has_changes
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.export.reasons import InexactReason, inexact_error
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.listings.arrow_stream import stream
from carecloud_async._lists.listings.listing import Listing
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async.client import CareCloud
from carecloud_async.dlt.settings import client_of_settings
from carecloud_async.errors import ConfigurationError, ExportError
from carecloud_async.fixes import Fix
from carecloud_async.resources.lookup.by_name import find_list, open_list

if TYPE_CHECKING:
    import pyarrow

    from carecloud_async._lists.changes.values import ChangesReport

__all__ = ["carecloud_source"]

#: The column that marks a row as deleted; always null in the table.
_DELETED = "carecloud_deleted"

_FULL = Fix("if they were really deleted, run once with full=True, and with allow_inexact=True if no record is left")

#: Changes in a batch.
_BATCH = 2000

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
    folder = Path(state_folder) if state_folder else None
    resources: list[DltResource] = []
    for name in dict.fromkeys(lists):
        operation = find_list(name)
        params = {**chosen.get(name, {}), **({"count": count} if operation.paged else {})}
        listed = _List(
            operation=operation,
            make_client=make_client,
            params=params,
            concurrency=concurrency,
            allow_inexact=allow_inexact,
        )
        resources.append(listed.compared(full=full, folder=folder) if deletions else listed.read(full=full))
    # A run with `full=True` replaces tables that the next run merges into: their nested tables need its key.
    return dlt.source(lambda: resources, name="carecloud", root_key=True)()


@frozen(kw_only=True)
class _List:
    """A list to be loaded."""

    operation: Operation
    make_client: Callable[[], CareCloud]
    params: Mapping[str, Any] = field(repr=False)
    concurrency: int
    allow_inexact: bool

    def read(self, *, full: bool) -> DltResource:
        """Return a resource whose rows are the list, or what changed in it since the last run."""
        source = self._source()
        has_watermark = self.operation.id_field is not None and has_changes(source) and self.operation.paged

        def rows() -> Iterator[Any]:
            yield from _read(self, source, has_watermark=has_watermark)

        return self._resource(rows, replaces=full or not has_watermark, columns=_columns(source))

    def compared(self, *, full: bool, folder: Path | None) -> DltResource:
        """Return a resource whose rows are what differs from the last run, deletions too."""
        source = self._source()
        if self.operation.id_field is None:
            raise ConfigurationError(
                f"{source.name} has no ids, by which deleted rows could be found: leave deletions out"
            )

        def rows() -> Iterator[Any]:
            yield from _compare(self, source, folder)

        columns = _columns(source) | {_DELETED: {"data_type": "bool", "hard_delete": True}}
        return self._resource(rows, replaces=full, columns=columns)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Listing[Any]]:
        async with self.make_client() as client:
            yield open_list(client, self.operation, **self.params)

    @asynccontextmanager
    async def open_source(self) -> AsyncIterator[ListSource[Any]]:
        async with self.open() as listing:
            yield listing.export_source()

    def _source(self) -> ListSource[Any]:
        """Return the list as exports read it; nothing is sent."""
        return open_list(self.make_client(), self.operation, **self.params).export_source()

    def _resource(self, rows: Callable[[], Iterator[Any]], *, replaces: bool, columns: Any) -> DltResource:
        """Return the dlt resource of these rows, which replace the table or are merged into it."""
        made: DltResource = dlt.resource(
            rows,
            name=self.operation.call.removesuffix(".list").replace(".", "_"),
            primary_key=self.operation.id_field or (),
            write_disposition="replace" if replaces else "merge",
            columns=columns,
        )()
        return made


class _Run:
    """The run of a resource, and what dlt remembers from its last one.

    Args:
        source: the list.
        allow_inexact: whether a table may be replaced by a reading that may lack records.

    Attributes:
        state: what is known of the list; dlt empties it where a table is replaced.
        source_state: what is known of all lists, which dlt keeps then.
        name: the name of the resource: a list may be loaded under several.
        fingerprints: digests of what is read, and into which table.
        replaces: whether dlt replaces the table: by our hint, or by one that the user gave dlt.
    """

    def __init__(self, source: ListSource[Any], *, allow_inexact: bool) -> None:
        self._list_name = source.name
        self._allow_inexact = allow_inexact
        self.state: dict[str, Any] = dlt.current.resource_state()
        self.source_state: dict[str, Any] = dlt.current.source_state()
        self.name: str = dlt.current.resource_name()
        running = dlt.current.source().resources[self.name]
        table = running.table_name
        # What is known of one table is not in another that the user names.
        other = {"table": table} if isinstance(table, str) and table != self.name else {}
        self.fingerprints: dict[str, str] = {**source.fingerprints(), **other}
        wanted: Any = running.write_disposition
        self.replaces: bool = (wanted.get("disposition") if isinstance(wanted, dict) else wanted) == "replace"

    @property
    def _filled(self) -> dict[str, Any]:
        """Which list filled each table."""
        filled: dict[str, Any] = self.source_state.setdefault("filled", {})
        return filled

    @property
    def has_rows(self) -> bool:
        """Whether a list filled the table."""
        return bool(self._filled.get(self.name))

    @property
    def expects_records(self) -> bool:
        """Whether this list filled the table: it is doubted when it is empty."""
        return self._filled.get(self.name) == self.fingerprints

    def note_filled(self, has_records: object) -> None:
        """Note whether the list has records."""
        self._filled[self.name] = self.fingerprints if has_records else None

    def accept(self, reasons: Sequence[InexactReason], *, replaces: bool) -> None:
        """Warn of a reading that may lack records.

        Raises:
            ExportError: the table would be replaced by it; dlt drops the rows that it has.
        """
        if not reasons:
            return
        if replaces and not self._allow_inexact:
            raise inexact_error(self._list_name, reasons, accept="allow_inexact=True", kept="The table stays as it was")
        then = "the table is replaced nevertheless" if replaces else "the next run repeats its changes"
        seen = "; ".join(reason.seen for reason in reasons)
        dlt_log.warning(f"{self._list_name} was not read exactly: {seen}: {then}")


def _read(the_list: _List, source: ListSource[Any], *, has_watermark: bool) -> Iterator[Any]:
    """Yield the rows of a list, or of what changed in it since the last run; note when this run began."""
    run = _Run(source, allow_inexact=the_list.allow_inexact)
    known = run.state if not run.replaces and run.state.get("list") == run.fingerprints else {}
    since, timeless = known.get("changed_since"), TimelessRecords(known.get("timeless", ()))
    reports: list[ExportReport] = []
    options = BatchOptions(
        changed_since=since,
        timeless=timeless,
        expects_records=run.expects_records,
        concurrency=the_list.concurrency,
    )
    for batch in stream(the_list.open_source, options, check=reports.append):
        yield [_without_nulls(row) for row in batch.to_pylist()]
    (report,) = reports
    run.accept(report.reasons, replaces=run.replaces)
    if not report.records and since is None:
        yield dlt.mark.materialize_table_schema()
    if report.exact or run.replaces or report.records:
        run.note_filled(report.records or (since if report.total is None else report.total))
    run.state.update(compared=None)  # also after an inexact run: no comparison knows the rows that it merged
    if report.exact:
        watermark = report.next_changed_since if has_watermark else None
        run.state.update(
            list=run.fingerprints,
            changed_since=None if watermark is None else watermark.isoformat(),
            timeless=timeless.found,
        )


def _compare(the_list: _List, source: ListSource[Any], folder: Path | None) -> Iterator[Any]:
    """Yield the rows that differ from the last run, the deleted ones marked; note which state knows them."""
    run = _Run(source, allow_inexact=the_list.allow_inexact)
    # Not in the resource's state: a run that replaces the table, and fails, must not end it.
    generations = run.source_state.setdefault("generations", {})
    last = generations.get(run.name)
    was_loaded = run.has_rows or bool(run.state.get("list"))
    begins = run.replaces or last is None or run.state.get("compared") != run.fingerprints
    path, generation = begin_generation(_states(folder), run.name, last=last, is_empty=begins)
    with _naming_full(), _spool_changes(the_list, path) as (report, batches):
        # What other runs loaded is not in a state that begins, which could not delete it. A new table is merged:
        # only then does dlt give it the columns that later merges need.
        replaces = run.replaces or (begins and report.exact and was_loaded)
        has_records = report.total or report.created or report.updated or report.unchanged
        is_gone = replaces and not has_records and run.expects_records
        run.accept(report.reasons or ((InexactReason.EMPTIED,) if is_gone else ()), replaces=replaces)
        if replaces:
            hints = dlt.mark.make_hints(write_disposition="replace")
            yield dlt.mark.with_hints(dlt.mark.materialize_table_schema(), hints)
        for batch in batches:
            yield [_changed_row(row) for row in batch.to_pylist()]
    generations[run.name] = generation
    run.state.update(compared=run.fingerprints if report.exact or not begins else None)
    run.note_filled(has_records)


@contextmanager
def _spool_changes(the_list: _List, state: Path) -> Iterator[tuple[ChangesReport, Iterator[pyarrow.RecordBatch]]]:
    """Read what changed in a list since the state's last run into a temporary file, with a first column `_change`.

    The file is readable by its owner alone, and removed when the block ends.

    Args:
        the_list: the list.
        state: the state file, which is updated when the file is complete; see `Listing.changes`.

    Yields:
        the report, and the changes.

    Raises:
        ExportError: the list cannot be compared.
        CareCloudError: the server cannot be read.
    """
    import pyarrow.parquet  # an extra

    with tempfile.TemporaryDirectory(prefix="carecloud-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, "records.parquet")

        async def compare() -> ChangesReport:
            async with the_list.open() as listing:
                return await listing.changes(state=state, concurrency=the_list.concurrency).to_file(path)

        with start_blocking_portal() as portal:
            report = portal.call(compare)
        with pyarrow.parquet.ParquetFile(path) as file:
            yield report, file.iter_batches(batch_size=_BATCH)


@contextmanager
def _naming_full() -> Iterator[None]:
    """Name what this source has for a list that lost more than half of its records."""
    try:
        yield
    except ExportError as error:
        if error.fix is None or "allow_shrink" not in error.fix.settings:
            raise
        raise ExportError(error.problem, fix=_FULL) from None


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


def _columns(source: ListSource[Any]) -> Any:
    """Return the hints of the model's columns; dlt infers those of lists, which become tables of their own."""
    columns = {
        "__".join(path): {"data_type": _TYPES.get(shape.kind, "text")}
        | ({"timezone": True, "precision": 6} if shape.kind == "datetime" else {})
        for path, shape in shape_of(source.into).leaves()
        if shape.kind != "list"
    }
    return columns | {UNKNOWN_FIELDS: {"data_type": "text"}}
