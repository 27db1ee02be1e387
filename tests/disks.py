"""Disks of tests: the package makes files and databases of classes of the test's own."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sqlite3
import stat


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


class WatchedDisk:
    """What a power cut leaves: of each folder the names that it had when it was synced, of each file what was synced.

    SQLite syncs a log itself, and its folder when the log is made, which is not seen here: a log is left whole.
    """

    def __init__(self, monkeypatch):
        self._names, self._contents, fsync = {}, {}, os.fsync

        def note(descriptor):
            fsync(descriptor)
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                self._names[status.st_ino] = {*os.listdir(descriptor)}
            else:
                self._contents[status.st_ino] = os.pread(descriptor, status.st_size, 0)

        monkeypatch.setattr(os, "fsync", note)

    def cut_power(self, folder, left):
        """Put what is left of a folder into a new one."""
        left.mkdir()
        for path in folder.iterdir():
            if path.name.endswith("-wal"):
                shutil.copyfile(path, left / path.name)
            elif path.with_name(f"{path.name}-wal").exists() or path.name in self._names.get(folder.stat().st_ino, ()):
                (left / path.name).write_bytes(self._contents.get(path.stat().st_ino, b""))
                shutil.copystat(path, left / path.name)


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


def full_database():
    """The error of SQLite on a full disk."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


def file_of(database):
    """The name of the file of a connection's main database."""
    ((_, _, path),) = [row for row in database.execute("PRAGMA database_list") if row[1] == "main"]
    return os.path.basename(path)
