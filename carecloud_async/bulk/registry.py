"""Keys that runs on this machine are writing: no key is created by two of them, and none twice after a kill.

A run claims the key of a record before it creates the record. If the run is killed, the claim stays: the next run, of
whatever file, waits until a request that may still be on its way has taken effect, and then looks the key up again.
Keys are kept as digests in one private SQLite file.

The time of day may be set, so nothing here depends on it. The order of writes is known from a counter. How long ago a
run ended is known from the machine's monotonic clock, which all processes share. It begins at zero when the machine
starts: a time ahead of it is from before the start, and counts as now.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias

import filelock
from attrs import frozen

from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.family import BulkTarget
from carecloud_async.runtime.clock import Clock
from carecloud_async.runtime.durable_files import PRIVATE, claim_folder
from carecloud_async.runtime.sqlite_files import open_database, transaction

__all__ = ["Claims", "WriteRegistry", "registry_folder", "registry_of"]

#: For how long a finished claim is kept (seconds): no run reads a list for longer before it writes.
_KEPT: Final = 24 * 3600.0

#: `claims.at` is when a key was claimed, its run was seen to have ended, or its record was written; `claims.writes` is
#: the counter of writes then.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS claims (
    key BLOB PRIMARY KEY, owner TEXT NOT NULL, at REAL NOT NULL, is_done INTEGER NOT NULL, writes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS total (writes INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT * FROM total);
"""


_RunState: TypeAlias = Literal["alive", "just ended", "ended"]


def registry_folder() -> Path:
    """Return the folder of this user's registries."""
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA", Path.home()))
    else:
        root = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return root / "carecloud-async"


def registry_of(target: BulkTarget, match: str | None) -> WriteRegistry:
    """Return the registry of writes to a family by a key."""
    return WriteRegistry(
        registry_folder(),
        scope=f"{target.scope['project']} {target.scope['family']} {match}",
        clock=target.clock,
        settle_seconds=target.settle_seconds,
    )


@frozen(kw_only=True)
class Claims:
    """The outcome of claiming keys; those that are not `busy` are claimed.

    Attributes:
        outdated: claimed keys that another run wrote, or may have written, since they were looked up: look them up
            again before creating.
        busy: keys that another run is writing, or that a killed one may have written just now.
    """

    outdated: frozenset[str]
    busy: frozenset[str]


