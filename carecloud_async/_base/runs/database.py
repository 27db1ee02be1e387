"""`Database`: an SQLite database that several threads use in turn, and whose own errors say what to do.

Only what SQLite raises for a statement of ours is explained. An error of the caller's own code, which may be an
`sqlite3.Error` too, passes through a transaction unchanged.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import RLock
from typing import Any, Final

__all__ = ["IN_MEMORY", "TEMPORARY", "Database", "sqlite_code"]

#: Names of databases without a file of their own: one in memory, and one that moves to a temporary file as it grows.
IN_MEMORY: Final = ":memory:"
TEMPORARY: Final = ""

#: How many times to try to switch a new file to WAL mode while other programs do so too.
_SWITCHES: Final = 100


#: What a forked child has in place of the connections that it leaves to its parent: it is closed, and refuses all work.
_CLOSED: Final = sqlite3.connect(IN_MEMORY, check_same_thread=False)
_CLOSED.close()
#: The open databases, which a forked child leaves to its parent.
_open: Final[weakref.WeakSet[Database]] = weakref.WeakSet()


def _leave_in_child() -> None:
    for database in [*_open]:
        database._leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_in_child)


def sqlite_code(error: BaseException) -> int:
    """Return the code of an error of SQLite without its details; 0 if it has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


class Database:
    """A database of one connection.

    Everything blocks, and waits for the thread that uses it: SQLite crashes the process if a connection is closed in
    use.

    Args:
        path: the file, or `IN_MEMORY` or `TEMPORARY`.
        explain: makes the error to raise from one of SQLite's.
        timeout: how long to wait for another process that writes (seconds).

    Raises:
        Exception: what `explain` made: the file cannot be opened.
    """

    def __init__(
        self, path: Path | str, *, explain: Callable[[sqlite3.Error], Exception], timeout: float = 0.0
    ) -> None:
        self._explain = explain
        self._lock = RLock()
        with self._explained():
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=timeout)
        _open.add(self)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement; return all its rows.

        Raises:
            Exception: what `explain` made of SQLite's refusal.
        """
        with self._explained():
            return self._connection.execute(statement, values).fetchall()

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run a statement once for each row of values; return how many rows of the database it changed.

        The values are a list: making them may fail by itself.

        Raises:
            Exception: what `explain` made of SQLite's refusal.
        """
        with self._explained():
            return self._connection.executemany(statement, rows).rowcount

    def copy_to(self, path: Path) -> None:
        """Copy the database into a new file, without the room that deleted rows have left.

        Raises:
            Exception: what `explain` made of SQLite's refusal.
        """
        with self._explained(), contextlib.closing(sqlite3.connect(path, isolation_level=None)) as copy:
            self._connection.backup(copy)
            copy.execute("VACUUM")

    def write_ahead(self) -> None:
        """Switch to write-ahead logging (WAL mode).

        Raises:
            Exception: what `explain` made of SQLite's refusal.
        """
        tries = 0
        with self._explained():
            while not self._switch(is_last=tries >= _SWITCHES):
                with self.transaction():  # waits for the other program, which the switch does not
                    tries += 1

    def _switch(self, *, is_last: bool) -> bool:
        """Switch to WAL mode; return `False` if another program uses the file."""
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if is_last or sqlite_code(error) != sqlite3.SQLITE_BUSY:
                raise
            return False
        return True

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the changes of a block together, while no other thread uses the database; none if the block fails.

        Raises:
            Exception: what `explain` made of SQLite's refusal.
        """
        with self._lock:
            self.start()
            try:
                yield
                self.commit()
            finally:
                self.roll_back()

    def start(self) -> None:
        """Start a transaction that `commit` or `roll_back` ends, possibly in another thread."""
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit the transaction.

        Raises:
            Exception: what `explain` made of SQLite's refusal; nothing of the transaction is kept.
        """
        self.execute("COMMIT")

    def roll_back(self) -> None:
        """Take back the transaction; does nothing without one. SQLite itself rolls back after some errors."""
        with self._explained():
            if self._connection.in_transaction:
                self.execute("ROLLBACK")

    def close(self) -> None:
        """Close the database; what was not committed is dropped."""
        with self._lock:
            _open.discard(self)
            self._connection.close()

    def _leave_to_parent(self) -> None:
        """Never close the connection, not even at exit: that would remove the log to which the parent still writes."""
        import ctypes  # only in a forked child

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))
        self._lock = RLock()
        self._connection = _CLOSED

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise self._explain(error) from error
