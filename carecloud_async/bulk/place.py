"""Where a run keeps its journal, and which files it must not overwrite."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from attrs import frozen

from carecloud_async.bulk.errors import BadSourceError
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.results import ResultFile
from carecloud_async.bulk.sources.open import path_of
from carecloud_async.export.storage.urls import is_url

__all__ = ["Place", "find_place"]


@frozen(kw_only=True)
class Place:
    """The files of a run.

    Attributes:
        journal: the journal.
        folder: a temporary folder that the journal is in, to be removed in any case; `None` for a journal that a later
            run can go on from.
        files: the results and the rejects.
    """

    journal: Path
    folder: tempfile.TemporaryDirectory[str] | None
    files: tuple[ResultFile, ...]


def find_place(source: Any, options: BulkWriteOptions, *, family: str) -> Place:
    """Return the files of a run. Blocks.

    Raises:
        BadSourceError: two files are the same, one cannot be written, or there is no place for a journal that could be
            resumed.
    """
    files = tuple(
        ResultFile(path=Path(path), only_refused=name == "rejects")
        for name, path in (("results", options.results), ("rejects", options.rejects))
        if path is not None
    )
    origin = path_of(source)
    local = None if origin is None or is_url(origin) else Path(origin)
    for file in files:
        file.check()
    _require_different(
        {"the source": local, "journal": options.journal, "results": options.results, "rejects": options.rejects}
    )
    path = _journal_path(local, options, family)
    if path is None and options.resume:
        raise BadSourceError("resume needs a place where the earlier run was kept: give journal= or results=")
    if options.dry_run or path is None:
        folder = tempfile.TemporaryDirectory(prefix="carecloud-bulk-", ignore_cleanup_errors=True)
        return Place(journal=Path(folder.name) / "journal.db", folder=folder, files=files)
    return Place(journal=path, folder=None, files=files)


def _journal_path(local: Path | None, options: BulkWriteOptions, family: str) -> Path | None:
    if options.journal is not None:
        return Path(options.journal)
    beside = local or (None if options.results is None else Path(options.results))
    return None if beside is None else beside.with_name(f".{beside.name}.{family}.bulk.db")


def _require_different(paths: dict[str, Any]) -> None:
    given = {name: Path(path) for name, path in paths.items() if path is not None}
    for name, path in given.items():
        for other, second in given.items():
            if name < other and _is_same(path, second):
                raise BadSourceError(f"{path}: {name} and {other} are the same file")


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.abspath(one) == os.path.abspath(other)
