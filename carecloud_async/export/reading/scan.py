"""Reads a list, whole or by change, into a writer, and makes the report."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from carecloud_async.export.progress import Reporter
from carecloud_async.export.reading.changed_scan import ChangedScan, has_changes
from carecloud_async.export.reading.deduplicator import DeduplicatorFactory
from carecloud_async.export.reading.full_scan import FullScan
from carecloud_async.export.reading.pages import RawPageFetcher
from carecloud_async.export.reading.recorder import Recorder
from carecloud_async.export.reading.since import OVERLAP, Since
from carecloud_async.export.report import Counts, ExportReport
from carecloud_async.export.source import ExportSource
from carecloud_async.export.storage.checkpoint import Checkpoint, Strategy
from carecloud_async.export.storage.writer import RecordWriter
from carecloud_async.paging.auto import AUTO
from carecloud_async.paging.page_plan import PagePlan
from carecloud_async.runtime.threads import run_in_thread

__all__ = ["make_report", "scan"]


async def scan(
    source: ExportSource,
    start: Checkpoint,
    *,
    since: Since | None,
    plan: PagePlan,
    writer: RecordWriter[Checkpoint],
    reporter: Reporter,
    restart: Callable[[], Awaitable[None]],
    make_deduplicator: DeduplicatorFactory,
) -> Counts:
    """Read a list to its end.

    Args:
        source: the list.
        start: the checkpoint to continue from; a new export has one with fingerprints only.
        since: the time that changes are wanted from; `None` for everything.
        plan: pages in flight, and their size.
        writer: takes the records.
        reporter: reports progress.
        restart: drops the records written so far.
        make_deduplicator: makes the memory of seen ids, continued from `start` or empty.

    Raises:
        CareCloudError: the server cannot be read.
    """
    fetcher = RawPageFetcher(source, by_text=start.by_text, marks=True)
    count = 0 if source.count == AUTO else source.count
    recorder = Recorder(start, fetcher=fetcher, writer=writer, reporter=reporter, restart=restart, count=count)
    full_scan = FullScan(source, fetcher=fetcher, recorder=recorder, plan=plan, make_deduplicator=make_deduplicator)
    if since is None:
        await full_scan.read()
    else:
        deduplicator = await run_in_thread(lambda: make_deduplicator(start.strategy is Strategy.CHANGED))
        changed_scan = ChangedScan(
            source,
            fetcher=fetcher,
            recorder=recorder,
            plan=plan,
            deduplicator=deduplicator,
            since=since,
            full_scan=full_scan,
        )
        await changed_scan.read()
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
