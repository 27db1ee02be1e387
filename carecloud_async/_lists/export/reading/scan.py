"""Reads a list, whole or by change, into a writer: sweep after sweep, until one proves that nothing is missing."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve

from carecloud_async._lists.export.reading.changed import ChangedReader, End, NotByChangeError
from carecloud_async._lists.export.reading.order import Evidence
from carecloud_async._lists.export.reading.pages import RawPage, RawPageReader
from carecloud_async._lists.export.reading.since import OVERLAP, Since, has_changes
from carecloud_async._lists.export.reading.sweep import Sweep
from carecloud_async._lists.export.reading.times import ChangeTime, TimelessRecords
from carecloud_async._lists.export.reasons import InexactReason
from carecloud_async._lists.export.report import ExportReport, OnProgress, Reporter
from carecloud_async._lists.export.storage.checkpoint import Checkpoint, SweepState
from carecloud_async._lists.export.storage.writer import RecordWriter
from carecloud_async._lists.paging.auto import AUTO, Auto
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async.errors import BadRequestError

__all__ = ["MOST_SWEEPS", "SWEEPS", "Scan", "id_sort"]

_log = logging.getLogger("carecloud_async.reading")

#: The most sweeps over a list, those over a list in no order, and the readings of changes before the list is read.
SWEEPS, MOST_SWEEPS, _TRIES = 3, 10, 3


class _AmbiguousError(Exception):
    """Two records of a page have one id."""


class Scan:
    """Reads a list to its end.

    Args:
        source: the list.
        writer: takes what the pages show.
        start: the checkpoint to continue from.
        since: the time that changes are wanted from; `None` for everything.
        concurrency: pages in flight; `auto` for the fastest.
        on_progress: gets the progress.
        timeless: the records without a readable `last_change` that the last run handed out, and those of this one.
        expects_records: whether the list had records in the last run, so that an empty one is doubted.
    """

    def __init__(
        self,
        source: ListSource[Any],
        writer: RecordWriter,
        start: Checkpoint,
        *,
        since: Since | None = None,
        concurrency: int | Auto = AUTO,
        on_progress: OnProgress | None = None,
        timeless: TimelessRecords | None = None,
        expects_records: bool = False,
    ) -> None:
        self._source, self._writer = source, writer
        self._concurrency: int | Auto = concurrency
        self._since, self._on_progress = since, on_progress
        self._timeless, self._expects_records = timeless, expects_records
        self._begin(start)

    def _begin(self, start: Checkpoint) -> None:
        source, since = self._source, self._since
        self._start, self._report = start, start.report
        self._reader = RawPageReader(source, self._concurrency, by_text=start.by_text)
        self._reporter = Reporter(self._on_progress, clock=source.clock, before=start.report, bounded=since is None)
        timeless = self._timeless or TimelessRecords()
        self._changed = None if since is None else ChangedReader(self._reader, since, timeless)
        self._sort = id_sort(source)
        self._number = start.sweep.number  # of the sweep, those over the two ends of a list by change included
        self._passes = start.report.passes - 1
        self._pages = start.report.pages
        self._sweep: Sweep | None = None
        self._total: int | None = None

    async def run(self) -> ExportReport:
        """Read the list; return the figures.

        Raises:
            CareCloudError: the server cannot be read.
        """
        reason = await self._read_unambiguously()
        is_empty = self._reader.is_empty if self._total is None else self._total == 0
        if reason is None and is_empty and (self._expects_records or not self._reader.is_empty):
            reason = InexactReason.EMPTIED
        if reason is not None and not reason.may_pass:
            _log.warning("%s: the reading is not exact: %s; %s", self._source.name, reason.seen, reason.fix)
        self._report = evolve(self._report, reasons=() if reason is None else (reason,))
        await self._writer.put(RawPage(), self._checkpoint(complete=True))
        await self._writer.drain()
        self._report = evolve(self._report, records=self._writer.seen.written)
        await self._reporter.report(self._report, now=True)
        return self._report

    async def _read_unambiguously(self) -> InexactReason | None:
        """Read the list; once more from the beginning, with records known by their text, if two share an id."""
        try:
            return await self._read()
        except _AmbiguousError:
            await self._writer.drain()
            await self._writer.restart()
        report = evolve(self._report, records=0, pages=0)
        self._begin(evolve(self._start, sweep=SweepState(), by_text=True, report=report))
        return await self._read()

    async def _read(self) -> InexactReason | None:
        """Read the list; return why something may be missing, `None` if nothing is."""
        operation = self._source.operation
        if not operation.paged:
            return await self._read_one_page()
        if self._changed is not None and "sort_field" in operation.parameters:
            for _ in range(_TRIES):
                try:
                    reason = await self._read_changed(self._changed)
                except (NotByChangeError, BadRequestError):
                    break
                if reason is None:
                    return None
        return await self._read_whole()

    async def _read_one_page(self) -> InexactReason | None:
        page = await self._reader.fetch(0, self._source.fixed_count, {})
        self._passes += 1
        self._total, reason = page.total_items, None
        if page.has_nulls or (page.total_items or 0) > page.received:
            reason = InexactReason.NULL_ENTRIES if page.has_nulls else InexactReason.SHORT_OF_TOTAL
        self._report = evolve(self._report, reasons=() if reason is None else (reason,))
        # It ends the list, so that no later run adds the records again; an empty one is asked again.
        await self._record(page, complete=bool(page.items))
        return reason

    async def _read_whole(self) -> InexactReason | None:
        # A resumed reading continues its sweep; one of changes has made sweeps of its own before.
        state, reason = self._start.sweep if self._changed is None else SweepState(), None
        for number in range(state.number, MOST_SWEEPS + 1):
            self._passes += 1
            before = self._writer.seen.known
            sweep = await self._run_sweep(evolve(state, number=self._number))
            seen = self._writer.seen
            has_new = seen.known > before
            reason = sweep.reason_of(shown=seen.shown, is_repeated=number > 1 and not has_new)
            if reason in {None, InexactReason.GAP} or seen.has_forgotten:
                break
            if number >= SWEEPS and not self._may_show_more(sweep, reason, has_new=has_new):
                break
            state = SweepState()
        return reason

    async def _run_sweep(self, state: SweepState) -> Sweep:
        """Run a sweep in the order of ids; in no order if the server refuses that sort at the beginning."""
        sweep = self._make(self._sort or {}, state)
        try:
            await sweep.run()
        except BadRequestError as error:
            if self._sort is None or self._writer.seen.known or not _is_about_sort(error):
                raise
            self._sort = None
            return await self._run_sweep(SweepState(number=self._number))
        await self._end(sweep)
        return sweep

    def _may_show_more(self, sweep: Sweep, reason: InexactReason | None, *, has_new: bool) -> bool:
        """Return whether more than `SWEEPS` sweeps may help: only over a list in no order of ids."""
        evidence = sweep.evidence
        if evidence.orders:
            return False
        if has_new:
            return True
        if sweep.is_stable and not evidence.has_changed:
            return False  # the next one would show the same
        # They show more of the records, though perhaps never that they are all.
        is_all = self._writer.seen.known >= (evidence.expected or 0)
        return not (is_all and reason is InexactReason.NO_STABLE_ORDER)

    async def _read_changed(self, changed: ChangedReader) -> InexactReason | None:
        self._passes += 1
        before = self._writer.seen.known

        async def read_end(end: End) -> None:
            async def record(page: RawPage) -> None:
                await self._record(page, until=end.take(page, await self._reader.times.read(page.items)))

            state = SweepState(number=self._number)
            end.sweep = self._make(end.sort, state, record=record, stop=lambda _: not end.is_whole)
            await end.sweep.run()
            await self._end(end.sweep)
            end.shown = self._writer.seen.shown if end.places else 0

        return await changed.read(read_end, has_new=lambda: self._writer.seen.known > before)

    def _make(self, sort: Mapping[str, Any], state: SweepState, **more: Any) -> Sweep:
        by_id = sort.get("sort_field", "") == self._source.operation.id_field
        settings = {"record": self._record, **more}
        if self._sweep is not None:
            state = evolve(state, evidence=Evidence(largest=self._sweep.evidence.largest))
        self._sweep = Sweep(self._reader, sort=sort, by_id=by_id, state=state, **settings)
        return self._sweep

    async def _record(self, page: RawPage, *, until: int | None = None, complete: bool = False) -> None:
        if page.is_ambiguous and not self._reader.by_text:
            raise _AmbiguousError
        wanted = None
        if self._timeless is not None or self._changed is not None:
            wanted = self._wanted(page, await self._reader.times.read(page.items))
        self._pages += bool(page.ids)
        shown = evolve(page, ids=page.ids[:until], items=page.items[:until], wanted=wanted)
        await self._writer.put(shown, self._checkpoint(complete=complete))
        await self._reporter.report(self._report)

    def _wanted(self, page: RawPage, times: Sequence[ChangeTime]) -> Sequence[bool] | None:
        """Return which records may have changed; remember those without a readable time."""
        changed, timeless = self._changed, self._timeless
        if timeless is not None:
            for key, line, time in zip(page.ids, page.items, times, strict=True):
                if not isinstance(time, datetime):
                    timeless.remember(key, line)
        if changed is None:
            return None
        return [changed.wants(line, time) for line, time in zip(page.items, times, strict=True)]

    def _checkpoint(self, *, complete: bool) -> Checkpoint:
        before, sweep = self._start.report, self._sweep
        self._report = evolve(
            self._report,
            records=self._writer.seen.written,
            pages=self._pages,
            requests=before.requests + self._reader.requests,
            retries=before.retries + self._reader.retries,
            seconds=before.seconds + self._reporter.seconds,
            next_changed_since=before.next_changed_since if before.requests else self._next_changed_since,
            passes=self._passes,
            total=self._total if sweep is None else sweep.evidence.last,
        )
        state = SweepState(number=self._number)
        if sweep is not None and self._changed is None:  # a reading of changes begins again
            state = sweep.state
        return Checkpoint(sweep=state, by_text=self._reader.by_text, report=self._report, complete=complete)

    @property
    def _next_changed_since(self) -> datetime | None:
        """The `changed_since` of the next run; `None` if the answers do not show when this one began."""
        began = self._reader.began
        if began is None or not has_changes(self._source):
            return None
        return (began - OVERLAP).astimezone(self._source.project.timezone)

    async def _end(self, sweep: Sweep) -> None:
        """Take the end of a sweep into account."""
        await self._writer.drain()
        self._total = sweep.evidence.last
        self._number += 1
        self._report = evolve(self._report, list_changed=self._report.list_changed or sweep.evidence.has_changed)


def id_sort(source: ListSource[Any]) -> Mapping[str, Any] | None:
    """Return the sort by id, or `None` if the list has no id, no sort, or a sort of the user's own."""
    operation, params = source.operation, source.params
    name = operation.id_field
    if not operation.paged or name is None or "sort_field" not in operation.parameters:
        return None
    if params.get("sort_field") not in {None, name}:
        return None
    return {"sort_field": name, "sort_direction": params.get("sort_direction") or "ASC"}


def _is_about_sort(error: BadRequestError) -> bool:
    return not error.invalid_params or any(param.name.startswith("sort_") for param in error.invalid_params)
