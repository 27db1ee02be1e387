"""One bulk write, from its source to its report."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from carecloud_async.bulk.check import RowChecker, check_row
from carecloud_async.bulk.columns import Columns
from carecloud_async.bulk.errors import BadSourceError, BulkWriteError, TooManyRefusedError, UnknownColumnError
from carecloud_async.bulk.family import BulkTarget, Key
from carecloud_async.bulk.figures import RunFigures
from carecloud_async.bulk.journal import Journal, damaged
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import UNREADABLE
from carecloud_async.bulk.registry import registry_of
from carecloud_async.bulk.report import BulkWriteReport
from carecloud_async.bulk.results import RunFiles, find_files, write_results
from carecloud_async.bulk.rows import LoadedRow
from carecloud_async.bulk.sources import open_source
from carecloud_async.bulk.sources.source import RowSource, SourceRow, to_json
from carecloud_async.bulk.writing import RunWriter
from carecloud_async.fixes import COLUMNS, DEFAULTS, RESUME
from carecloud_async.runtime.suggestions import did_you_mean
from carecloud_async.runtime.threads import run_in_thread, run_in_thread_regardless

__all__ = ["find_key", "run"]

#: Most columns that the results of rows with names of their own have.
_MAX_COLUMNS = 2000


def find_key(target: BulkTarget, match: str | None) -> Key | None:
    """Return the key that `match=` names.

    Raises:
        BadSourceError: there is no such key, or the family takes no rows without one.
    """
    if match is None:
        if target.create is None and target.batch is None:
            raise BadSourceError(f"{target.name} cannot be created: name the key of a record in match=")
        return None
    key = target.keys.get(match)
    if key is None:
        known = ", ".join(target.keys) or "none: pass match=None to create every row"
        raise BadSourceError(
            f"match={match!r} is no key of {target.name}{did_you_mean(match, target.keys)}; keys: {known}"
        )
    return key


async def run(target: BulkTarget, source: Any, options: BulkWriteOptions) -> BulkWriteReport:
    """Write the rows of a source; see `bulk_write`.

    Raises:
        BulkWriteError: it cannot start or continue.
        CareCloudError: the server is away or refuses the client.
    """
    key = find_key(target, options.match)
    files = await run_in_thread(partial(find_files, source, options, family=target.name))
    journal = Journal(files.journal, keep_rows=bool(files.files))
    figures = RunFigures(target.clock, options.on_progress)
    opened: list[RowSource] = []
    try:
        rows = await run_in_thread(partial(_open_source, source, opened))
        one = _Run(target=target, key=key, options=options, files=files, journal=journal, figures=figures)
        report = partial(figures.report, resumed=False, dry_run=options.dry_run)
        with _disk_errors(files.journal, report), target.watch(figures):
            return await one.run(rows)
    finally:
        await run_in_thread_regardless(partial(_close, opened, journal, files))


@contextmanager
def _disk_errors(path: Path, report: Callable[[], BulkWriteReport]) -> Iterator[None]:
    """Turn errors of the disk and of the journal into a `BulkWriteError`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise BulkWriteError(f"{path.parent}: {error}: nothing is lost", report=report(), fix=RESUME) from error
    except sqlite3.DatabaseError as error:
        raise BulkWriteError(damaged(path, error), report=report()) from error
    except OSError as error:
        if error.errno is None:
            raise
        problem = f"{path.parent}: {error.strerror}: nothing is lost"
        raise BulkWriteError(problem, report=report(), fix=RESUME) from error


def _open_source(source: Any, opened: list[RowSource]) -> RowSource:
    """Open the source; `opened` has it also if the waiting task is cancelled meanwhile."""
    rows = open_source(source)
    opened.append(rows)
    return rows


def _close(opened: list[RowSource], journal: Journal, files: RunFiles) -> None:
    for one in opened:
        one.close()
    journal.close()
    if files.folder is not None:
        files.folder.cleanup()


