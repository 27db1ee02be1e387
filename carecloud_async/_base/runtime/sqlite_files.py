"""Private SQLite files that several threads use in turn, and durable transactions in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carecloud_async._base.runtime.durable_files import touch_private

__all__ = ["open_database", "transaction"]


def open_database(path: Path, *, timeout: float = 5.0) -> sqlite3.Connection:
    """Open a database in WAL mode, or begin one; only this user may read it.

    Args:
        path: the file.
        timeout: how long to wait for another process that writes (seconds).

    Raises:
        OSError: it cannot be opened, or is not this user's own file.
        sqlite3.Error: it is no database.
    """
    touch_private(path)
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=timeout)
    try:
        database.execute("PRAGMA journal_mode=WAL")
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Make the changes of a block together; with `PRAGMA synchronous=FULL` they are durable when it ends."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    finally:
        if database.in_transaction:  # SQLite itself rolls back after some errors
            database.execute("ROLLBACK")
