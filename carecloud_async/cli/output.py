"""`-o`: the target of an export, checked before anything is sent, and the partial result of an earlier run."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import frozen

from carecloud_async.cli.console import say
from carecloud_async.cli.failures import UsageError
from carecloud_async.errors import ExportError

__all__ = ["SUFFIXES", "Output"]

#: The formats, as the export knows them by the end of the file's name.
SUFFIXES = (
    *(".jsonl", ".ndjson", ".csv", ".parquet"),
    *(f"{suffix}{packed}" for suffix in (".jsonl", ".ndjson", ".csv") for packed in (".gz", ".zst")),
)


@frozen
class Output:
    """The target of an export.

    Attributes:
        name: a path, a URL, or `-` for stdout.
        format: the format where the name does not say it.
    """

    name: str
    format: str | None = None

    @property
    def is_stdout(self) -> bool:
        """Whether records go to stdout, so that nothing else may be printed there."""
        return self.name in {"-", "/dev/stdout", "/dev/fd/1"}

    @property
    def is_direct(self) -> bool:
        """Whether records are written as they arrive, so that the export cannot be resumed."""
        path = Path(self.name)
        return self.is_stdout or self.name.startswith("/dev/") or (path.exists() and not path.is_file())

    @property
    def suffix(self) -> str:
        """The suffix of the format, without that of a compression."""
        known = f".{self.format}" if self.format else next(filter(self.name.lower().endswith, SUFFIXES), ".jsonl")
        return known.removesuffix(".gz").removesuffix(".zst")

    def check(self) -> None:
        """Raise for what cannot become a file, before anyone is asked; URLs are left to the export.

        Raises:
            UsageError: the name says no format.
            ExportError: nothing can be written there.
        """
        if Path(self.name).is_dir():
            raise ExportError(f"{self.name} is a folder: name a file")
        if self.is_direct:
            return
        if self.format is None and not self.name.lower().endswith(SUFFIXES):
            raise UsageError(
                f"{self.name}: the suffix names the format, and must be one of {', '.join(SUFFIXES)}; or say it with "
                "--format"
            )
        if "://" in self.name:
            return
        folder = Path(self.name).parent
        if not folder.is_dir():
            raise ExportError(f"{self.name}: there is no folder {folder}: make it first, or choose another place")
        if not os.access(folder, os.W_OK):
            raise ExportError(f"{self.name}: you may not write in {folder}: choose another place")

    def has_partial(self) -> bool:
        """Return whether a run that was stopped left records that `--resume` can go on with."""
        from carecloud_async._lists.export.storage.target import read_target
        from carecloud_async._lists.export.storage.workspace import Workspace

        return not self.is_direct and Workspace(read_target(self.name, format=self.format)).records.exists()

    def warn_of_discarding(self, *, overwrite: bool) -> None:
        """Say that what an earlier run has fetched is lost, if so."""
        if self.has_partial() and (overwrite or not os.path.exists(self.name)):
            say(f"warning: discarding what an earlier run fetched for {self.name}; --resume goes on with it")

    def interrupted(self) -> str:
        """Return what has become of an export to a file that was interrupted."""
        if self.has_partial():
            return f"interrupted: what was fetched for {self.name} is kept; the same command with --resume goes on"
        return f"interrupted before anything was fetched for {self.name}"
