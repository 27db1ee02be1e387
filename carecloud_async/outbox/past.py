"""Entries that have left the queue: keys of what was sent, for a day, and what is known of a lost answer.

The same call that is put again, such as by a gateway's second webhook, is the same entry, and needs no look-up, which a
list that is late would answer wrongly. A call that was dropped after a lost answer, and is put again, is still one that
may have been made. Keys and calls are kept as digests.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from attrs import frozen

from carecloud_async._base.runs import Database

__all__ = ["TABLES", "Past", "find", "forget", "remember"]

#: For how long they are kept (seconds).
_KEPT: Final = 24 * 3600.0

#: `tries` is 0 of what was sent.
TABLES: Final = (
    """CREATE TABLE past (
        once BLOB PRIMARY KEY, id INTEGER NOT NULL, call BLOB NOT NULL, at REAL NOT NULL, intent TEXT,
        tries INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
    "CREATE INDEX by_age ON past (at)",
)


@frozen
class Past:
    """An entry that has left the queue.

    Attributes:
        id: its number.
        is_same: whether it is the call that was asked for.
        intent: of one that was dropped: what was about to be sent.
        tries: how often the answer of such a one was lost; 0 if it was sent.
    """

    id: int
    is_same: bool
    intent: str | None
    tries: int


def find(db: Database, once: str, *, kind: str, body: bytes, now: float) -> Past | None:
    """Return the entry that had a key within the last day."""
    forget(db, now=now)
    query = "SELECT id, call = ?, intent, tries FROM past WHERE once = ?"
    rows = db.execute(query, (_digest(kind, body), _digest(once)))
    return Past(*rows[0]) if rows else None


def remember(db: Database, number: int, *, is_sent: bool, now: float) -> None:
    """Keep an entry that is to be deleted; of one that was not sent, what is known of a lost answer."""
    query = "SELECT once, kind, body, intent, tries FROM entries WHERE id = ?"
    for once, kind, body, intent, tries in db.execute(query, (number,)):
        if is_sent or (once and tries):
            lost = (None, 0) if is_sent else (intent, tries)
            # A change has no key: its number is kept, so that no other entry gets it.
            values = (_digest(once or f"change {number}"), number, _digest(kind, body), now, *lost)
            db.execute("INSERT OR REPLACE INTO past VALUES (?, ?, ?, ?, ?, ?)", values)


def forget(db: Database, *, now: float) -> None:
    """Delete what is older than a day."""
    db.execute("DELETE FROM past WHERE at < ?", (now - _KEPT,))


def _digest(*values: str | bytes) -> bytes:
    texts = [value.encode() if isinstance(value, str) else value for value in values]
    return blake2b(b"\0".join(texts), digest_size=16).digest()
