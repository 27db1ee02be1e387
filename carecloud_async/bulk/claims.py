"""Keys that this user's runs on this machine are writing: two runs never write one key at a time.

A run claims a key before it looks the key up, and releases it when the outcome of the write is known. The claim of a
write whose outcome is not known stays behind when its run ends, is killed, or gives the row back to its caller. Another
run may take it over when the settle time has passed, since no request of the first run can take effect any more.

Keys are kept as digests in one private SQLite file. A run is alive while it holds the lock of one of a few files that
are never removed, each of which serves one run after another. Times are of the machine's monotonic clock, which all
processes share: it does not step, and begins at zero when the machine starts. A time ahead of it is from before the
start, and counts as now.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
from collections.abc import Collection, Iterable
from itertools import count
from typing import Final, Self

from attrs import frozen

from carecloud_async._base.runs.locked_file import LockedFile
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.durable_files import claim_folder
from carecloud_async._base.runtime.sqlite_files import open_database, transaction
from carecloud_async._base.runtime.user_folders import state_folder
from carecloud_async.bulk.errors import BulkWriteError

__all__ = ["Claimed", "Claims"]

#: For how long a claim that was left behind is kept (seconds): longer than any settle time.
_KEPT: Final = 24 * 3600.0

#: `claims.left_at` is when the outcome of a write was given up, and `settle` for how long its request may take effect;
#: `left_at` is null while a run works on it. `owners` has the latest run of each lock file.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS claims (
    key BLOB PRIMARY KEY, owner INTEGER NOT NULL, settle REAL NOT NULL, left_at REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_owner ON claims (owner);
CREATE TABLE IF NOT EXISTS owners (owner INTEGER PRIMARY KEY AUTOINCREMENT, slot INTEGER NOT NULL);
"""


@frozen(kw_only=True)
class Claimed:
    """The outcome of claiming keys; those that are not `busy` are claimed.

    Attributes:
        busy: keys that another run is writing, or left behind a moment ago.
        new: keys that this run did not have before.
    """

    busy: frozenset[str] = frozenset()
    new: frozenset[str] = frozenset()


