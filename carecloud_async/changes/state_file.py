"""The state of a comparison: an SQLite file with the id and two digests of each record, and what it belongs to.

A run is one transaction, which SQLite rolls back if the process is killed or the disk is full.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from carecloud_async.errors import ExportError
from carecloud_async.export.source import foreign
from carecloud_async.export.storage.database import DAMAGED, PrivateDatabase
from carecloud_async.fixes import ROOM
from carecloud_async.runtime.durable_files import sync_folder

__all__ = ["KnownRecord", "NewRecord", "StateFile"]

#: Tells the file from other SQLite databases.
_APPLICATION = 0x43434348
_VERSION = 2

_TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
    "CREATE TABLE records (id PRIMARY KEY, number INTEGER, text BLOB, value BLOB, record BLOB) WITHOUT ROWID",
)
_FIND = "SELECT id, number, text, value, record IS NOT NULL FROM records"
_KEPT = ("NULL", "NOT NULL")
_ADD = "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)"

#: Rows that are asked for at a time: SQLite takes a thousand variables everywhere.
_ROWS = 500


class KnownRecord(NamedTuple):
    """A record as the state knows it.

    Attributes:
        key: its id; a digest of its text if it has none.
        number: a number that no other record had.
        text: the digest of its text.
        value: the digest of its value: the same for any order of its fields.
        is_kept: whether the state stores the record itself.
    """

    key: str | bytes
    number: int
    text: bytes
    value: bytes
    is_kept: bool


class NewRecord(NamedTuple):
    """A record that is added, or replaces what was known of it: see `KnownRecord`; `record` is compressed."""

    key: str | bytes
    number: int
    text: bytes
    value: bytes
    record: bytes | None


class StateFile:
    """An open state, in a transaction. Everything blocks; one thread at a time.

    Args:
        path: the file; made if it is not there, private to this user.
        fingerprints: what it belongs to, see `ExportSource.fingerprints`.

    Raises:
        ExportError: it belongs to another list or identity, is damaged or in use, or cannot be written.
    """

    def __init__(self, path: Path, fingerprints: Mapping[str, str]) -> None:
        self._path = path
        self._fingerprints = dict(fingerprints)
        self._db = PrivateDatabase(path, explain=partial(_explain, path), timeout=0, full=ROOM)
        try:
            sync_folder(path.parent)
            with self._db.use() as db:
                self._open(db)
        except BaseException:
            self.close()
            raise

    def _open(self, db: sqlite3.Connection) -> None:
        execute = db.execute
        execute("PRAGMA synchronous=FULL")
        execute("PRAGMA cache_size=-16000")
        execute("BEGIN IMMEDIATE")
        if execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            for table in _TABLES:
                execute(table)
            execute(f"PRAGMA application_id={_APPLICATION}")
            self.set("version", _VERSION)
            self.set("fingerprints", self._fingerprints)
        elif execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
            raise ExportError(f"{self._path} is not a state file of changes: name another file")
        elif self.get("version") != _VERSION:
            raise ExportError(f"{self._path} was made by another version of this package: delete it to begin again")
        problem = foreign(self.get("fingerprints") or {}, self._fingerprints, kind="comparison", own="a state file")
        if problem is not None:
            raise ExportError(f"{self._path} {problem}")
        execute("SAVEPOINT run")

    def __len__(self) -> int:
        with self._db.use() as db:
            return int(db.execute("SELECT count(*) FROM records").fetchone()[0])

    @property
    def next_number(self) -> int:
        """A number that no record had."""
        return int(self.get("next_number") or 0)

    def get(self, name: str) -> Any:
        """Return the value stored under a name; `None` if there is none."""
        with self._db.use() as db:
            found = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else msgspec.json.decode(found[0])

    def set(self, name: str, value: Any) -> None:
        """Store a JSON value under a name."""
        with self._db.use() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, msgspec.json.encode(value).decode()))

    def find_texts(self, low: str | bytes, high: str | bytes, count: int, *, kept: bool) -> dict[bytes, int]:
        """Return the numbers of the records in a range of ids, by the digests of their texts.

        Args:
            low: the smallest id.
            high: the largest id.
            count: about the number of records; of many more, only the first are returned.
            kept: whether to look at the records that are stored, or at those with digests alone.
        """
        query = f"SELECT text, number FROM records WHERE id BETWEEN ? AND ? AND record IS {_KEPT[kept]} LIMIT ?"  # noqa: S608  (no value)
        with self._db.use() as db:
            return dict(db.execute(query, (low, high, count + _ROWS)).fetchall())

    def find(self, keys: Sequence[str | bytes]) -> dict[str | bytes, KnownRecord]:
        """Return the records that are known of some ids."""
        found: dict[str | bytes, KnownRecord] = {}
        with self._db.use() as db:
            for begin in range(0, len(keys), _ROWS):
                part = keys[begin : begin + _ROWS]
                rows = db.execute(f"{_FIND} WHERE id IN ({','.join('?' * len(part))})", part)
                found.update((row[0], KnownRecord(*row)) for row in rows)
        return found

    def record(self, key: str | bytes) -> bytes | None:
        """Return the stored record of an id, compressed."""
        with self._db.use() as db:
            found = db.execute("SELECT record FROM records WHERE id = ?", (key,)).fetchone()
        return None if found is None else found[0]

    def put(self, records: Sequence[NewRecord]) -> None:
        """Add records, or replace what was known of them."""
        with self._db.use() as db:
            db.executemany(_ADD, records)

    def numbers(self) -> Iterator[list[tuple[str | bytes, int]]]:
        """Yield the ids and numbers of all records in batches; the records of a batch may be removed."""
        last: list[Any] = []
        while True:
            with self._db.use() as db:
                after = "WHERE id > ?" if last else ""
                query = f"SELECT id, number FROM records {after} ORDER BY id LIMIT 5000"  # noqa: S608  (as above)
                rows = db.execute(query, last).fetchall()
            if not rows:
                return
            yield rows
            last = [rows[-1][0]]

    def renumber(self) -> None:
        """Give the records new numbers, without gaps."""
        number = 0
        for rows in self.numbers():
            numbered = [(new, key) for new, (key, _) in enumerate(rows, number)]
            number += len(rows)
            with self._db.use() as db:
                db.executemany("UPDATE records SET number = ? WHERE id = ?", numbered)
        self.set("next_number", number)

    def remove(self, keys: Sequence[str | bytes]) -> None:
        """Remove records."""
        with self._db.use() as db:
            db.executemany("DELETE FROM records WHERE id = ?", [(key,) for key in keys])

    def restart(self) -> None:
        """Undo what this run did: the list must be read with another strategy."""
        with self._db.use() as db:
            db.execute("ROLLBACK TO run")

    def commit(self) -> None:
        """Commit this run.

        Raises:
            ExportError: the disk refuses; the state is unchanged.
        """
        with self._db.use() as db:
            db.execute("COMMIT")

    def commit_and_go_on(self) -> None:
        """Commit this run, and begin another transaction."""
        with self._db.use() as db:
            db.execute("COMMIT")
            db.execute("BEGIN IMMEDIATE")
            db.execute("SAVEPOINT run")

    def close(self) -> None:
        """Close the file; what was not committed is rolled back."""
        self._db.close()


def _explain(path: Path, error: sqlite3.Error, code: int) -> ExportError:
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return ExportError(f"{path}: another run is using it")
    if code in DAMAGED:
        return ExportError(f"{path} is damaged or not a state file of changes: delete it to begin again")
    return ExportError(f"{path}: {error}")