@frozen(kw_only=True)
class _Run:
    """The parts of one run."""

    target: BulkTarget
    key: Key | None
    options: BulkWriteOptions
    files: RunFiles
    journal: Journal
    figures: RunFigures

    async def run(self, rows: RowSource) -> BulkWriteReport:
        """Load the rows, write them, and make the files."""
        options, figures, journal = self.options, self.figures, self.journal
        binding = self._binding(rows)
        resumed = await run_in_thread(partial(journal.open, binding, resume=options.resume and not options.dry_run))
        if resumed and (finished := journal.meta("finished")) is not None:
            self._continue_figures(json.loads(finished))
            return self._report(resumed=True)
        try:
            if resumed and journal.meta("loaded") is not None:
                await self._compare(rows)
                self._continue_figures(await run_in_thread(journal.counts))
            else:
                await self._load(rows)
            await self._write()
        except TooManyRefusedError:
            await self._write_files(rows)
            raise
        figures.stage = "finishing"
        await figures.report_progress(always=True)
        await self._write_files(rows)
        if self.key is None and rows.identity is not None and self.files.folder is None:
            # Begun again, the run would make every record a second time: a kill may come before its end is known.
            await run_in_thread(partial(journal.finish_run, dict(figures.outcomes)))
        else:
            await run_in_thread(journal.remove)
        return self._report(resumed=resumed)

    async def _write_files(self, rows: RowSource) -> None:
        columns = json.loads(self.journal.meta("columns") or "[]")
        await run_in_thread(partial(write_results, self.journal, columns, self.files.files, delimiter=rows.delimiter))

    def _continue_figures(self, counts: Mapping[str, int]) -> None:
        meta = {name: self.journal.meta(name) for name in ("requests", "retries", "seconds")}
        self.figures.resume(counts, meta)

    def _report(self, *, resumed: bool) -> BulkWriteReport:
        options = self.options
        return self.figures.report(
            resumed=resumed,
            dry_run=options.dry_run,
            results=None if options.results is None else str(options.results),
            rejects=None if options.rejects is None else str(options.rejects),
        )

    def _binding(self, rows: RowSource) -> dict[str, str]:
        options = self.options
        what = {
            "match": options.match,
            "mode": options.mode,
            "columns": [dict(options.columns), sorted(options.ignore_columns)],
            "defaults": dict(options.defaults),
            "blank": [options.blank, options.if_unchanged],
            "files": [bool(self.files.files), options.limit],
        }
        bound = {name: _digest(value) for name, value in {**self.target.scope, **what}.items()}
        return bound | ({"source": _digest(rows.identity)} if rows.identity is not None else {})

    async def _load(self, rows: RowSource) -> None:
        """Read and check all rows, without the server, into the journal."""
        journal, figures, options = self.journal, self.figures, self.options
        columns = Columns(self.target, renamed=options.columns, ignored=options.ignore_columns)
        checker = await self._checker(rows, columns)
        names: dict[str, None] = dict.fromkeys(rows.columns or ())
        seen = hashlib.sha256()
        parts = self.target.writes.parts
        add = partial(journal.load, unique_part="" if parts is None else parts.keys[0].name)
        number = 0
        async with aclosing(rows.batches()) as batches:
            async for batch in batches:
                if options.limit is not None:
                    batch = batch[: options.limit - number]
                loaded: list[LoadedRow] = []
                for row in batch:
                    number += 1
                    source = _to_json(row)
                    seen.update(source)
                    _add_names(names, row, rows)
                    checked = await check_row(checker, columns, row)
                    loaded.append(attrs.evolve(checked, number=number, line=row.line or number, source=source))
                figures.rows = number
                figures.outcomes["refused"] += await run_in_thread(partial(add, loaded))
                if options.too_many(figures.refused, number):
                    await run_in_thread(partial(journal.set_meta, columns=json.dumps(list(names))))
                figures.check_refused(options, rows=number, sent="none was sent")
                await figures.report_progress()
                if number == options.limit:
                    break
        await run_in_thread(
            partial(journal.finish_loading, loaded=number, columns=json.dumps(list(names)), digest=seen.hexdigest())
        )

    async def _checker(self, rows: RowSource, columns: Columns) -> RowChecker:
        options, objects = self.options, _object_columns(rows, columns)
        names = [name for name in rows.columns or () if name not in objects]
        await _require_known(columns, names, defaults=tuple(options.defaults))
        first: dict[str, str] = {}
        for name in names:
            place = columns.place(name)
            other = first.setdefault(place.path, name)
            if other != name and place.role != "ignored":
                raise BadSourceError(
                    f"{rows.label}: the columns {other!r} and {name!r} both lead to {place.path}: name one of them in "
                    "ignore_columns="
                )
        if self.key is not None and rows.columns is not None:
            given = {*first, *(columns.place(name).path for name in options.defaults)}
            inside = tuple(f"{name}." for name in objects)
            missing = [path for path in self.key.paths if path not in given and not path.startswith(inside)]
            if missing:
                raise BadSourceError(
                    f"{rows.label}: match={self.key.name!r} needs the column {missing[0]}: there is none; name the "
                    "column in columns="
                )
        return RowChecker(self.target, columns, key=self.key, options=options, textual=rows.textual, blanks=rows.blanks)

    async def _compare(self, rows: RowSource) -> None:
        """Check that the rows are those of the run that is resumed, where only reading them tells."""
        if rows.identity is not None:
            return
        seen = hashlib.sha256()
        async with aclosing(rows.batches()) as batches:
            async for batch in batches:
                for row in batch:
                    seen.update(_to_json(row))
        if seen.hexdigest() != self.journal.meta("digest"):
            raise BulkWriteError(
                f"{self.files.journal}: the run that is to be resumed had other rows: give the same ones, or remove "
                "the file to begin again"
            )

    async def _write(self) -> None:
        target, options, figures = self.target, self.options, self.figures
        registry = None
        if not options.dry_run:
            registry = registry_of(target, options.match)
            await run_in_thread(registry.__enter__)
        try:
            writer = RunWriter(target, self.journal, registry, key=self.key, options=options, figures=figures)
            figures.stage = "finding"
            await figures.report_progress(always=True)
            await writer.read_list_if_cheaper(self.files.journal.parent)
            figures.stage = "writing"
            await writer.write_all()
        finally:
            await run_in_thread_regardless(
                partial(
                    self.journal.set_meta, requests=figures.requests, retries=figures.retries, seconds=figures.seconds
                )
            )
            if registry is not None:
                await run_in_thread_regardless(registry.__exit__)