class Claims:
    """The claims of one run. Every method blocks; several threads may call them.

    Args:
        project: the project whose keys are claimed.
        clock: the clock.
        settle_seconds: how long a request may take effect after its answer was lost.

    Attributes:
        owner: the number of this run, once it has begun.
    """

    def __init__(self, *, project: str, clock: Clock, settle_seconds: float) -> None:
        self.owner: int = 0
        self._project = project
        self._clock = clock
        self._settle_seconds = settle_seconds
        self._folder = state_folder()
        self._lock: LockedFile | None = None
        self._database: sqlite3.Connection | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            claim_folder(self._folder)
            self._database = open_database(self._folder / "claims.db", timeout=30)
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_SCHEMA)
            self._begin()
        except (OSError, sqlite3.Error) as error:
            self.__exit__()
            raise BulkWriteError(
                f"{self._folder}: the claims of bulk writes cannot be used ({type(error).__name__}): set "
                "XDG_STATE_HOME to a folder of your own that can be written to"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        """End the run: the claims that it still has are of writes whose outcome is not known."""
        database, self._database = self._database, None
        lock, self._lock = self._lock, None
        try:
            if database is not None:
                with contextlib.closing(database), contextlib.suppress(sqlite3.Error), transaction(database):
                    self._end_owner(database, self.owner)
        finally:
            if lock is not None:
                lock.close()

    def claim(self, keys: Collection[str]) -> Claimed:
        """Claim keys.

        Args:
            keys: the keys.
        """
        digests = {self._digest(key): key for key in keys}
        busy, new = set[str](), set[str]()
        query = "SELECT owner, settle, left_at FROM claims WHERE key = ?"
        with self._turn, transaction(self._db):
            for digest, key in digests.items():
                found = self._db.execute(query, (digest,)).fetchone()
                if found is not None and self._is_busy(digest, *found):
                    busy.add(key)
                elif found is None or found[0] != self.owner or found[2] is not None:
                    new.add(key)
                    values = (digest, self.owner, self._settle_seconds)
                    self._db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, NULL)", values)
        return Claimed(busy=frozenset(busy), new=frozenset(new))

    def release(self, keys: Iterable[str]) -> None:
        """Release keys whose writes have their outcome, or were not sent."""
        rows = [(self._digest(key), self.owner) for key in keys]
        with self._turn, transaction(self._db):
            self._db.executemany("DELETE FROM claims WHERE key = ? AND owner = ?", rows)

    def leave(self, keys: Iterable[str]) -> None:
        """Leave keys behind whose writes may still take effect, and which this run will not look up any more."""
        now = self._clock.monotonic()
        rows = [(now, self._digest(key), self.owner) for key in keys]
        with self._turn, transaction(self._db):
            self._db.executemany("UPDATE claims SET left_at = ? WHERE key = ? AND owner = ?", rows)

    def release_all(self) -> None:
        """Release all keys of this run: each of its writes has its outcome."""
        with self._turn, transaction(self._db):
            self._db.execute("DELETE FROM claims WHERE owner = ?", (self.owner,))

    def keep_only(self, keys: Collection[str]) -> None:
        """Release all keys of this run but these."""
        kept = {self._digest(key) for key in keys}
        with self._turn, transaction(self._db):
            own = self._db.execute("SELECT key FROM claims WHERE owner = ?", (self.owner,)).fetchall()
            self._db.executemany("DELETE FROM claims WHERE key = ?", [one for one in own if one[0] not in kept])

    def adopt(self, owner: int) -> None:
        """Take over the claims of the run that this one continues: its journal knows what was sent."""
        with self._turn, transaction(self._db):
            self._db.execute("UPDATE claims SET owner = ?, left_at = NULL WHERE owner = ?", (self.owner, owner))
            self._db.execute("DELETE FROM owners WHERE owner = ?", (owner,))

    def _begin(self) -> None:
        """Take a lock file, whose earlier runs have ended."""
        slot, self._lock = next((slot, lock) for slot in count() if (lock := self._lock_slot(slot)) is not None)
        with transaction(self._db):
            for (owner,) in self._db.execute("SELECT owner FROM owners WHERE slot = ?", (slot,)).fetchall():
                self._end_owner(self._db, owner)
            self.owner = self._db.execute("INSERT INTO owners (slot) VALUES (?)", (slot,)).lastrowid or 0
            now = self._clock.monotonic()
            self._db.execute("UPDATE claims SET left_at = ? WHERE left_at > ?", (now, now))
            self._db.execute("DELETE FROM claims WHERE left_at < ?", (now - _KEPT,))

    def _is_busy(self, digest: bytes, owner: int, settle: float, left_at: float | None) -> bool:
        """Return whether another run writes a key, or a request of one that left it may still take effect."""
        if left_at is None:
            if owner == self.owner:
                return False
            if self._is_alive(owner):
                return True
            left_at = self._clock.monotonic()
        now = self._clock.monotonic()
        if left_at > now:
            self._db.execute("UPDATE claims SET left_at = ? WHERE key = ?", (now, digest))
            left_at = now
        return now < left_at + settle

    def _is_alive(self, owner: int) -> bool:
        """Return whether a run has not ended; if it has, and that was not noted yet, note it."""
        found = self._db.execute("SELECT slot FROM owners WHERE owner = ?", (owner,)).fetchone()
        lock = None if found is None else self._lock_slot(found[0])
        if found is not None and lock is None:
            return True
        if lock is not None:
            lock.close()
        self._end_owner(self._db, owner)
        return False

    def _end_owner(self, database: sqlite3.Connection, owner: int) -> None:
        now = self._clock.monotonic()  # its last request left before
        database.execute("UPDATE claims SET left_at = ? WHERE owner = ? AND left_at IS NULL", (now, owner))
        database.execute("DELETE FROM owners WHERE owner = ?", (owner,))

    def _lock_slot(self, slot: int) -> LockedFile | None:
        """Lock the file of a slot; return `None` if a run has it."""
        try:
            return LockedFile(self._folder / f"run-{slot}.lock")
        except BlockingIOError:
            return None

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._database is not None  # noqa: S101  (entered first)
        return self._database

    def _digest(self, key: str) -> bytes:
        return hashlib.sha256(f"{self._project}\0{key}".encode("utf-8", "surrogatepass")).digest()[:16]
