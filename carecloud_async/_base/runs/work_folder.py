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

    It and its files are private to their user, because folders are shared and runs hold personal data. In a folder that
    others may write to, only its sticky bit (as `/tmp` has) keeps them from renaming your files.

    Args:
        target: what the run makes.

    Attributes:
        path: the folder.
        run: the run file; once it is open.
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
        while not self._is_open:
            try:
                claim_folder(self.path)
            except OSError as error:
                if error.errno is None:  # the text says what is wrong with it
                    raise kind.error(f"{error.strerror}: remove it, or choose another place") from error
                raise kind.of_system(self.path, error) from error
            try:
                self.run = RunFile.open(self.path / "run.db", kind=kind, binding=binding, resume=resume)
                self._is_open = True
            except CareCloudError:
                if self.path.exists():
                    raise  # otherwise another run has ended meanwhile and removed the folder
        return self.run

    def clear(self) -> None:
        """Remove what the run has prepared."""
        for entry in self.path.iterdir():
            if not entry.name.startswith("run.db"):
                entry.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the folder, and remove it if it holds nothing to go on with."""
        if self._is_open:
            if self.run.holds_something:
                self.run.close()
            else:
                self.clear()
                self.run.remove()
        with contextlib.suppress(OSError):  # it holds something, or another run has opened it
            os.rmdir(self.path)