def _digest(value: object) -> str:
    """Return a digest of something that a journal is bound to."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _to_json(row: SourceRow) -> bytes:
    try:
        values = row.values if row.written is None else row.written
        return to_json({**values, UNREADABLE: row.text} if row.text else values)
    except (ValueError, RecursionError):  # numbers of thousands of digits, values nested too deeply
        return b"{}"


def _add_names(names: dict[str, None], row: SourceRow, rows: RowSource) -> None:
    """Add the names of a row to the columns of the results."""
    if row.text:
        names[UNREADABLE] = None
    elif rows.columns is None and len(names) < _MAX_COLUMNS:
        names.update(dict.fromkeys(row.values))


def _object_columns(rows: RowSource, columns: Columns) -> tuple[str, ...]:
    """Return the columns that hold objects with fields of their own, such as `personal_information` in Parquet."""
    return () if rows.textual else tuple(name for name in rows.columns or () if columns.is_object(name))


async def _require_known(columns: Columns, names: Sequence[str], *, defaults: Sequence[str]) -> None:
    """Raise one error that names all columns, or all defaults, that lead to no field."""
    for group, is_default in ((names, False), (defaults, True)):
        if _unknown(columns, group, is_default=is_default):
            await columns.fetch_names()
        if unknown := _unknown(columns, group, is_default=is_default):
            raise UnknownColumnError("; ".join(unknown), fix=DEFAULTS if is_default else COLUMNS)


def _unknown(columns: Columns, names: Sequence[str], *, is_default: bool) -> list[str]:
    """Return a message for each name that leads to no field."""
    found = []
    for name in names:
        try:
            columns.place(name, is_default=is_default)
        except UnknownColumnError as error:
            found.append(error.problem)
    return found
