"""From records to the finished file, and to its final name."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.to_thread

from carecloud_async.errors import ExportError
from carecloud_async.export.errors import nesting_errors
from carecloud_async.export.formats.compression import compressing
from carecloud_async.export.formats.sinks import Layout, Sink
from carecloud_async.export.storage.journal import batches
from carecloud_async.export.storage.target import Target
from carecloud_async.export.storage.workspace import Workspace

__all__ = ["convert", "upload"]

#: Storage services where a file appears only when it is whole; elsewhere it is renamed.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "obs", "r2", "tos", "hf"}


async def convert(place: Workspace, target: Target, layout: Layout, *, tell: Callable[[], Awaitable[None]]) -> Path:
    """Write the records in the target's format; return the file.

    Args:
        place: where the records are.
        target: what they become.
        layout: what the sink is told.
        tell: called now and then.

    Raises:
        OSError: the disk refuses.
    """
    make = target.format.sink
    if make is None:
        return place.records
    run = anyio.to_thread.run_sync
    with place.output.open("wb") as file:
        stream = compressing(file, target.format.compression)
        sink = make(stream, layout)
        try:
            if type(sink).infer_schema is not Sink.infer_schema:
                await _each(place.records, sink.infer_schema, tell)
            await _each(place.records, sink.write, tell)
            await run(sink.close)
        except BaseException:
            sink.abort()
            raise
        await run(stream.close)
        file.flush()
        await run(os.fsync, file.fileno())
    return place.output


async def _each(records: Path, function: Callable[[list[bytes]], None], tell: Callable[[], Awaitable[None]]) -> None:
    source = batches(records)

    def step() -> bool:
        batch = next(source, None)
        if batch is not None:
            with nesting_errors():
                function(batch)
        return batch is not None

    try:
        while await anyio.to_thread.run_sync(step):
            await tell()
    finally:
        source.close()


def upload(file: Path, target: Target, *, overwrite: bool) -> None:
    """Put a finished file where a URL says. Blocks.

    Raises:
        ExportError: the name was taken meanwhile, or the storage refuses.
    """
    try:
        taken = not _put(file, target, overwrite=overwrite)
    except Exception as error:
        # Every storage library has errors of its own.
        raise ExportError(f"{target.shown}: {type(error).__name__}: {error}") from error
    if taken:
        raise ExportError(f"{target.shown} exists already: pass overwrite=True to replace it")


def _put(file: Path, target: Target, *, overwrite: bool) -> bool:
    system, path = target.storage()
    if system.exists(path) and not overwrite:
        return False
    protocols = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
    if protocols & _OBJECT_STORES:
        system.put_file(str(file), path)
        return True
    beside = f"{path}.partial"
    system.put_file(str(file), beside)
    if system.exists(path):
        system.rm_file(path)
    system.mv(beside, path)
    return True
