"""Listings: one list operation with its filters, as pages, as records, as raw JSON."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from attrs import evolve

from carecloud_async._base.codec import Page
from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async._base.runtime.validators import require_int
from carecloud_async._calls.call.failure import invalid_response
from carecloud_async._lists.listings.filter_parts import FilterParts
from carecloud_async._lists.listings.misuse import NotAList, needs_limit
from carecloud_async._lists.paging.auto import AUTO, Auto, check_count, require_int_or_auto
from carecloud_async._lists.paging.iterators import AnyPage, ClosableIterator, Pages, PartedPages, Records
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async.fixes import COUNT

if TYPE_CHECKING:
    from carecloud_async._calls.call.caller import Caller
    from carecloud_async._calls.call.operation import Operation
    from carecloud_async._lists.changes.reader import Changes
    from carecloud_async._lists.export.batches import RecordBatches
    from carecloud_async._lists.export.formats.sinks import CsvOptions
    from carecloud_async._lists.export.report import ExportReport, OnProgress
    from carecloud_async._lists.listings.arrow_stream import ArrowStream
    from carecloud_async._lists.listings.compare_report import CompareReport
    from carecloud_async._lists.paging.prefetch import Prefetch

__all__ = ["Comparer", "Listing", "listing"]

T = TypeVar("T")
R = TypeVar("R", bound=AnyPage[Any])
#: The page size for records that are only counted.
_COUNTED_PAGE = 1000
#: Compares a listing with a source; made by the family of its records.
Comparer = Callable[..., Awaitable["CompareReport"]]


class Listing(NotAList, Generic[T]):
    """A list operation with its filters; no request is sent before it is iterated or a method is awaited.

    `async for record in listing` yields every record, one page in memory at a time. Listings are made by the methods
    `list` of the families, and by others that find many records; iterated again, a listing is read again.
    """

    def __init__(self, source: ListSource[T], *, comparer: Comparer | None = None) -> None:
        self._source = source
        self._comparer = comparer

    def __repr__(self) -> str:
        return f"<Listing {self._source.operation.call}({', '.join(f'{name}=…' for name in self._source.filters)})>"

    def __aiter__(self) -> AsyncIterator[T]:
        return Records(self._pages(ListSource.unread), self._source.operation)

    def pages(self) -> ClosableIterator[Page[T]]:
        """Return the pages, fetched one after another."""
        return self._pages(ListSource.read)

    def raw(self) -> ClosableIterator[bytes]:
        """Return each record as one line of compact JSON, cut from the page unparsed: unknown fields stay in."""
        return Records(self._pages(ListSource.raw), self._source.operation)

    def fresh(self) -> Listing[T]:
        """Return the same listing bypassing caches: every page is requested anew, and the client's cache keeps it."""
        return self._calling(self._source.caller.fresh)

    async def page(self) -> Page[T]:
        """Return the one page at `offset`.

        Raises:
            ConfigurationError: the filters are too long for one request.
        """
        self._filters.require_one("page()")
        return await self._source.read(self._source.offset, self._source.fixed_count)

    async def first(self) -> T | None:
        """Return the first record, or `None`; one request, unless the filters are too long for one."""
        async for page in self._pages(ListSource.read, count=1):  # a null in place of a record is none
            if page.items:
                return page.items[0]
        return None

    async def total(self) -> int:
        """Return how many records match, as the server counts them; one request.

        If the filters are too long for one, the records of all parts are read and counted, each record once.

        Raises:
            ResponseError: the server does not report it.
        """
        source = self._source
        if len(self._filters.parts()) > 1:
            return sum([len(page) async for page in self._pages(ListSource.raw, count=_COUNTED_PAGE)])
        page = await source.read(source.offset, 1)
        if page.total_items is not None:
            return page.total_items
        if not source.operation.paged or (not page.received and not source.offset):
            return page.received  # the whole list, or one that is empty from its beginning
        raise invalid_response(source.operation, "the answer has no total_items", fix=COUNT)

    @needs_limit
    async def collect(self, *, limit: int) -> list[T]:
        """Return the first records as a list, at most `limit` of them."""
        require_int("limit", limit, least=1)
        # Pages, because they show no record: a traceback with local variables would show those of a list of dicts.
        pages: list[Page[T]] = []
        received = 0
        async for page in self._pages(ListSource.read, count=min(self._source.fixed_count, limit)):
            pages.append(page)
            received += len(page.items)
            if received >= limit:
                break
        return list(islice(chain.from_iterable(page.items for page in pages), limit))

    def prefetch(self, pages: int | Auto = AUTO) -> Prefetch[T]:
        """Return the records with several pages in flight, in the server's order: `async with` it, then iterate.

        Args:
            pages: the number of pages in flight at most; `"auto"` finds the fastest, up to the client's
                `max_connections`. So is the size of the pages, unless the list was given a `count`.

        Raises:
            ConfigurationError: `pages` is not such a number, or the filters are too long for one request.
        """
        from carecloud_async._lists.paging.prefetch import Prefetch  # most programs never use it

        require_int_or_auto("pages", pages)
        self._filters.require_one("prefetch()")
        # Past the cache: cached pages of different ages would not be consistent.
        return Prefetch(self.fresh()._source, pages)

    async def export(
        self,
        target: str | os.PathLike[str],
        *,
        concurrency: int | Auto = AUTO,
        resume: bool = False,
        overwrite: bool = False,
        changed_since: datetime | str | None = None,
        state: str | os.PathLike[str] | None = None,
        allow_shrink: bool = False,
        fields: Sequence[str] | None = None,
        allow_unknown: bool = False,
        on_progress: OnProgress | None = None,
        format: str | None = None,  # noqa: A002  (as users call it)
        columns: Literal["model", "found"] = "model",
        timestamps: Literal["utc", "project"] = "utc",
        csv: CsvOptions | None = None,
        mode: int = 0o600,
    ) -> ExportReport:
        """Write the whole list to a file: every record that stays in the list is in it exactly once.

        The guarantee, its limits and its cost: `carecloud_async.export`.

        Args:
            target: a path whose suffix names the format (`.jsonl`, `.csv`, `.parquet`; `.jsonl.gz`, `.csv.zst` …), or
                an fsspec URL such as `s3://bucket/customers.parquet`. Anything but a regular file (a pipe, a device)
                is written directly.
            concurrency: how many pages are in flight; `"auto"` finds the fastest, up to the client's
                `max_connections`. So is the size of the pages, unless the list was given a `count`.
            resume: continue an earlier run to the same target; if there is none, begin.
            overwrite: replace the target if it exists.
            changed_since: write only what changed at or after this time; naive means project-local.
            state: a file, or a URL of a storage service such as `s3://bucket/customers.state`, that keeps the mark of
                the last run whose guarantee holds (`report.exact`): the first run
                exports everything, each later one what changed. Replaces `changed_since`.
            allow_shrink: accept a list that is empty and had records in the last run, as the state or an earlier run to
                the same target shows. Without it, such a list is asked again, and the report is not exact.
            fields: the fields to write, nested ones dotted (`personal_information.email`); all if left out.
            allow_unknown: accept fields that the model does not know. They are written if the server sends them.
            on_progress: called with a `Progress`, at most ten times a second; may be async.
            format: the format if the target's name does not show it: `csv`, `jsonl.gz` …; `-` as target is standard
                output.
            columns: `model` for Parquet files that all have the model's columns, with unknown fields as JSON
                text in the column `unknown_fields`; `found` for the columns of exactly the fields that were found.
            timestamps: `utc` for Parquet timestamps in UTC, converted from the project's zone; `project` for naive
                ones, as the API sends them.
            csv: the dialect of CSV; `CsvOptions.excel()` for spreadsheets.
            mode: the permissions of the finished file. It holds personal data, so by default only its owner can read
                it. While it is written, only its owner can.

        Raises:
            ExportError: it cannot start or continue; an existing file is untouched, and the export can be resumed.
            CareCloudError: the server cannot be read; the export can be resumed.
        """
        from carecloud_async._lists.export.formats.sinks import CsvOptions
        from carecloud_async._lists.export.job import run  # few programs export

        return await run(
            self.export_source(),
            target,
            concurrency=concurrency,
            resume=resume,
            overwrite=overwrite,
            changed_since=changed_since,
            state=state,
            allow_shrink=allow_shrink,
            fields=fields,
            allow_unknown=allow_unknown,
            on_progress=on_progress,
            format=format,
            columns=columns,
            timestamps=timestamps,
            csv=csv or CsvOptions(),
            mode=mode,
        )

    def arrow(
        self,
        *,
        concurrency: int | Auto = AUTO,
        changed_since: datetime | str | None = None,
        after: str | None = None,
        fields: Sequence[str] | None = None,
        timestamps: Literal["utc", "project"] = "utc",
        on_progress: OnProgress | None = None,
    ) -> RecordBatches:
        """Return the whole list as Arrow record batches, exact as an export, without a file.

            async with listing.arrow() as batches:
                async for batch in batches: ...
            batches.report

        Every batch has the columns of a Parquet export: the model's, and `unknown_fields`.

        Args:
            concurrency: how many pages are in flight; `"auto"` as for `export`.
            changed_since: only what changed at or after this time; naive means project-local.
            after: `batches.mark` of an earlier stream of the same list: continues after the batch it was taken at.
            fields: the fields to take, nested ones dotted; all if left out.
            timestamps: as for `export`.
            on_progress: as for `export`.

        Raises:
            ExportError: the list cannot be streamed, pyarrow is not installed, or `after` belongs to another stream.
        """
        from carecloud_async._lists.export.batches import BatchOptions, RecordBatches  # few programs export

        options = BatchOptions(
            concurrency=concurrency,
            changed_since=changed_since,
            after=after,
            fields=fields,
            timestamps=timestamps,
            on_progress=on_progress,
        )
        return RecordBatches(self.export_source(), options)

    def changes(
        self,
        *,
        state: str | os.PathLike[str],
        keep: Literal["digests", "records"] = "digests",
        compare_every: timedelta | None = None,
        allow_shrink: bool = False,
        concurrency: int | Auto = AUTO,
        on_progress: OnProgress | None = None,
    ) -> Changes[T]:
        """Return what was created, updated and deleted since the last run with the same state file.

            async with listing.changes(state="cards.state") as changes:
                async for change in changes: ...
            changes.report
            await listing.changes(state="cards.state").to_file("changes.jsonl", overwrite=True)

        How it works, and when a deletion is certain: `carecloud_async.changes`.

        Args:
            state: a file, or a URL of a storage service such as `s3://bucket/cards.state`, that keeps the ids and
                digests of the records. The first run makes it: everything is created.
            keep: `records` keeps the records too, so that `change.fields` names the fields that differ.
            compare_every: read only what changed by `last_change`, until this time has passed since the whole list was
                compared last. Only a comparison of the whole list finds deletions.
            allow_shrink: accept that more than half of the records are gone.
            concurrency: as for `export`.
            on_progress: as for `export`.

        Raises:
            ExportError: the list cannot be compared; the state belongs to another list or identity, or is in use;
                more than half of the records are gone.
            CareCloudError: the server cannot be read.
        """
        from carecloud_async._lists.changes.reader import Changes  # few programs compare
        from carecloud_async._lists.changes.run import ChangesRun
        from carecloud_async._lists.changes.values import ChangesOptions

        options = ChangesOptions(
            keep=keep,
            compare_every=compare_every,
            allow_shrink=allow_shrink,
            concurrency=concurrency,
            on_progress=on_progress,
        )
        return Changes(ChangesRun(self.export_source(), state, options))

    def arrow_stream(
        self,
        *,
        concurrency: int | Auto = AUTO,
        changed_since: datetime | str | None = None,
        fields: Sequence[str] | None = None,
        timestamps: Literal["utc", "project"] = "utc",
        allow_inexact: bool = False,
    ) -> ArrowStream:
        """Return the whole list as an Arrow stream for code without async: a script, a notebook, a worker.

            frame = polars.DataFrame(client.customers.list().arrow_stream())
            duckdb.from_arrow(client.cards.list().arrow_stream().reader())

        Whatever takes an object with `__arrow_c_stream__` reads it: polars, DuckDB, pandas, pyarrow, Delta, Iceberg.
        Each reading opens a client of its own with this client's settings, in an event loop in its own thread, and logs
        in for itself unless the client has a `FileTokenStore`. So it works where a loop runs already, and blocks it.

        Args:
            concurrency: as for `arrow`.
            changed_since: as for `arrow`.
            fields: as for `arrow`.
            timestamps: as for `arrow`.
            allow_inexact: accept a reading that may lack records; otherwise it fails at its end.

        Raises:
            ConfigurationError: the identity belongs to a device or a customer, or the client has an `http_client`.
            ExportError: the list cannot be streamed, or pyarrow is not installed.
        """
        from carecloud_async._lists.export.batches import BatchOptions  # few programs stream
        from carecloud_async._lists.listings.arrow_stream import ArrowStream

        options = BatchOptions(
            concurrency=concurrency, changed_since=changed_since, fields=fields, timestamps=timestamps
        )
        return ArrowStream(self.export_source(), options, allow_inexact=allow_inexact)

    async def compare(
        self,
        source: str | os.PathLike[str] | Iterable[Any] | AsyncIterable[Any] | Any,
        *,
        match: str,
        encoding: str | None = None,
        decimal: Literal[".", ","] | None = None,
        date_format: str | None = None,
        phone_prefix: str | None = None,
        columns: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        ignore_columns: Collection[str] = (),
        only_file: bool = False,
        results: str | os.PathLike[str] | None = None,
    ) -> CompareReport:
        """Compare the whole list with a source; nothing is written to the project.

        Every row and every record has one verdict: `same`, `different`, `missing_there` (no record has the row's key),
        `missing_here` (no row has the record's key) or `twice`. How it works: `carecloud_async.comparisons`.

        Args:
            source: rows, as for `bulk_write`.
            match: the key that names a record, such as `external_purchase_id`; a field that the list shows.
            encoding: as for `bulk_write`.
            decimal: as for `bulk_write`.
            date_format: as for `bulk_write`.
            phone_prefix: as for `bulk_write`.
            columns: column → field, as for `bulk_write`.
            ignore_columns: columns to pass over.
            only_file: pass over records that no row has: the source holds a part of the list.
            results: a `.csv` or `.jsonl` file with a line for each row, and for each record without one: the source's
                columns, then `line`, `outcome`, `record_id`, `changed_fields` and `reasons`.

        Raises:
            BulkWriteError: the source cannot be read, or records cannot be compared by the key.
            ConfigurationError: the records of this list have no keys.
            CareCloudError: the server cannot be read.
        """
        from carecloud_async.errors import ConfigurationError  # one list in two cannot be compared

        if self._comparer is None:
            raise ConfigurationError(f"{self._source.operation.call} cannot be compared: its records have no keys")
        reading = {"encoding": encoding, "decimal": decimal, "date_format": date_format, "phone_prefix": phone_prefix}
        more = {"columns": columns, "ignore_columns": ignore_columns, "only_file": only_file, "results": results}
        return await self._comparer(self, source, match=match, **reading, **more)

    def export_source(self) -> ListSource[T]:
        """Return the source that exports and scans read.

        Raises:
            ConfigurationError: the filters are too long for one request.
        """
        self._filters.require_one("an export or a stream")
        return self._source

    def _calling(self, caller: Caller) -> Listing[T]:
        """Return the same listing, whose calls another caller makes."""
        return Listing(evolve(self._source, caller=caller), comparer=self._comparer)

    @property
    def _filters(self) -> FilterParts:
        return FilterParts(self._source)

    def _pages(
        self, read: Callable[[ListSource[T], int, int], Awaitable[R]], *, count: int | None = None
    ) -> ClosableIterator[R]:
        """Return the pages, in parts if the filters are too long for one request.

        Args:
            read: gets a page by offset and count.
            count: the records of a page, if not those of the listing.
        """
        source = self._source
        parts: list[ClosableIterator[Any]] = [
            Pages(evolve(source, params=params), read, count=count or source.fixed_count)
            for params in self._filters.parts()
        ]
        return parts[0] if len(parts) == 1 else cast("Any", PartedPages(parts, source.keys))


def listing(
    caller: Caller,
    operation: Operation,
    into: type[T],
    *,
    path_params: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    json: Any = None,
    compare: Comparer | None = None,
) -> Listing[T]:
    """Make a listing; invalid arguments are refused here, not at its first page.

    Args:
        caller: makes the calls.
        operation: the list operation.
        into: the model of a record.
        path_params: values of the path's placeholders.
        params: filters, order and paging (`count`, `offset`).
        json: the body of a list that is a POST.
        compare: compares the list with a source; `None` if its records cannot be compared.

    Raises:
        ConfigurationError: `count` or `offset` is not a sensible number, or a filter is of the wrong kind: the API
            would drop it and list everything.
    """
    # Filters name persons, and error reporters capture local variables.
    params = dict(check_count(operation.kinds, conceal(params or {})))
    count, offset = params.pop("count", AUTO), params.pop("offset", 0)
    require_int("offset", offset, least=0)
    source = ListSource(
        caller=caller,
        operation=operation,
        into=into,
        path_params=path_params or {},
        params=params,
        json=json,
        count=count,
        offset=offset,
    )
    return Listing(source, comparer=compare)