class WriteRegistry:
    """The claims of one run. Every method blocks.

    Args:
        folder: the folder of the registry.
        scope: what keys belong to: project and family.
        clock: the clock.
        settle_seconds: how long a request of a killed run may still be on its way.
    """

    def __init__(self, folder: Path, *, scope: str, clock: Clock, settle_seconds: float) -> None:
        self._folder = folder
        self._scope = scope
        self._clock = clock
        self._settle_seconds = settle_seconds
        self._owner = secrets.token_hex(8)
        self._lock = filelock.FileLock(self._owner_file(self._owner), timeout=0, mode=PRIVATE, thread_local=False)
        self._database: sqlite3.Connection | None = None
        #: The groups of a `BulkWriter` use one registry.
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            claim_folder(self._folder)
            self._lock.acquire()
            self._database = open_database(self._folder / "keys.db", timeout=30)
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_SCHEMA)
            now = self._clock.monotonic()
            self._database.execute("DELETE FROM claims WHERE is_done AND (at < ? OR at > ?)", (now - _KEPT, now))
            self._notice_dead_runs()
        except (OSError, sqlite3.Error) as error:
            self.__exit__()
            raise BulkWriteError(
                f"{self._folder}: the registry of bulk writes cannot be used ({type(error).__name__}): set "
                "XDG_STATE_HOME to a folder of your own that can be written to"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        database, self._database = self._database, None
        try:
            if database is not None:
                with contextlib.closing(database), contextlib.suppress(sqlite3.Error):
                    self._end_claims(database, self._owner)
        finally:
            self._lock.release()
            self._owner_file(self._owner).unlink(missing_ok=True)

    def count_writes(self) -> int:
        """Return how many times runs have noted that they wrote keys: ask before records are looked up."""
        with self._turn:
            return int(self._db.execute("SELECT writes FROM total").fetchone()[0])

    def claim(self, keys: Sequence[str], *, writes_before: int) -> Claims:
        """Claim keys that are about to be created.

        Args:
            keys: the keys.
            writes_before: what `count_writes` returned before this run looked them up.
        """
        outdated, busy = set(), set()
        database, now = self._db, self._clock.monotonic()
        states: dict[str, _RunState] = {}
        with self._turn, transaction(database):
            for key in keys:
                digest = self._digest(key)
                query = "SELECT owner, at, is_done, writes FROM claims WHERE key = ? AND owner <> ?"
                found = database.execute(query, (digest, self._owner)).fetchone()
                if found is not None:
                    owner, at, is_done, writes = found
                    if not is_done and self._may_write(owner, states, at=at, now=now):
                        busy.add(key)
                        continue
                    if not is_done or writes > writes_before:
                        outdated.add(key)
                database.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, 0, 0)", (digest, self._owner, now))
        for owner, state in states.items():
            if state == "just ended":
                self._owner_file(owner).unlink(missing_ok=True)
        return Claims(outdated=frozenset(outdated), busy=frozenset(busy))

    def _may_write(self, owner: str, states: dict[str, _RunState], *, at: float, now: float) -> bool:
        """Return whether a request of another run, which claimed its key at a time, may still take effect."""
        if owner not in states:
            states[owner] = self._state_of(owner, is_from_other_boot=at > now)
        return states[owner] != "ended" or now < at + self._settle_seconds

    def _state_of(self, owner: str, *, is_from_other_boot: bool) -> _RunState:
        """Return the state of another run; if its end was not noted yet, note it.

        Args:
            owner: the run.
            is_from_other_boot: whether it claimed its keys before the machine started.
        """
        if self._is_alive(owner):
            return "alive"
        if not is_from_other_boot and not self._owner_file(owner).exists():
            return "ended"
        self._end_claims(self._db, owner)
        return "just ended"

    def release(self, keys: Iterable[str], *, written: bool) -> None:
        """Release claimed keys.

        Args:
            keys: the keys.
            written: whether a record may have been made: other runs then look keys up before they create them.
        """
        rows = [(self._digest(key), self._owner) for key in keys]
        with self._turn, transaction(self._db):
            if not written:
                self._db.executemany("DELETE FROM claims WHERE key = ? AND owner = ?", rows)
                return
            self._db.execute("UPDATE total SET writes = writes + 1")
            self._db.executemany(
                "UPDATE claims SET is_done = 1, at = ?, writes = (SELECT writes FROM total) "
                "WHERE key = ? AND owner = ?",
                [(self._clock.monotonic(), *one) for one in rows],
            )

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._database is not None  # noqa: S101  (entered first)
        return self._database

    def _digest(self, key: str) -> bytes:
        return hashlib.sha256(f"{self._scope}\0{key}".encode("utf-8", "surrogatepass")).digest()[:16]

    def _owner_file(self, owner: str) -> Path:
        return self._folder / f"run-{owner}.lock"

    def _is_alive(self, owner: str) -> bool:
        path = self._owner_file(owner)
        if not path.exists():
            return False
        lock = filelock.FileLock(path, timeout=0, mode=PRIVATE, thread_local=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            return True
        lock.release()
        return False

    def _notice_dead_runs(self) -> None:
        """Let the settle time of runs that were killed begin now: their last request left before."""
        for path in self._folder.glob("run-*.lock"):
            owner = path.name.removeprefix("run-").removesuffix(".lock")
            if owner != self._owner and not self._is_alive(owner):
                self._end_claims(self._db, owner)
                path.unlink(missing_ok=True)

    def _end_claims(self, database: sqlite3.Connection, owner: str) -> None:
        """Note that a run has ended by now. A request may have left long after its key was claimed."""
        database.execute("UPDATE claims SET at = ? WHERE owner = ? AND NOT is_done", (self._clock.monotonic(), owner))
