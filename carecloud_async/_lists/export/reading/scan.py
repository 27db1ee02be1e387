"""Reads a list, whole or by change, into a writer, and makes the report.

If a list that had records is empty now, it is requested again: a user without the right to see the records and a server
that is still starting get an empty list too. One that became empty while it was read is not exact.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async._lists.export.reading.changed_scan import ChangedScan
from carecloud_async._lists.export.reading.full_scan import FullScan
from carecloud_async._lists.export.reading.pages import RawPageFetcher
from carecloud_async._lists.export.reading.recorder import Recorder
from carecloud_async._lists.export.reading.seen_ids import Deduplicator, SeenIds, TemporarySeenIds
from carecloud_async._lists.export.reading.since import OVERLAP, Since, has_changes
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.export.report import Counts, ExportReport, OnProgress, Reporter
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.export.storage.checkpoint import Checkpoint, Strategy
from carecloud_async._lists.export.storage.writer import RecordWriter
from carecloud_async._lists.paging.auto import AUTO, Auto
from carecloud_async.errors import BadRequestError

__all__ = ["make_report", "scan"]

_log = logging.getLogger("carecloud_async.export")

#: Seconds before the list is asked again: a server that starts needs a moment.
_PAUSE = 2.0

#: Parameters that decide the order of a list, and not its records.
_SORT = {"sort_field", "sort_direction"}


async def scan(
    source: ExportSource,
    start: Checkpoint,
    *,
    since: Since | None,
    concurrency: int | Auto,
    on_progress: OnProgress | None,
    writer: RecordWriter[Checkpoint],
    timeless: TimelessRecords | None = None,
    expects_records: bool = False,
    restart: Callable[[], Awaitable[None]],
    open_seen: Callable[[bool], SeenIds] = lambda _: TemporarySeenIds(),
) -> Counts:
    """Read a list to its end.

    Args:
        source: the list.
        start: the checkpoint to continue from; a new export has an empty one.
        since: the time that changes are wanted from; `None` for everything.
        concurrency: pages in flight; `auto` for the fastest.
        on_progress: gets the progress.
        writer: takes the records.
        timeless: the records without a readable `last_change` that the last run handed out, and those of this one.
        expects_records: whether the list had records in the last run, so that an empty one is doubted.
        restart: drops the records written so far.
        open_seen: opens the ids of the records seen: those of `start`, or none. Needed without an order of ids. Blocks.

    Raises:
        CareCloudError: the server cannot be read.
    """
    fetcher = RawPageFetcher(source, by_text=start.by_text, marks=True, largest_total=start.position.largest_total)
    recorder = Recorder(
        start=start,
        count=0 if source.count == AUTO else source.count,
        fetcher=fetcher,
        writer=writer,
        reporter=Reporter(on_progress, clock=source.clock, before=start.counts, bounded=since is None),
        restart=restart,
        timeless=timeless,
    )
    with ExitStack() as opened:

        def open_deduplicator(continued: bool) -> Deduplicator:
            seen = opened.enter_context(open_seen(continued))
            begin = start if continued else Checkpoint()
            return Deduplicator(seen=seen, step=begin.step, known=begin.known, neighbours=begin.neighbours)

        full_scan = FullScan(
            source=source,
            fetcher=fetcher,
            recorder=recorder,
            plan=source.plan(concurrency),
            open_deduplicator=open_deduplicator,
        )
        if since is None:
            await full_scan.read()
        else:
            continued = start.strategy is Strategy.CHANGED
            deduplicator = await run_in_thread(lambda: open_deduplicator(continued))
            changed_scan = ChangedScan(
                full_scan=full_scan,
                deduplicator=deduplicator,
                since=since,
                timeless=timeless or TimelessRecords(),
            )
            deduplicator.wanted = changed_scan.wants
            await changed_scan.read()
        if expects_records and fetcher.is_empty and recorder.counts.exact and not await _is_believed_empty(source):
            recorder.doubt()
        if not fetcher.is_empty and _is_emptied(source, recorder.counts):
            _log.warning(
                "%s: the list became empty while it was read: a right of this user or the server may be at fault, so "
                "the reading is not exact",
                source.name,
            )
            recorder.doubt()
        if recorder.counts.nulls:
            _log.warning(
                "%s: %d entries of the list are null, and may stand for any record: the reading is not exact",
                source.name,
                recorder.counts.nulls,
            )
            recorder.doubt()
        await recorder.finish()
    return recorder.counts


def make_report(source: ExportSource, counts: Counts, *, target: str, resumed: bool) -> ExportReport:
    """Return the report of a reading."""
    began, zone = counts.began, source.project.timezone
    following = None if began is None or not has_changes(source) else (began - OVERLAP).astimezone(zone)
    return ExportReport(
        target=target,
        records=counts.records,
        pages=counts.pages,
        requests=counts.requests,
        retries=counts.retries,
        seconds=counts.seconds,
        list_changed=counts.list_changed,
        exact=counts.exact,
        passes=counts.passes,
        resumed=resumed,
        total=counts.total,
        next_changed_since=following,
    )


def _is_emptied(source: ExportSource, counts: Counts) -> bool:
    """Return whether the last answer of a list with records says that it has none."""
    return source.operation.paged and counts.total == 0 and not counts.is_total_wrong


async def _is_believed_empty(source: ExportSource) -> bool:
    """Return whether to believe that a list with records in the last run is empty; takes at most two small requests.

    A filtered list is believed to be empty if it has records without its filters; an unfiltered list never is.

    Args:
        source: the list.

    Raises:
        CareCloudError: it could not be asked again.
    """
    filters = {name: value for name, value in source.params.items() if name not in _SORT and value is not None}
    await source.clock.sleep(_PAUSE)
    try:
        others = bool(filters) and await _has_records(source, {})
    except BadRequestError:  # a filter that the list needs
        others = False
    if others and not await _has_records(source, filters):
        return True
    _log.warning(
        "%s: the list is empty, and had records in the last run: a right of this user or the server may be at fault. "
        "The report is not exact; if they were really deleted, pass allow_shrink=True (--allow-shrink)",
        source.name,
    )
    return False


async def _has_records(source: ExportSource, filters: dict[str, object]) -> bool:
    page = {"count": 1, "offset": 0} if source.operation.paged else {}
    found = (await source.fetch({**filters, **page})).data
    return bool(found.items) or bool(found.total_items)
