"""`WorkFolder`: a private folder beside a target, with the unfinished target and the run file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from carecloud_async._base.runs.kinds import RunKind
from carecloud_async._base.runs.run_file import RunFile
from carecloud_async._base.runtime.durable_files import claim_folder
from carecloud_async.errors import CareCloudError

__all__ = ["WorkFolder"]


class WorkFolder:
    """The folder `.NAME.run`. Everything blocks.

    It and its files are private to their user, because runs hold personal data, and others may read the folder of the
    target. If others may also write to that folder, only its sticky bit (as `/tmp` has) keeps them from renaming files.

    Args:
        target: what the run makes.

    Attributes:
        path: the folder.
        run: the run file, set by `open`.
    """

    run: RunFile

    def __init__(self, target: Path) -> None:
        self.path: Path = target.with_name(f".{target.name}.run")
        self._is_open = False

    def open(self, *, kind: RunKind, binding: Mapping[str, str], resume: bool) -> RunFile:
        """Make the folder, and open its run file; see `RunFile.open`.

        Raises:
            CareCloudError: of the kind's class: it cannot be made, or the run file cannot be opened.
        """
        while not self._is_open:  # again if another run, which ends, removes the folder between the two steps
            try:
                claim_folder(self.path)
            except OSError as error:
                if error.errno is None:  # of `claim_folder` itself: the text says what is wrong with the folder
                    raise kind.error(f"{error.strerror}: remove it, or choose another place") from error
                raise kind.of_system(self.path, error) from error
            try:
                self.run = RunFile.open(self.path / "run.db", kind=kind, binding=binding, resume=resume)
                self._is_open = True
            except CareCloudError:
                if self.path.exists():
                    raise
        return self.run

    def clear(self) -> None:
        """Remove what the run has prepared: all but the run file."""
        for entry in self.path.iterdir():
            if not entry.name.startswith("run.db"):
                entry.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the run file, and remove the folder if it holds nothing that a later run goes on with."""
        if self._is_open:
            if self.run.holds_something:
                self.run.close()
            else:
                self.clear()
                self.run.remove()
        with contextlib.suppress(OSError):  # it is not empty: there is something to go on with, or another run's file
            os.rmdir(self.path)
