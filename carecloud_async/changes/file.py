"""The changes of a list as a file, which appears whole and with which the state moves.

The steps: the file is written next to the target and synced; the state is committed with a record of the file; the file
gets its name; the record is removed. If a run is killed after the commit, the next one finds the record and gives the
file its name, if necessary; that file is its result. So nothing is lost or returned twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import BufferedRandom
from pathlib import Path
from typing import Any, Literal

import msgspec
from attrs import asdict, evolve, field, frozen, make_class

from carecloud_async.changes.pending import PendingChange, PendingChanges
from carecloud_async.changes.reader import UNFINISHED, Changes
from carecloud_async.changes.state_file import StateFile
from carecloud_async.changes.values import ChangesOptions, ChangesReport
from carecloud_async.codec.fields import API_NAME, api_names, field_types, is_model
from carecloud_async.errors import ExportError
from carecloud_async.export.errors import BadExportError, disk_error
from carecloud_async.export.formats.compression import compressing
from carecloud_async.export.formats.sinks import CsvOptions, Layout
from carecloud_async.export.source import ExportSource
from carecloud_async.export.storage.sink_stream import SinkStream
from carecloud_async.export.storage.target import Target, read_target
from carecloud_async.fixes import OVERWRITE, ROOM
from carecloud_async.runtime.durable_files import create_private, sync_folder
from carecloud_async.runtime.threads import run_in_thread, run_in_thread_regardless

__all__ = ["CHANGE", "ChangesFileOptions", "write_changes"]

#: The name of the first column of tables.
CHANGE = "_change"

#: The state's record of a file that does not have its name yet.
_PUBLISHING = "publishing"


@frozen(kw_only=True)
class ChangesFileOptions:
    """The options of a file of changes; see `Listing.export`."""

    overwrite: bool = False
    format: str | None = None
    columns: Literal["model", "found"] = "model"
    timestamps: Literal["utc", "project"] = "utc"
    csv: CsvOptions = field(factory=CsvOptions)


async def write_changes(
    source: ExportSource,
    target: str | os.PathLike[str],
    state: str | os.PathLike[str],
    options: ChangesOptions,
    file_options: ChangesFileOptions,
) -> ChangesReport:
    """Write the changes of a list to a file.

    Args:
        source: the list.
        target: the file; its suffix is the format.
        state: the state file.
        options: how the list is read and compared.
        file_options: the file's format and layout.

    Raises:
        ExportError: it cannot start or continue; the state and the target are unchanged.
        CareCloudError: the server cannot be read.
    """
    destination = await run_in_thread(partial(read_target, target, format=file_options.format))
    if destination.direct or destination.url is not None:
        raise BadExportError(f"{destination.shown}: changes need a file of this computer, for the state moves with it")
    if source.operation.id_field is None and destination.format.sink is not None:
        raise BadExportError(f"{source.name} has no ids, by which a table could name deleted records: write .jsonl")
    changes: Changes[Any] = Changes(source, state, options)
    earlier = await run_in_thread(lambda: _finish_earlier(Path(state), source.fingerprints(), destination.path))
    if earlier is not None:
        return evolve(earlier, finished_before=True)
    if destination.path.exists() and not file_options.overwrite:
        raise ExportError(f"{destination.shown} exists already", fix=OVERWRITE)
    file = _ChangesFile(source, destination, file_options)
    try:
        async with changes:
            await changes.hand_over(file.write)
            await run_in_thread_regardless(lambda: changes.commit_with(_PUBLISHING, file.publication, file.publish))
    except OSError as error:
        if error.errno is None:
            raise
        raise disk_error(destination.shown, error, full=ROOM) from error
    finally:
        await run_in_thread_regardless(file.discard)
    return changes.report


class _ChangesFile:
    """One file of changes. Everything blocks."""

    def __init__(self, source: ExportSource, target: Target, options: ChangesFileOptions) -> None:
        self._id_field = source.operation.id_field or "id"
        self._target = target
        self._overwrite = options.overwrite
        self._recorded = False
        self._partial = target.path.with_name(f".{target.path.name}.changes")
        self._layout = Layout(
            into=_with_change(source.into),
            fields={},
            timezone=source.project.timezone,
            columns=options.columns,
            timestamps=options.timestamps,
            csv=options.csv,
        )

    def write(self, pending: PendingChanges) -> None:
        """Write it next to the target."""
        with create_private(self._partial) as file:
            if self._target.format.sink is None:
                stream = compressing(file, self._target.format.compression)
                for rows in _batches(pending):
                    stream.write(b"".join(map(_line, rows)))
                stream.close()
            else:
                self._write_table(file, pending)
            file.flush()
            os.fsync(file.fileno())

    def _write_table(self, file: BufferedRandom, pending: PendingChanges) -> None:
        sink = SinkStream(file, self._target.format, self._layout)
        for rows in _batches(pending):
            sink.infer_schema([self._row(row) for row in rows])
        for rows in _batches(pending):
            sink.write([self._row(row) for row in rows])
        sink.finish()

    def _row(self, change: PendingChange) -> bytes:
        head = b'{"' + CHANGE.encode() + b'":"' + change.kind.encode() + b'"'
        record = msgspec.json.encode({self._id_field: change.id}) if change.line is None else change.line
        # A record that is no object has no columns: PHP writes an empty one as a list.
        return head + (b"," + record[1:] if record.startswith(b"{") and record != b"{}" else b"}")

    def publication(self, report: ChangesReport) -> Mapping[str, Any]:
        """Return what the next run must know if this one is killed; from then on the file is kept."""
        self._recorded = True
        return {
            "partial": str(self._partial),
            "target": str(self._target.path),
            "overwrite": self._overwrite,
            "file": _identity(self._partial),
            "report": asdict(report),
        }

    def publish(self) -> None:
        """Give the file its name."""
        _publish(self._partial, self._target.path, overwrite=self._overwrite)

    def discard(self) -> None:
        """Remove the file unless the state has a record of it."""
        if not self._recorded:
            self._partial.unlink(missing_ok=True)


def _batches(pending: PendingChanges) -> Iterator[list[PendingChange]]:
    pending.rewind()
    while rows := pending.read():
        yield rows


def _line(change: PendingChange) -> bytes:
    head: dict[str, Any] = {"change": change.kind, "id": change.id}
    if change.fields:
        head["fields"] = change.fields
    return msgspec.json.encode(head)[:-1] + b',"record":' + (change.line or b"null") + b"}\n"


def _with_change(into: Any) -> Any:
    """Return the model of a record, with its change as the first field."""
    if not is_model(into):
        return into
    names, types = api_names(into), field_types(into)
    fields = {name: field(type=kind | None, metadata={API_NAME: names[name]}) for name, kind in types.items()}
    return make_class("ChangedRecord", {"change_": field(type=str, metadata={API_NAME: CHANGE}), **fields})


def _identity(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns]


def _is_file(path: Path, identity: Sequence[int]) -> bool:
    try:
        return _identity(path) == list(identity)
    except OSError:
        return False


def _publish(partial_path: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        partial_path.replace(target)
    else:
        try:
            os.link(partial_path, target)
        except FileExistsError:
            raise ExportError(f"{target} exists already", fix=OVERWRITE) from None
        partial_path.unlink()
    sync_folder(target.parent)


def _finish_earlier(path: Path, fingerprints: Mapping[str, str], target: Path) -> ChangesReport | None:
    """Finish the work of a run that was killed; return its report if it wrote to this run's target."""
    if not path.exists():
        return None
    state = StateFile(path, fingerprints)
    try:
        if state.get(UNFINISHED) is not None:
            raise ExportError(
                f"{path} has changes that a program took and did not finish: run that program again, or give this file "
                "a state of its own"
            )
        found = state.get(_PUBLISHING)
        if found is None:
            return None
        partial_path, published = Path(found["partial"]), Path(found["target"])
        if _is_file(partial_path, found["file"]):
            _publish(partial_path, published, overwrite=found["overwrite"])
        is_published = _is_file(published, found["file"])
        state.set(_PUBLISHING, None)
        state.commit()
    except OSError as error:
        raise disk_error(path, error, full=ROOM) from error
    finally:
        state.close()
    return ChangesReport(**found["report"]) if is_published and published == target else None
