"""The folder next to a target where an export is prepared: the run file, the records, the output.

    run.db     how far the export is; locked while an export uses the folder, and bound to what is exported
    records    the records, durable before the checkpoint in the run file that includes them
    output     the same records in the target's format

The finished file is made there and gets its final name when it is whole. Then the folder is removed, or with
`resume=True` keeps the report.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from attrs import frozen

from carecloud_async._base.runs import Publication, RunFile, RunKind, WorkFolder, publish, reason_of
from carecloud_async._base.runtime.durable_files import PRIVATE
from carecloud_async._lists.export.reading.seen import SEEN_TABLES
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.storage.target import Target
from carecloud_async.errors import ExportError
from carecloud_async.fixes import OVERWRITE, RESTART

__all__ = ["Ended", "Workspace"]

_KIND: Final = RunKind(
    name="export",
    file="a run file of an export",
    each="list",
    own="a target",
    version=3,
    tables=SEEN_TABLES,
    error=ExportError,
    begin_again=RESTART,
    work="export to this target",
    if_foreign=RESTART,
)
_ENDED = "ended"


@frozen(kw_only=True)
class Ended:
    """The end of an export, noted before its file gets the final name.

    Attributes:
        report: what is reported.
        replaced: the version of the object that an upload replaces, see `StoredObject`.
        timeless: the records without a readable `last_change`, for the next run; see `TimelessRecords.found`.
    """

    file: Publication
    report: ExportReport
    replaced: str | None = None
    timeless: Sequence[str] = ()


class Workspace:
    """The working folder of one export. Everything blocks.

    Args:
        target: what is exported to.

    Attributes:
        directory: the folder.
        records, output: its files.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._folder = WorkFolder(target.path)
        self.directory: Path = self._folder.path
        self.records: Path = self.directory / "records"
        self.output: Path = self.directory / "output"

    @property
    def run(self) -> RunFile:
        """The open run file."""
        return self._folder.run

    def open(self, binding: Mapping[str, str], *, resume: bool) -> None:
        """Make the folder, and open its run file.

        Raises:
            ExportError: it cannot be made, another export uses it, or the export that is to be resumed cannot be.
        """
        target = self._target
        if target.url is not None:
            try:
                target.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise ExportError(
                    f"{target.shown} is prepared in {target.path.parent}: {reason_of(error)}: set XDG_CACHE_HOME to a "
                    "folder that can be written to"
                ) from error
        self._folder.open(kind=_KIND, binding=binding, resume=resume)

    def close(self) -> None:
        """Close the folder, and remove it if it holds nothing. Does nothing if it is not open."""
        self._folder.close()

    def clear(self) -> None:
        """Remove the records and the output."""
        self._folder.clear()

    @property
    def ended(self) -> Ended | None:
        """The end of the export that is resumed, if its file has its name and is untouched.

        Raises:
            ExportError: the storage of a URL cannot be asked.
        """
        run = self.run
        ended = msgspec.convert(run.report, Ended) if run.report is not None else None
        if run.continues:
            ended = run.get(_ENDED, Ended)
        return ended if ended is not None and self._is_published(ended) else None

    def _is_published(self, ended: Ended) -> bool:
        target = self._target
        if target.url is None:
            return ended.file.is_published_as(target.path)
        # Until an upload succeeds, the URL holds the object that it replaces.
        stored = target.stored()
        return stored is not None and stored.version != ended.replaced and stored.size in {None, ended.file.size}

    def publish(
        self,
        file: Path,
        report: ExportReport,
        *,
        overwrite: bool,
        mode: int = PRIVATE,
        timeless: Sequence[str] = (),
    ) -> Ended:
        """Give a finished file its final name.

        Args:
            report: what is reported.
            overwrite: whether it may replace another.
            mode: its permissions.
            timeless: see `Ended`.

        Raises:
            ExportError: the name was taken meanwhile.
            OSError: the file system refuses.
        """
        target = self._target
        replaced = None if target.url is None else target.stored()
        ended = Ended(
            file=Publication.of(file, target.path),
            report=report,
            replaced=None if replaced is None else replaced.version,
            timeless=timeless,
        )
        # Noted before: a run that is killed after the file has its name must not be continued from the leftovers.
        with self.run.transaction():
            self.run.set(_ENDED, ended)
        if target.url is not None:
            target.upload(file, overwrite=overwrite)
            return ended
        try:
            publish(file, target.path, overwrite=overwrite, mode=mode)
        except FileExistsError:
            raise ExportError(f"{target.shown} exists already", fix=OVERWRITE) from None
        return ended

    def finish(self, ended: Ended, *, resume: bool, keep: bool = False) -> None:
        """Keep the report of a run that may be resumed; remove everything else.

        Args:
            ended: the end.
            resume: whether the run may be resumed.
            keep: whether the noted end stays until `discard`, so that a killed run can still finish it.
        """
        self.clear()
        if resume:
            self.run.finish(ended)
        elif not keep:
            self.run.remove()

    def discard(self) -> None:
        """Remove the folder of an export whose end was received; one that another run uses stays."""
        with contextlib.suppress(ExportError, OSError):
            self.open({}, resume=False)
            self.clear()
            self.run.remove()
        self.close()
