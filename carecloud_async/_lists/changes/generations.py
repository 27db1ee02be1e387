"""States by generation, for pipelines that may roll a run back: the previous state then counts."""

from __future__ import annotations

from pathlib import Path

from carecloud_async._base.runtime.durable_files import copy_private, sync_folder
from carecloud_async._lists.changes.state_file import remove_state
from carecloud_async._lists.export.errors import disk_error
from carecloud_async.errors import ExportError
from carecloud_async.fixes import ROOM

__all__ = ["begin_generation"]


def begin_generation(folder: Path, name: str, *, last: int | None) -> tuple[Path, int]:
    """Return the state file of a run, and its generation: a copy of the last one that counts.

    Args:
        folder: the folder of the states of one pipeline.
        name: the list's name.
        last: the generation that the pipeline remembers; `None` to begin with an empty state.

    Raises:
        ExportError: that generation is missing, another run is using the new one, or the disk refuses.
    """
    generation = (last or 0) + 1
    new, old = _path(folder, name, generation), _path(folder, name, last or 0)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for other in folder.glob(f"{name}.*.state"):
            if other != old or last is None:
                remove_state(other)
        if last is not None:
            copy_private(old, new)
            sync_folder(folder)
    except FileNotFoundError:
        raise ExportError(
            f"the state of {name}, {old}, is gone: what was deleted since is unknown. Run once with full=True, and "
            "name a state_folder that stays"
        ) from None
    except OSError as error:
        raise disk_error(new, error, full=ROOM) from error
    return new, generation


def _path(folder: Path, name: str, generation: int) -> Path:
    return folder / f"{name}.{generation}.state"
