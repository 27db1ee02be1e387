"""The temporary files of a comparison: what their errors mean. Nothing of a run is kept, so that none goes on."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from carecloud_async._base.runs import sqlite_code
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.errors import ExportError
from carecloud_async.fixes import RESUME, ROOM


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Turn an error of a temporary database into an `ExportError`."""
    try:
        yield
    except sqlite3.Error as error:
        if sqlite_code(error) == sqlite3.SQLITE_FULL:
            raise ExportError("the temporary folder is full", fix=ROOM) from error
        raise ExportError(f"the temporary folder: rows and records cannot be stored there: {error}") from error


class TemporaryDatabase:
    """An SQLite file that is removed with its folder, whatever happens. Every method blocks.

    Args:
        path: the file, in a private folder.
        schema: the statements that make its tables.
    """

    @database_errors()
    def __init__(self, path: Path, schema: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(schema)
        self._db.execute("BEGIN")

    def close(self) -> None:
        """Close the file."""
        self._db.close()


async def read_list(listing: Listing[Any], file: Path) -> ExportReport:
    """Read a list into a temporary file of JSON lines.

    Raises:
        ExportError: it cannot be read, or the temporary folder is full.
        CareCloudError: the server cannot be read.
    """
    try:
        return await listing.export(file)
    except ExportError as error:
        if error.fix == RESUME:
            error.fix = ROOM
        raise
