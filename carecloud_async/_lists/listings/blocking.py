"""Lists for synchronous code: an event loop in its own thread reads, and a plain iterator yields the batches.

Pipelines (dlt, Spark's tasks) pull records. The caller's thread may run a loop of its own, as in a notebook; this loop
is separate, and ends when the iterator is closed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anyio.from_thread import start_blocking_portal
from attrs import frozen

from carecloud_async._lists.export.batches import RecordBatches
from carecloud_async._lists.export.job import run
from carecloud_async._lists.export.reading.times import TimelessRecords
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.request import ExportOptions

if TYPE_CHECKING:
    import pyarrow

    from carecloud_async._lists.changes.values import ChangesReport
    from carecloud_async._lists.listings.listing import Listing

__all__ = ["Spooled", "spool", "spool_changes", "stream"]

#: Opens a client, and the list on it.
OpenListing = Callable[[], "AbstractAsyncContextManager[Listing[Any]]"]

#: Records in a batch of a list that was read into a file.
_BATCH = 2000


Report = TypeVar("Report")


@frozen
class Spooled(Generic[Report]):
    """A list that was read into a temporary file.

    Attributes:
        path: the Parquet file.
        report: the report of the reading.
    """

    path: Path
    report: Report

    def batches(self) -> Iterator[pyarrow.RecordBatch]:
        """Yield the records, with the model's columns."""
        import pyarrow.parquet  # an extra

        with pyarrow.parquet.ParquetFile(self.path) as file:
            yield from file.iter_batches(batch_size=_BATCH)


def spool(
    open_listing: OpenListing,
    *,
    changed_since: str | None = None,
    timeless: TimelessRecords | None = None,
    expects_records: bool = False,
    concurrency: int = 8,
) -> AbstractContextManager[Spooled[ExportReport]]:
    """Read a whole list into a temporary file.

    The list is exact in any order of the server, and this is certain before the first record is returned. The file is
    readable by its owner alone, and removed when the block ends.

    Args:
        open_listing: opens the client and the list.
        changed_since: see `Listing.export`.
        timeless: the records without a readable `last_change` that the last run handed out; gets those of this one.
        expects_records: whether the list had records in the last run; an empty one is doubted then.
        concurrency: how many pages are in flight.

    Raises:
        ExportError: the list cannot be read exactly.
        CareCloudError: the server cannot be read.
    """

    async def export(listing: Listing[Any], path: Path) -> ExportReport:
        options = ExportOptions(changed_since=changed_since, concurrency=concurrency)
        source = listing.export_source()
        return await run(source, path, options, timeless=timeless, expects_records=expects_records)

    return _spooled(open_listing, export)


def spool_changes(
    open_listing: OpenListing, state: Path, *, concurrency: int = 8
) -> AbstractContextManager[Spooled[ChangesReport]]:
    """Read what changed in a list since the state's last run into a temporary file, with a first column `_change`.

    Args:
        open_listing: opens the client and the list.
        state: the state file, which is updated when the file is complete; see `Listing.changes`.
        concurrency: how many pages are in flight.

    Raises:
        ExportError: the list cannot be compared.
        CareCloudError: the server cannot be read.
    """
    from carecloud_async._lists.changes.file import ChangesFileOptions, write_changes  # few programs compare
    from carecloud_async._lists.changes.values import ChangesOptions

    async def compare(listing: Listing[Any], path: Path) -> ChangesReport:
        options = ChangesOptions(concurrency=concurrency)
        return await write_changes(listing.export_source(), path, state, options, ChangesFileOptions())

    return _spooled(open_listing, compare)


@contextmanager
def _spooled(
    open_listing: OpenListing, write: Callable[[Listing[Any], Path], Awaitable[Report]]
) -> Iterator[Spooled[Report]]:
    with tempfile.TemporaryDirectory(prefix="carecloud-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, "records.parquet")

        async def read() -> Report:
            async with open_listing() as listing:
                return await write(listing, path)

        with start_blocking_portal() as portal:
            report = portal.call(read)
        yield Spooled(path, report)


def stream(
    open_batches: Callable[[], AbstractAsyncContextManager[RecordBatches]], *, check: Callable[[ExportReport], None]
) -> Iterator[pyarrow.RecordBatch]:
    """Yield record batches as they are read; closing the iterator ends the reading.

    Args:
        open_batches: opens the client and the stream.
        check: called with the report after the last batch; an exception it raises is passed on.

    Raises:
        CareCloudError: the server cannot be read.
    """

    async def following(batches: RecordBatches) -> pyarrow.RecordBatch | None:
        return await anext(batches, None)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(open_batches()) as batches:
        while (batch := portal.call(following, batches)) is not None:
            yield batch
        check(batches.report)
