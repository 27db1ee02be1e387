"""Read the list of a request into a commit function, which a writer calls in the background."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from carecloud_async._base.runtime.background_tasks import BackgroundTasks
from carecloud_async._lists.export.reading.scan import scan
from carecloud_async._lists.export.reading.seen_ids import SeenIds, TemporarySeenIds
from carecloud_async._lists.export.report import Counts
from carecloud_async._lists.export.request import ExportRequest
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.export.storage.writer import INTERVAL, Writer

__all__ = ["read_list"]


async def read_list(
    request: ExportRequest,
    start: Checkpoint,
    *,
    commit: Callable[[list[bytes], Checkpoint], None],
    restart: Callable[[], Awaitable[None]],
    open_seen: Callable[[bool], SeenIds] = lambda _: TemporarySeenIds(),
    interval: float = INTERVAL,
    stop: Callable[[], None] | None = None,
) -> Counts:
    """Read a list, from a checkpoint on.

    Args:
        request: what is wanted.
        start: the checkpoint.
        commit: makes records durable, then the checkpoint that names them. Runs in a worker thread.
        restart: drops what was committed, or raises if that cannot be taken back.
        open_seen: opens the memory of ids for a list without an order: the checkpoint's, or an empty one. Blocks.
        interval: the seconds between commits.
        stop: ends a commit that blocks for ever, when the export fails; without it, the last records are committed.

    Raises:
        CareCloudError: the list cannot be read or written.
    """
    source, options = request.source, request.options
    tasks = BackgroundTasks()
    writer = Writer(commit, tasks=tasks, clock=source.clock, interval=interval, stop=stop)
    try:
        async with tasks:
            return await scan(
                source,
                start,
                since=request.since,
                concurrency=options.concurrency,
                on_progress=options.on_progress,
                writer=writer,
                timeless=request.timeless,
                expects_records=not options.allow_shrink and (request.expects_records or start.counts.records > 0),
                restart=restart,
                open_seen=open_seen,
            )
    except BaseException:
        if stop is None:
            await writer.leave()  # keeps what was accepted for a resume
        raise
