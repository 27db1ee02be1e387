"""Keys and records that this user's runs on this machine are writing: two runs never write the same one at once.

A run claims a key before it looks the key up, and releases it when the outcome of the write is known. The claim of a
write whose outcome is not known stays behind when its run ends, is killed, or gives the row back to its caller. Another
run may take it over when the settle time has passed, since no request of the first run can take effect any more.

Two keys may lead to one record, such as an e-mail address and a card. So the record that a look-up found is claimed
too, before it is changed. Another run may have written it between that look-up and the claim: the time
at which a record is released is kept for a minute, and a record that was read before then is read again.

Keys are kept as digests in one private SQLite file. A run is alive while it holds the lock of one of a few files that
are never removed, each of which serves one run after another. Times are of the machine's monotonic clock, which all
processes share: it does not step, and begins again with each boot. So the file holds a digest of the boot, and times of
another one, perhaps of another host, count as now. Where the system does not tell one boot from another, times after
now do so.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import secrets
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Mapping
from itertools import count
from typing import Final, Self

from attrs import field, frozen

from carecloud_async._base.runs import FULL, Database, sqlite_code
from carecloud_async._base.runs.locked_file import LockedFile
from carecloud_async._base.runtime.clock import Clock, boot_id
from carecloud_async._base.runtime.durable_files import claim_folder, state_folder
from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.machine import SHOWN_SECONDS

#: The number is the version of the layout: releases of this package with another layout use another file.
_FILE: Final = "claims-2.db"
#: For how long a claim that was left behind is kept (seconds): longer than any settle time.
_KEPT: Final = 24 * 3600.0
#: How long the time is kept at which what was written was let go (seconds): longer than a base may wait to be written,
#: and as long as a look-up may not show a new record.
_REMEMBERED: Final = SHOWN_SECONDS
_DOUBTED, _MADE = 1, 2
#: The owner of claims that no run will continue.
_NOBODY: Final = 0
#: How long to wait for another process that claims or releases (seconds).
_BUSY: Final = 120.0

#: `claims.left_at` is when the outcome of a write was given up, and `settle` for how long its request may take effect;
#: `left_at` is null while a run works on it, and `doubted` is 1 if an earlier run left it behind. What was written and
#: let go has a `settle` of 0; `doubted` is 2 of the key of a record that was made. `owners` has the latest run of each
#: lock file.
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS claims (
        key BLOB PRIMARY KEY, owner INTEGER NOT NULL, settle REAL NOT NULL, left_at REAL,
        doubted INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS by_owner ON claims (owner)",
    "CREATE INDEX IF NOT EXISTS by_end ON claims (left_at) WHERE settle = 0",
    "CREATE TABLE IF NOT EXISTS owners (owner INTEGER PRIMARY KEY AUTOINCREMENT, slot INTEGER NOT NULL)",
)


@frozen(kw_only=True)
class Claimed:
    """The outcome of claiming keys; those that are not `busy` are claimed.

    Attributes:
        busy: keys that another run is writing, or left behind a moment ago.
        doubted: keys that another run left behind, and whose outcome no run has determined since.
        made: keys whose record was created in the last minute.
        free_since: of those that were left behind or let go: since when nothing can write them any more, on the
            monotonic clock.
    """

    busy: frozenset[str] = frozenset()
    doubted: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    free_since: Mapping[str, float] = field(factory=dict)


class Claims:
    """The claims of one run. Every method blocks; several threads may call them.

    Args:
        project: the project whose keys are claimed.
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
        self._database: Database | None = None

    def __enter__(self) -> Self:
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            claim_folder(self._folder)
            # SQLite makes the file, in a private folder: if the process opened it itself too, closing that descriptor
            # would drop the locks of all its connections (POSIX).
            self._database = db = Database(self._folder / _FILE, explain=self._explain, timeout=_BUSY)
            db.write_ahead()
            db.execute("PRAGMA synchronous=FULL")
            for statement in _SCHEMA:
                db.execute(statement)
            self._begin()
        except BaseException as error:
            self.__exit__()
            if isinstance(error, OSError):
                raise self._explain(error) from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the run: the claims that it still has are of writes whose outcome is not known."""
        database, self._database = self._database, None
        lock, self._lock = self._lock, None
        try:
            if database is not None:
                with contextlib.closing(database), contextlib.suppress(BulkWriteError), database.transaction():
                    self._end_owner(database, self.owner)
        finally:
            if lock is not None:
                lock.close()

    def claim(self, keys: Collection[str]) -> Claimed:
        """Claim keys."""
        busy, new, doubted, made = set[str](), set[str](), set[str](), set[str]()
        free_since: dict[str, float] = {}
        find = "SELECT owner, settle, left_at, doubted FROM claims WHERE key = ?"
        take = "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, NULL, ?)"
        with self._db.transaction():
            for key in keys:
                digest, since, is_doubted = self._digest(key), 0.0, False
                for owner, settle, left_at, was_doubted in self._db.execute(find, (digest,)):
                    free_since[key] = since = self._free_since(digest, owner, settle, left_at)
                    is_doubted = settle > 0 and since >= 0.0
                    made.update([key] if was_doubted == _MADE else ())
                if since > self._clock.monotonic():
                    busy.add(key)
                    continue
                if is_doubted:
                    doubted.add(key)
                if since >= 0.0:
                    new.add(key)
                    doubt = _DOUBTED if is_doubted else _MADE * (key in made)
                    self._db.execute(take, (digest, self.owner, self._settle_seconds, doubt))
        return Claimed(
            busy=frozenset(busy),
            doubted=frozenset(doubted),
            made=frozenset(made & new),
            free_since={key: since for key, since in free_since.items() if key in new},
        )

    def held(self, keys: Iterable[str]) -> frozenset[str]:
        """Return those of some keys that this run has."""
        find = "SELECT 1 FROM claims WHERE key = ? AND owner = ? AND settle > 0"
        return frozenset(key for key in keys if self._db.execute(find, (self._digest(key), self.owner)))

    def release(self, keys: Iterable[str], *, records: Iterable[str] = (), made: Iterable[str] = ()) -> None:
        """Release keys whose writes have their outcome, or were not sent.

        Args:
            records: records of such writes; the time at which they were let go is kept.
            made: keys whose record was created; that time is kept too.
        """
        now = self._clock.monotonic()
        let_go = [(now, 0, self._digest(record), self.owner) for record in records]
        let_go += [(now, _MADE, self._digest(key), self.owner) for key in made]
        of_keys = [(self._digest(key), self.owner) for key in keys]
        with self._db.transaction():
            self._db.execute_many("DELETE FROM claims WHERE key = ? AND owner = ?", of_keys)
            if let_go:
                update = "UPDATE claims SET settle = 0, left_at = ?, doubted = ? WHERE key = ? AND owner = ?"
                self._db.execute_many(update, let_go)
                self._db.execute("DELETE FROM claims WHERE settle = 0 AND left_at < ?", (now - _REMEMBERED,))

    def leave(self, keys: Iterable[str]) -> None:
        """Leave keys behind whose writes may still take effect; the run that continues this one adopts them."""
        self._leave(keys, owner=self.owner, left_at=self._clock.monotonic())

    def abandon(self, keys: Iterable[str], *, settled: bool = False) -> None:
        """Leave keys behind that no run will look up any more; the run that claims them next learns of it.

        Args:
            keys: the keys to leave behind.
            settled: whether their requests can take no effect any more.
        """
        left_at = self._clock.monotonic() - (self._settle_seconds if settled else 0.0)
        self._leave(keys, owner=_NOBODY, left_at=left_at)

    def _leave(self, keys: Iterable[str], *, owner: int, left_at: float) -> None:
        rows = [(owner, left_at, self._digest(key), self.owner) for key in keys]
        with self._db.transaction():
            self._db.execute_many("UPDATE claims SET owner = ?, left_at = ? WHERE key = ? AND owner = ?", rows)

    def release_all(self) -> None:
        """Release all keys of this run, whose writes have their outcome; those that an earlier run left stay left."""
        self.keep_only(())

    def keep_only(self, keys: Collection[str], *, made: Iterable[str] = ()) -> None:
        """Release all keys of this run but these; those that an earlier run left behind are left behind again.

        None may stay with a run that is not working on it: another run would wait for it, perhaps with a key that this
        one waits for. The time is kept, as one of them may be a record that an earlier run wrote before it was stopped.

        Args:
            keys: the keys to keep.
            made: keys whose records an earlier run made, perhaps a moment ago.
        """
        kept = {self._digest(key) for key in keys}
        now = self._clock.monotonic()
        with self._db.transaction():
            find = "SELECT key, doubted FROM claims WHERE owner = ? AND settle > 0"
            others = [row for row in self._db.execute(find, (self.owner,)) if row[0] not in kept]
            left = [(_NOBODY, now - self._settle_seconds, key) for key, doubted in others if doubted == _DOUBTED]
            let_go = [(now, key) for key, doubted in others if doubted != _DOUBTED]
            self._db.execute_many("UPDATE claims SET owner = ?, left_at = ? WHERE key = ?", left)
            self._db.execute_many("UPDATE claims SET settle = 0, left_at = ? WHERE key = ?", let_go)
            is_made = "UPDATE claims SET doubted = ? WHERE key = ? AND owner = ? AND settle = 0"
            self._db.execute_many(is_made, [(_MADE, self._digest(key), self.owner) for key in made])

    def adopt(self, owner: int) -> None:
        """Take over the claims of the run that this one continues: its journal knows what was sent.

        Those of a run that has not ended stay its own: this one has a copy of its journal.
        """
        with self._db.transaction():
            if self._is_alive(owner):
                return
            adopt = "UPDATE claims SET owner = ?, left_at = NULL WHERE owner = ? AND settle > 0"
            self._db.execute(adopt, (self.owner, owner))
            self._db.execute("DELETE FROM owners WHERE owner = ?", (owner,))

    def _begin(self) -> None:
        """Take a lock file, whose earlier runs have ended."""
        slot, self._lock = next((slot, lock) for slot in count() if (lock := self._lock_slot(slot)) is not None)
        with self._db.transaction():
            for (owner,) in self._db.execute("SELECT owner FROM owners WHERE slot = ?", (slot,)):
                self._end_owner(self._db, owner)
            # At random: journals remember numbers, and may outlive this file.
            self.owner = 1 + int.from_bytes(secrets.token_bytes(7), "big")
            self._db.execute("INSERT INTO owners VALUES (?, ?)", (self.owner, slot))
            self._begin_again_after_boot()
            self._db.execute("DELETE FROM claims WHERE left_at < ?", (self._clock.monotonic() - _KEPT,))

    def _begin_again_after_boot(self) -> None:
        """Count what was left behind in another boot as left now."""
        boot = boot_id()
        number = 0 if boot is None else zlib.crc32(boot.encode()) & 0x7FFFFFFF
        if number != self._db.execute("PRAGMA user_version")[0][0]:
            self._db.execute("UPDATE claims SET left_at = ? WHERE left_at NOTNULL", (self._clock.monotonic(),))
            self._db.execute(f"PRAGMA user_version={number}")

    def _free_since(self, digest: bytes, owner: int, settle: float, left_at: float | None) -> float:
        """Return until when requests about a claimed key may take effect; less than 0 if this run has the key."""
        now = self._clock.monotonic()
        if left_at is None and owner == self.owner:
            return -1.0
        if left_at is None:
            left_at = math.inf if self._is_alive(owner) else now
        elif left_at > now:
            left_at = now
            self._db.execute("UPDATE claims SET left_at = ? WHERE key = ?", (now, digest))
        return left_at + settle

    def _is_alive(self, owner: int) -> bool:
        """Return whether a run has not ended; if it has, and that was not noted yet, note it."""
        slots = self._db.execute("SELECT slot FROM owners WHERE owner = ?", (owner,))
        lock = self._lock_slot(slots[0][0]) if slots else None
        if slots and lock is None:
            return True
        if lock is not None:
            lock.close()
        self._end_owner(self._db, owner)
        return False

    def _end_owner(self, database: Database, owner: int) -> None:
        now = self._clock.monotonic()  # its last request left before
        database.execute("UPDATE claims SET left_at = ? WHERE owner = ? AND left_at IS NULL", (now, owner))
        database.execute("DELETE FROM owners WHERE owner = ?", (owner,))

    def _lock_slot(self, slot: int) -> LockedFile | None:
        """Lock the file of a slot; return `None` if a run has it."""
        try:
            return LockedFile(self._folder / f"run-{slot}.lock")
        except BlockingIOError:
            return None

    def _explain(self, error: OSError | sqlite3.Error) -> BulkWriteError:
        if sqlite_code(error) == sqlite3.SQLITE_BUSY:
            problem = f"another program has kept them locked for {_BUSY:g} s: end it, or let it go on if it is stopped"
        elif sqlite_code(error) == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) in FULL:
            problem = "the disk is full: free some space and go on"
        else:
            problem = f"{type(error).__name__}: set XDG_STATE_HOME to a folder of your own that can be written to"
        return BulkWriteError(f"{self._folder}: the claims of bulk writes cannot be used: {problem}")

    @property
    def _db(self) -> Database:
        assert self._database is not None  # noqa: S101  (entered first)
        return self._database

    def _digest(self, key: str) -> bytes:
        return hashlib.sha256(f"{self._project}\0{key}".encode("utf-8", "surrogatepass")).digest()[:16]
