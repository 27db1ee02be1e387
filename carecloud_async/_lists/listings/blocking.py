"""Lists for synchronous code: an event loop in its own thread reads, and a plain iterator yields the batches.

Pipelines (dlt, Spark's tasks) pull records. The caller's thread may run a loop of its own, as in a notebook; this loop
is separate, and ends when the iterator is closed.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from anyio.from_thread import start_blocking_portal

from carecloud_async._lists.export.batches import BatchOptions, RecordBatches
from carecloud_async._lists.export.report import ExportReport

if TYPE_CHECKING:
    import pyarrow

    from carecloud_async._lists.changes.values import ChangesReport
    from carecloud_async._lists.listings.listing import Listing

__all__ = ["spool_changes", "stream"]

#: Opens a client, and the list on it.
OpenListing: TypeAlias = Callable[[], "AbstractAsyncContextManager[Listing[Any]]"]

#: Records in a batch of a list that was read into a file.
_BATCH = 2000


@contextmanager
def spool_changes(
    open_listing: OpenListing, state: Path, *, concurrency: int = 8
) -> Iterator[tuple[ChangesReport, Iterator[pyarrow.RecordBatch]]]:
    """Read what changed in a list since the state's last run into a temporary file, with a first column `_change`.

    The file is readable by its owner alone, and removed when the block ends.

    Args:
        open_listing: opens the client and the list.
        state: the state file, which is updated when the file is complete; see `Listing.changes`.
        concurrency: how many pages are in flight.

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
            async with open_listing() as listing:
                return await listing.changes(state=state, concurrency=concurrency).to_file(path)

        with start_blocking_portal() as portal:
            report = portal.call(compare)
        with pyarrow.parquet.ParquetFile(path) as file:
            yield report, file.iter_batches(batch_size=_BATCH)


def stream(
    open_listing: OpenListing, options: BatchOptions, *, check: Callable[[ExportReport], None]
) -> Iterator[pyarrow.RecordBatch]:
    """Yield the record batches of a list as they are read; closing the iterator ends the reading.

    Args:
        open_listing: opens the client and the list.
        options: how it is read.
        check: called with the report after the last batch; an exception it raises is passed on.

    Raises:
        CareCloudError: the server cannot be read.
    """

    @asynccontextmanager
    async def open_batches() -> AsyncIterator[RecordBatches]:
        async with open_listing() as listing, RecordBatches(listing.export_source(), options) as batches:
            yield batches

    async def following(batches: RecordBatches) -> pyarrow.RecordBatch | None:
        return await anext(batches, None)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(open_batches()) as batches:
        while (batch := portal.call(following, batches)) is not None:
            yield batch
        check(batches.report)
