"""One bulk write, from its source to its report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import attrs

from carecloud_async._base.runs import Earlier, RunFile
from carecloud_async._base.runtime.clock import boot_id
from carecloud_async._base.runtime.suggestions import did_you_mean
from carecloud_async._base.runtime.threads import close_in_thread, run_in_thread, run_in_thread_regardless
from carecloud_async._calls.call.events import watched
from carecloud_async.bulk.check import RowChecker
from carecloud_async.bulk.claims import Claims
from carecloud_async.bulk.columns import Columns
from carecloud_async.bulk.engine import Engine
from carecloud_async.bulk.errors import BadSourceError, BulkWriteError, TooManyRefusedError
from carecloud_async.bulk.family import Family, Key, settle_times
from carecloud_async.bulk.journal import KIND, RowJournal
from carecloud_async.bulk.machine import SettleTimes
from carecloud_async.bulk.metrics import RunMetrics
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import UNREADABLE
from carecloud_async.bulk.report import BulkWriteReport
from carecloud_async.bulk.results import RunFiles, find_files, write_results
from carecloud_async.bulk.rows import LoadedRow
from carecloud_async.bulk.sources import open_source
from carecloud_async.bulk.sources.item_lines import with_items
from carecloud_async.bulk.sources.source import RowSource, SourceRow, row_json
from carecloud_async.fixes import GO_ON

_WRITTEN: Final = (
    "an earlier run has written these rows, and left no such file: without resume they are written once more"
)
#: Most columns of the results if each row names its own, as in JSON Lines.
_MAX_COLUMNS: Final = 2000


def find_key(family: Family, match: str | None) -> Key | None:
    """Return the key that `match=` names.

    Raises:
        BadSourceError: there is no such key, or the family takes no rows without one.
    """
    facts = family.facts
    if match is None:
        if family.create is None and family.batch is None:
            raise BadSourceError(f"{facts.name} cannot be created: name the key of a record in match=")
        return None
    key = facts.keys.get(match)
    if key is None:
        known = ", ".join(facts.keys) or "none: pass match=None to create every row"
        raise BadSourceError(
            f"match={match!r} is no key of {facts.name}{did_you_mean(match, facts.keys)}; keys: {known}"
        )
    return key


def columns_of(family: Family, options: BulkWriteOptions) -> Columns:
    """Return the mapping from the columns of the rows to fields."""
    return Columns(family, renamed=options.columns, ignored=options.ignore_columns, as_written=options.as_written)


async def run(family: Family, source: Any, options: BulkWriteOptions) -> BulkWriteReport:
    """Write the rows of a source; see `bulk_write`.

    Raises:
        BulkWriteError: it cannot start or continue.
        CareCloudError: the server is away or refuses the client.
    """
    if not options.dry_run:
        family.caller.refuse_if_read_only(f"{family.facts.name}.bulk_write")
    key = find_key(family, options.match)
    files = await run_in_thread(partial(find_files, source, options, family=family.facts.name))
    metrics = RunMetrics(family.clock, options.on_progress)
    writing = _Run(family=family, key=key, options=options, files=files, metrics=metrics)
    try:
        with watched(family.caller.context, metrics):
            return await writing.run(source)
    except BulkWriteError as error:
        if error.report is None and writing.journal is not None:
            error.report = metrics.report(resumed=False, dry_run=options.dry_run)
        raise
    finally:
        await run_in_thread_regardless(writing.close)


class _Run:
    """One run. It keeps what it opens, for `close`, even if the task is cancelled while a thread opens it."""

    def __init__(
        self, *, family: Family, key: Key | None, options: BulkWriteOptions, files: RunFiles, metrics: RunMetrics
    ) -> None:
        self.family = family
        self.key = key
        self.options = options
        self.files = files
        self.metrics = metrics
        self.source: RowSource | None = None
        self.file: RunFile | None = None
        self.journal: RowJournal | None = None
        self.names: dict[str, None] = {}  # the columns of the rows that were loaded

    def close(self) -> None:
        """Close what was opened."""
        if self.source is not None:
            self.source.close()
        if self.file is not None:
            self.file.close()
        if self.files.folder is not None:
            self.files.folder.cleanup()

    async def run(self, source: Any) -> BulkWriteReport:
        """Load the rows, write them, and make the files."""
        rows = await run_in_thread(partial(self._open_source, source))
        columns = columns_of(self.family, self.options)
        rows = with_items(rows, self.family.facts.writes.items, columns)
        if self.key is None:
            rows.identity = None  # without a key the content says what the run is: the same rows, in whatever file
        file, journal = await run_in_thread(partial(self._open_journal, rows))
        earlier, resumed = file.report, file.continues
        try:
            if resumed:
                await self._take_up(journal, rows)
            else:
                loaded = await self._load(journal, rows, columns)
                if earlier is not None and earlier["digest"] == loaded["digest"]:
                    return await self._finished_before(file, earlier)
                await run_in_thread(partial(journal.finish_loading, **loaded))
            await self._write(journal)
        except TooManyRefusedError as error:
            await self._write_files(journal, rows)
            if error.report is not None:
                error.report = attrs.evolve(error.report, **self.metrics.reasons)
            raise
        self.metrics.stage = "finishing"
        await self.metrics.report_progress(always=True)
        await self._write_files(journal, rows)
        await run_in_thread(partial(self._finish, file, journal))
        return self._report(resumed=resumed)

    def _open_source(self, source: Any) -> RowSource:
        self.source = open_source(source, encoding=self.options.encoding)
        return self.source

    def _open_journal(self, rows: RowSource) -> tuple[RunFile, RowJournal]:
        """Open the journal of an earlier run that is continued, or begin one. Blocks.

        Raises:
            BulkWriteError: it is in use, belongs to another run, or has an unfinished run and `resume` is not given.
        """
        path, resume = self.files.journal, self.options.resume and not self.options.dry_run
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise KIND.of_system(path, error) from error
        self.file = file = RunFile.open(path, kind=KIND, binding=self._binding(rows), resume=resume)
        self.journal = journal = RowJournal(
            file, keep_rows=self._keeps_rows, key_name="key" if self.key is None else self.key.name
        )
        if file.problem is not None:
            raise file.problem
        if file.report is not None:
            # The report is replaced only once the rows are known to be others: a kill must not lose it.
            journal.make_tables()
            return file, journal
        is_unfinished = file.earlier is Earlier.UNFINISHED and file.get("loaded") is not None
        if is_unfinished and not resume and journal.has_begun():
            raise BulkWriteError(f"{path}: an earlier run was not finished", fix=GO_ON)
        if not (is_unfinished and resume):  # nothing was sent before all rows were loaded
            file.begin()
        return file, journal

    async def _take_up(self, journal: RowJournal, rows: RowSource) -> None:
        """Take up the rows of the run that is continued."""
        await self._require_same(journal, rows)
        metrics = self.metrics
        metrics.resume(await run_in_thread(journal.counts), journal.get("kept"))
        metrics.check_written(self.options)
        look, boot = settle_times(self.family.caller).look, boot_id()
        is_of_another = boot is not None and journal.get("boot") not in {None, boot}
        await run_in_thread(partial(journal.recover, now=metrics.now, look=look, is_of_another_boot=is_of_another))

    async def _finished_before(self, file: RunFile, earlier: Mapping[str, Any]) -> BulkWriteReport:
        """Return the report of an earlier run, which has written the rows that this one has loaded."""
        await run_in_thread(partial(file.finish, earlier))  # without these rows
        if not self._kinds <= {*earlier["files"]}:
            raise BulkWriteError(f"{self.files.journal}: {_WRITTEN}")
        self.metrics.resume(earlier["outcomes"], earlier["kept"])
        self.metrics.reasons = earlier["reasons"]
        return self._report(resumed=True)

    def _finish(self, file: RunFile, journal: RowJournal) -> None:
        """Remove the journal. Blocks.

        Without a key it keeps the report: if a kill came before the caller had it, the same call would otherwise create
        every record again.
        """
        if self.key is not None or self.files.folder is not None:
            file.remove()
            return
        metrics = self.metrics
        report = {"outcomes": dict(metrics.outcomes), "kept": metrics.to_keep, "reasons": metrics.reasons}
        file.finish(report | {"digest": journal.get("digest"), "files": [*self._kinds]})

    async def _write_files(self, journal: RowJournal, rows: RowSource) -> None:
        columns = journal.get("columns") or [*self.names]
        await run_in_thread(partial(write_results, journal, columns, self.files.files, dialect=rows.dialect))
        if self.file is not None:
            await run_in_thread(partial(self.metrics.read_reasons, self.file.db))

    def _report(self, *, resumed: bool) -> BulkWriteReport:
        options = self.options
        return self.metrics.report(
            resumed=resumed,
            dry_run=options.dry_run,
            results=None if options.results is None else str(options.results),
            rejects=None if options.rejects is None else str(options.rejects),
        )

    @property
    def _kinds(self) -> set[str]:
        """The kinds of files that are asked for."""
        return {"rejects" if file.only_refused else "results" for file in self.files.files}

    @property
    def _keeps_rows(self) -> bool:
        """Whether the journal keeps rows; without a key always, so that files wanted later do not change `_binding`."""
        return self.key is None or bool(self.files.files)

    def _binding(self, rows: RowSource) -> dict[str, str]:
        options = self.options
        what = {
            "match": options.match,
            "mode": options.mode,
            "columns": [dict(options.columns), sorted(options.ignore_columns), sorted(options.as_written)],
            "defaults": [dict(options.defaults), dict(options.values)],
            "blank": [options.blank, options.if_unchanged],
            "decimal": [options.encoding, options.decimal, options.date_format, options.prefix_digits],
            "results": self._keeps_rows,
            "limit": options.limit,
        }
        bound = {name: _digest(value) for name, value in {**self.family.facts.scope, **what}.items()}
        return bound | ({"source": _digest(rows.identity)} if rows.identity is not None else {})

    async def _load(self, journal: RowJournal, rows: RowSource, columns: Columns) -> dict[str, Any]:
        """Read and check all rows, without the server, into the journal; return what is noted when they are loaded."""
        metrics, options = self.metrics, self.options
        await columns.check(rows, key=self.key, options=options)
        checker = RowChecker(
            self.family, columns, key=self.key, options=options, textual=rows.textual, blanks=rows.blanks
        )
        self.names.update(dict.fromkeys(rows.columns or ()))
        digest = hashlib.sha256()
        await run_in_thread(journal.begin_loading)
        async with aclosing(self._batches(rows)) as batches:
            async for batch in batches:
                loaded: list[LoadedRow] = []
                for number, row in enumerate(batch, metrics.rows + 1):
                    source = row_json(row)
                    digest.update(source)
                    _add_names(self.names, row, rows)
                    loaded.append(await checker.check_row(row, number=number, source=source))
                metrics.rows += len(batch)
                metrics.outcomes["refused"] += await run_in_thread(partial(journal.load, loaded))
                metrics.check_refused(options, refused=metrics.refused, rows=metrics.rows, sent="none was sent")
                await metrics.report_progress()
        checker.warn()
        metrics.kept.refused_when_read = metrics.refused
        return {"columns": [*self.names], "digest": digest.hexdigest(), "kept": metrics.to_keep}

    async def _batches(self, rows: RowSource) -> AsyncGenerator[list[SourceRow], None]:
        """Yield the rows in batches, up to the limit: rows may have no end."""
        left = self.options.limit
        async with aclosing(rows.batches()) as batches:
            async for batch in batches:
                yield batch[:left]
                if left is not None:
                    left -= len(batch)
                    if left <= 0:
                        return

    async def _require_same(self, journal: RowJournal, rows: RowSource) -> None:
        """Check that the rows are those of the resumed run, by reading them, unless `_binding` has shown it.

        Raises:
            BulkWriteError: they are not.
        """
        if rows.identity is not None:
            return
        seen = hashlib.sha256()
        async with aclosing(self._batches(rows)) as batches:
            async for batch in batches:
                for row in batch:
                    seen.update(row_json(row))
        if seen.hexdigest() != journal.get("digest"):
            raise BulkWriteError(
                f"{self.files.journal}: the run that is to be resumed had other rows: give the same ones, or remove "
                "the file to begin again"
            )

    async def _write(self, journal: RowJournal) -> None:
        family, options, metrics = self.family, self.options, self.metrics
        # A request that an earlier run lost may act for longer, if that run had a longer timeout.
        times = settle_times(family.caller, max(options.settle or 0.0, journal.get("settle") or 0.0) or None)
        claims = None if options.dry_run else claims_of(family, times)
        try:
            if claims is not None:
                await run_in_thread(claims.__enter__)
                await run_in_thread(partial(_take_over, journal, claims, settle=times.settle))
            engine = Engine(family, journal, claims, key=self.key, options=options, metrics=metrics, times=times)
            if claims is not None:
                # Only writes in doubt keep their claims. All others claim in their turn: as long as they wait for
                # another run, that run must not wait for them.
                written, key = await run_in_thread(journal.written_keys), self.key
                made = [] if key is None else [key.claim(family.facts.family, text) for text in written]
                await run_in_thread(partial(claims.keep_only, await engine.keys_in_doubt(), made=made))
            metrics.stage = "finding"
            await metrics.report_progress(always=True)
            await engine.run(journal)
            if claims is not None:
                await run_in_thread(claims.release_all)
        finally:
            closers = [] if claims is None else [claims.__exit__]
            await close_in_thread(partial(journal.set, kept=metrics.to_keep), *closers)


def claims_of(family: Family, times: SettleTimes) -> Claims:
    """Return the claims of a run that writes a family."""
    project = family.facts.scope["project"]
    return Claims(project=project, clock=family.clock, settle_seconds=times.settle)


def _take_over(journal: RowJournal, claims: Claims, *, settle: float) -> None:
    """Take over the claims of the run that is continued: its journal says which writes were sent.

    The journal names this run before it has a claim, and the earlier ones until it has all of theirs, so that a stop at
    any step leaves no claim with a run that the journal does not name.
    """
    earlier = journal.get("owners") or []
    journal.set(owners=[*earlier, claims.owner], settle=settle, boot=boot_id())
    for owner in earlier:
        claims.adopt(owner)
    if earlier:
        journal.set(owners=[claims.owner])


def _digest(value: object) -> str:
    """Return a digest of something that a journal is bound to."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _add_names(names: dict[str, None], row: SourceRow, rows: RowSource) -> None:
    """Add the names of a row to the columns of the results."""
    if row.text:
        names[UNREADABLE] = None
    elif rows.columns is None and len(names) < _MAX_COLUMNS:
        names.update(dict.fromkeys(row.values))
