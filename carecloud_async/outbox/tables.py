"""The tables of an outbox, and the kind of run file that it is."""

from __future__ import annotations

from typing import Final

from carecloud_async._base.runs import RunKind
from carecloud_async.bulk.journal import PROGRESS
from carecloud_async.bulk.machine import State
from carecloud_async.fixes import OUTBOX_DAMAGED, OUTBOX_FULL
from carecloud_async.outbox import past
from carecloud_async.outbox.errors import OutboxError

__all__ = ["KIND"]

#: `once` is what no other entry may have: the key of something that is made. `ready` is 1 for one entry of a
#: lane. Entries that ended well are deleted; those that failed stay, with `outcome` and `reasons`.
_TABLES: Final = (
    f"""CREATE TABLE entries (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, once TEXT, lane TEXT NOT NULL,
        label TEXT NOT NULL, put_at REAL NOT NULL, body BLOB NOT NULL, ready INTEGER NOT NULL, {PROGRESS},
        outcome TEXT, reasons TEXT
    )""",
    "CREATE UNIQUE INDEX by_once ON entries (once) WHERE once IS NOT NULL",
    f"CREATE INDEX by_lane ON entries (lane, id) WHERE state < {State.ENDED}",
    "CREATE INDEX by_ready ON entries (kind, id) WHERE ready = 1",
    f"CREATE INDEX by_failure ON entries (id) WHERE state = {State.ENDED}",
    *past.TABLES,
)

KIND: Final = RunKind(
    name="outbox",
    file="an outbox",
    each="project",
    own="a file",
    # It rises with each change of what a file holds: the tables, and the texts of intents and bodies.
    version=4,
    tables=_TABLES,
    error=OutboxError,
    begin_again=OUTBOX_DAMAGED,
    full=OUTBOX_FULL,
    work="program",
)
