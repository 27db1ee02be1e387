"""Writes the changes of a list to a file, which appears whole; the state is committed together with it.

    write      the file, next to its target, and sync it
    commit     the state, together with a note of the file
    publish    the file under its name
    confirm    remove the note: the caller has the report

If a run is killed after the commit, the next one finds the note. It publishes the file, if that was not done, and
returns its report. So nothing is lost or returned twice.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from io import BufferedRandom
from pathlib import Path
from typing import Any, Literal

import msgspec
from attrs import asdict, evolve, field, frozen, make_class

from carecloud_async._base.codec.fields import API_NAME, api_names, field_types, is_model
from carecloud_async._base.runs import Publication, partial_path, publish
from carecloud_async._base.runtime.durable_files import create_private, sync_folder
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._lists.changes.run import ChangesRun
from carecloud_async._lists.changes.state_file import PUBLICATION, PendingChange
from carecloud_async._lists.changes.values import ChangesReport
from carecloud_async._lists.export.errors import BadExportError, disk_errors
from carecloud_async._lists.export.formats.compression import compressing
from carecloud_async._lists.export.formats.registry import SinkStream
from carecloud_async._lists.export.formats.sinks import CsvOptions, Layout
from carecloud_async._lists.export.report import Written
from carecloud_async._lists.export.storage.target import Target, read_target
from carecloud_async.errors import ExportError
from carecloud_async.fixes import OVERWRITE

__all__ = ["CHANGE", "ChangesFileOptions", "publish_changes"]

_log = logging.getLogger("carecloud_async.changes")

#: The name of the first column of tables.
CHANGE = "_change"


@frozen(kw_only=True)
class ChangesFileOptions:
    """The options of a file of changes; see `Listing.export`."""

    overwrite: bool = False
    format: str | None = None
    columns: Literal["model", "found"] = "model"
    timestamps: Literal["utc", "project"] = "utc"
    csv: CsvOptions = field(factory=CsvOptions)


async def publish_changes(
    run: ChangesRun, target: str | os.PathLike[str], options: ChangesFileOptions
) -> Written[ChangesReport]:
    """Write the changes of a list to a file, for a caller that confirms it later.

    Until then the next run returns the same file, and reads nothing.

    Args:
        run: compares the list; has the open state, which remembers the unconfirmed file.
        target: the file; its suffix is the format.
        options: the file's format and layout.

    Raises:
        ExportError: it cannot start or continue; the state and the target are unchanged.
        CareCloudError: the server cannot be read.
    """
    source = run.source
    destination = await run_in_thread(partial(read_target, target, format=options.format))
    if destination.direct or destination.url is not None:
        raise BadExportError(
            f"{destination.shown}: changes must be written to a local file, because file and state move together"
        )
    if source.operation.id_field is None and destination.format.sink is not None:
        raise BadExportError(f"{source.name} has no id field, so a table cannot identify deleted records: write .jsonl")
    try:
        await run_in_thread(run.open)
        file = _ChangesFile(run, destination, options)
        report = await run_in_thread(file.finish_earlier) or await file.make()
    except BaseException:
        await run_in_thread_regardless(run.close)
        raise

    def confirm() -> None:
        run.state.set(PUBLICATION, None)
        run.state.commit()

    return Written(report, confirm=confirm, close=run.close, is_remote=run.is_remote)


class _ChangesFile:
    """One file of changes, with the open state that is committed with it."""

    def __init__(self, run: ChangesRun, target: Target, options: ChangesFileOptions) -> None:
        self._run, self._source = run, run.source
        self._id_field = run.source.operation.id_field or "id"
        self._target = target
        self._overwrite = options.overwrite
        self._state = run.state
        self._partial = partial_path(target.path, owner=run.path)
        self._is_noted = False
        self._layout = Layout(
            into=_with_change(run.source.into),
            fields={},
            timezone=run.source.project.timezone,
            columns=options.columns,
            timestamps=options.timestamps,
            csv=options.csv,
        )

    async def make(self) -> ChangesReport:
        """Write what changed to the file, and publish it."""
        self._require_free()
        try:
            await self._run.compare()
            await run_in_thread(self._write)
            await run_in_thread_regardless(self._publish)
        finally:
            if not self._is_noted:
                await run_in_thread_regardless(lambda: self._partial.unlink(missing_ok=True))
        return self._run.report

    def _publish(self) -> None:
        """Commit the state together with a note of the file, and give the file its name."""
        self._require_free()
        self._state.require_unchanged()
        with disk_errors(self._target.path):
            noted = Publication.of(self._partial, self._target.path, form=self._form, report=asdict(self._run.report))
        self._state.set(PUBLICATION, noted)
        self._state.commit(taken=True, store=False)
        self._is_noted = True
        self._give_name(noted, overwrite=self._overwrite)

    def finish_earlier(self) -> ChangesReport | None:
        """Publish the file of a run that was killed; return its report if it is what this run would write. Blocks."""
        if self._state.has_pending:
            raise ExportError(
                f"{self._run.path} has changes that a program took and did not finish: run that program again, or give "
                "this file a state of its own"
            )
        noted = self._state.get(PUBLICATION, Publication)
        if noted is None:
            return None
        if noted.is_published_as(self._target.path):
            return _report_of(noted)
        if not noted.is_waiting:  # it has another name already, or none any more: it was used and removed since
            if not noted.is_published:
                self._warn_that_it_is_gone(noted)
            return None
        if noted.form != self._form:  # this call wants another format: the file keeps its own name
            self._give_name(noted, overwrite=False)
            return None
        # The target and `overwrite` of this call apply, not the noted ones, even if the noted name is taken.
        noted = evolve(noted, target=os.path.realpath(self._target.path))
        self._state.set(PUBLICATION, noted)
        self._state.commit()
        self._give_name(noted, overwrite=self._overwrite)
        return _report_of(noted)

    def _warn_that_it_is_gone(self, noted: Publication) -> None:
        _log.warning(
            "%s: a run was stopped while it gave %s its name, and that file is gone: if no program has used it, "
            "delete %s and load the whole list again",
            self._source.name,
            noted.target,
            self._run.path,
        )

    def _give_name(self, noted: Publication, *, overwrite: bool) -> None:
        with disk_errors(Path(noted.target)):
            try:
                publish(Path(noted.partial), Path(noted.target), overwrite=overwrite)
            except FileExistsError:
                raise _exists(noted.target) from None

    def _require_free(self) -> None:
        if not self._overwrite and self._target.path.exists():
            raise _exists(self._target.shown)

    @property
    def _form(self) -> str:
        return self._target.format.suffix + self._target.format.compression

    def _write(self) -> None:
        """Write the pending changes to a file next to the target, and sync it."""
        with disk_errors(self._target.path), create_private(self._partial) as file:
            if self._target.format.sink is None:
                stream = compressing(file, self._target.format.compression)
                for rows in self._state.pending():
                    stream.write(b"".join(map(_line, rows)))
                stream.close()
            else:
                self._write_table(file)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._partial.parent)  # the note that is committed next names this file

    def _write_table(self, file: BufferedRandom) -> None:
        sink = SinkStream(file, self._target.format, self._layout)
        for rows in self._state.pending():
            sink.infer_schema([self._row(row) for row in rows])
        for rows in self._state.pending():
            sink.write([self._row(row) for row in rows])
        sink.finish()

    def _row(self, change: PendingChange) -> bytes:
        """Return a row of a table, as JSON: the kind of the change and the record; of a deleted record, its id."""
        head = b'{"' + CHANGE.encode() + b'":"' + change.kind.encode() + b'"'
        record = msgspec.json.encode({self._id_field: change.id}) if change.line is None else change.line
        # What is not an object has no columns: PHP writes an empty record as a list.
        return head + (b"," + record[1:] if record.startswith(b"{") and record != b"{}" else b"}")


def _report_of(noted: Publication) -> ChangesReport:
    return ChangesReport(**{**noted.report, "finished_before": True})


def _exists(name: str) -> ExportError:
    return ExportError(f"{name} exists already", fix=OVERWRITE)


def _line(change: PendingChange) -> bytes:
    """Return a line of JSON; the record stays as the server wrote it."""
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
