"""Disks of tests: the package makes files and databases of classes of the test's own."""

from __future__ import annotations

import errno
import io
import os
import sqlite3


class FullFile(io.FileIO):
    """A file on a disk that becomes full after a number of bytes."""

    room = 10_000

    def write(self, data):
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def make_files_of(kind, monkeypatch):
    """From now on new files are of this kind of `io.FileIO`."""
    monkeypatch.setattr(
        os, "fdopen", lambda descriptor, mode: io.BufferedRandom(kind(descriptor, mode.replace("b", "")))
    )


def watch_databases(monkeypatch, before):
    """From now on `before(database, statement)` is called before each statement on a new connection of SQLite."""

    class Watched(sqlite3.Connection):
        def execute(self, statement, *values):
            before(super(), statement)
            return super().execute(statement, *values)

        def executemany(self, statement, *values):
            before(super(), statement)
            return super().executemany(statement, *values)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **options, factory=Watched))


def file_of(database):
    """The name of the file of a connection's main database."""
    ((_, _, path),) = [row for row in database.execute("PRAGMA database_list") if row[1] == "main"]
    return os.path.basename(path)
