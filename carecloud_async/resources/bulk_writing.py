"""`BulkWriting`: `bulk_write` and `bulk_writer` of a family."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from carecloud_async.bulk.family import BulkWrites
from carecloud_async.resources.declare import Resource
from carecloud_async.resources.merge import MergeRules

if TYPE_CHECKING:
    from carecloud_async._lists.listings.compare_report import CompareReport
    from carecloud_async._lists.listings.listing import Comparer, Listing
    from carecloud_async.bulk.family import Family
    from carecloud_async.bulk.options import RowOptions
    from carecloud_async.bulk.report import BulkWriteReport, OnBulkProgress
    from carecloud_async.bulk.writer import BulkWriter


class BulkWriting(Resource):
    """A family whose records can be written in bulk."""

    _bulk: ClassVar[BulkWrites] = BulkWrites()  # the keys that name its records

    @classmethod
    def _merge_rules(cls) -> MergeRules | None:
        """Return how a record and its changes become the body of the family's PUT; `None` if it has none."""
        return None

    def _as_family(self) -> Family:
        """Return what bulk writes need of the family; overridden where its declared methods do not say all of it."""
        from carecloud_async.resources.bulk_target import DeclaredFamily  # few programs write in bulk

        return DeclaredFamily(self, self._bulk, self._merge_rules())

    @property
    def _comparer(self) -> Comparer | None:
        return self._compare if self._bulk.keys else None

    async def _compare(self, listing: Listing[Any], source: Any, **options: Any) -> CompareReport:
        from carecloud_async._lists.listings.compare_report import CompareOptions  # few programs compare
        from carecloud_async.comparisons.run import compare

        return await compare(listing, self._as_family(), source, CompareOptions(**options), alike=self._is_alike)

    def _is_alike(self, name: str, shown: Any, given: Any) -> bool:
        """Return whether two values of a field are the same in other spellings, by the rules of its bulk writes.

        Args:
            name: the field.
            shown: its value in the record.
            given: its value in the row.
        """
        return False

    async def bulk_write(
        self,
        source: str | os.PathLike[str] | Iterable[Any] | AsyncIterable[Any] | Any,
        *,
        match: str | None,
        mode: Literal["upsert", "create", "update"] = "upsert",
        encoding: str | None = None,
        decimal: Literal[".", ","] | None = None,
        date_format: str | None = None,
        phone_prefix: str | None = None,
        as_written: Collection[str] = (),
        columns: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        ignore_columns: Collection[str] = (),
        defaults: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        blank: Literal["keep", "clear"] = "keep",
        if_unchanged: bool = False,
        results: str | os.PathLike[str] | None = None,
        rejects: str | os.PathLike[str] | None = None,
        journal: str | os.PathLike[str] | None = None,
        resume: bool = False,
        dry_run: bool = False,
        limit: int | None = None,
        max_refused: float | None = None,
        concurrency: int | None = None,
        settle: float | None = None,
        on_progress: OnBulkProgress | None = None,
    ) -> BulkWriteReport:
        """Write many records: rows in, one outcome for each, exact after a kill.

        The guarantee, its limits and how it works: `carecloud_async.bulk`.

        Args:
            source: a path or fsspec URL (`.csv`, `.jsonl`, `.parquet`; `.csv.gz`, `.jsonl.zst` …); an iterable or async
                iterable of mappings, inputs or changes; or anything with `__arrow_c_stream__` (polars, pandas,
                pyarrow, DuckDB).
            match: the key that names a record, such as `email`; `None` creates every row.
            mode: `upsert` creates unknown keys and updates known ones; with `create` a known key is a `conflict`, with
                `update` an unknown one is `refused`.
            encoding: the encoding of a CSV file, such as `cp1250`, where it is not UTF-8 and has no byte order mark.
                Results and rejects in CSV are written in it too.
            decimal: the decimal sign of numbers that are texts, as in CSV; with it thousands may be separated
                (`1 234,50`). Left out, numbers have a point and no separators.
            date_format: the format of dates, such as `dd/mm/yyyy`, where they are neither `YYYY-MM-DD` nor
                `DD.MM.YYYY`; a time may follow. A year of two digits (`yy`) is one of the last 80 years or the next 20;
                in a birthdate, one that is not in the future.
            phone_prefix: the international prefix of phone numbers that have none, such as `+420`. A zero in front is
                left out then. Without it such numbers are sent as they are, with one warning, and those with a zero in
                front are refused; no country is ever guessed.
            as_written: columns whose values are right although they look like numbers that a spreadsheet has shortened
                (`7.7E+12`), or like phone numbers of no country (checked with the extra `phones`).
            columns: column → field, for columns that do not have the field's name (dotted, or its last part). Instead
                of a field, `{"field": …, "words": {…}}` also says which words stand for its values (`{"F": "FEMALE"}`),
                and `""` passes the column over. Or the path of a TOML or JSON file with such a mapping.
            ignore_columns: columns to pass over. Any other column without a field is an error before anything is sent.
            defaults: fields of new records, for rows that lack them. A known record keeps what it has.
            values: fields of every row; they replace what the rows have.
            blank: an empty cell `keep`s the field as the server has it, or `clear`s it (null). In JSONL and mappings
                null is null.
            if_unchanged: a row whose `last_change` is older than the server's is a `conflict`.
            results: a `.csv` or `.jsonl` file: the source's columns, then `outcome`, `record_id`, `changed_fields`
                and `reasons`, in the order of the rows.
            rejects: a file in the source's columns with the refused rows only.
            journal: where the run is kept while it lasts; beside a local source or the results if left out. Rows from
                elsewhere need it, or `results`, to be resumed.
            resume: go on where an earlier run of the same rows was stopped; without one, begin.
            dry_run: read and decide everything and write nothing.
            limit: write only this many rows, the first of the source, to try it.
            max_refused: stop when more rows are refused: a number of rows, or between 0 and 1 the share of the rows
                read so far, which counts from the hundredth row on.
            concurrency: requests under way at once; the client's `max_connections` if left out.
            settle: seconds after which a write whose answer was lost may be sent again, by default 120, and longer
                each time. It covers how late a request may act, and how late a look-up may show what it did.
            on_progress: called with a `BulkProgress`, ten times a second at most; may be async.

        Raises:
            BulkWriteError: it cannot start, too many rows were refused, or the disk is full.
            CareCloudError: the server cannot be reached, or refuses the client; what was done is kept, and
                `resume=True` goes on.
        """
        from carecloud_async.bulk.options import BulkWriteOptions  # few programs write in bulk
        from carecloud_async.bulk.run import run

        options = BulkWriteOptions(
            match=match,
            mode=mode,
            columns=columns,
            ignore_columns=ignore_columns,
            defaults=defaults,
            values=values,
            blank=blank,
            if_unchanged=if_unchanged,
            results=results,
            rejects=rejects,
            journal=journal,
            resume=resume,
            dry_run=dry_run,
            limit=limit,
            max_refused=max_refused,
            concurrency=concurrency,
            on_progress=on_progress,
            encoding=encoding,
            decimal=decimal,
            date_format=date_format,
            phone_prefix=phone_prefix,
            as_written=as_written,
            settle=settle,
        )
        return await run(self._as_family(), source, options)

    def bulk_writer(self, *, match: str | None, **options: Unpack[RowOptions]) -> BulkWriter:
        """Write the rows of a stream without an end, such as a queue: `async with` it, then `await writer.write(row)`.

        Many tasks may write at once: rows that wait together share look-ups, and rows with the same key are written one
        after another.

        Args:
            match: as for `bulk_write`.
            **options: `mode`, `columns`, `ignore_columns`, `defaults`, `values`, `blank`,
                `date_format`, `phone_prefix`, `as_written`, `if_unchanged`, `concurrency` and `settle`, as for
                `bulk_write`.
        """
        from carecloud_async.bulk.options import BulkWriteOptions  # few programs write in bulk
        from carecloud_async.bulk.run import find_key
        from carecloud_async.bulk.writer import BulkWriter

        family = self._as_family()
        key = find_key(family, match)
        return BulkWriter(family, key=key, options=BulkWriteOptions(match=match, **options))
