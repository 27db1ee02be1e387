"""The tables of a bulk write's journal, and the values that it makes of their rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final

import attrs

from carecloud_async._base.runs import RunKind, sqlite_code
from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.journal import PROGRESS
from carecloud_async.bulk.machine import State
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.errors import CareCloudError
from carecloud_async.fixes import OTHER_JOURNAL, REMOVE_JOURNAL, RESUME

__all__ = [
    "BLOCKED",
    "KIND",
    "REFUSE_TORN",
    "TABLES",
    "WRITTEN",
    "repeated",
    "result_of",
    "unique_value",
    "with_part",
]

#: `row` is the number of the row, which is also the `id` of its record. `part` is 0 of a record; the parts of a row are
#: written in its order, those of one number at once, and `due` is -1 of one that waits for others. Of a record that is
#: written, `parts` counts those that have no outcome yet; `outcome`, `changed` and `reasons` are those of its row until
#: now. `base` is a record that the whole list has, and `listed` how many have its key.
TABLES: Final = (
    f"""CREATE TABLE writes (
        id INTEGER PRIMARY KEY, row INTEGER NOT NULL, part INTEGER NOT NULL DEFAULT 0, kind TEXT NOT NULL,
        line INTEGER, source BLOB, key TEXT, body BLOB, base BLOB, listed INTEGER NOT NULL DEFAULT 0, {PROGRESS},
        parts INTEGER NOT NULL DEFAULT 0, outcome TEXT, record_id TEXT, changed TEXT, reasons TEXT
    )""",
    "CREATE UNIQUE INDEX by_key ON writes (key) WHERE key IS NOT NULL",
    "CREATE INDEX by_turn ON writes (id) WHERE state = 0 AND due = 0",
    "CREATE INDEX by_due ON writes (due) WHERE due > 0",
    "CREATE INDEX by_row ON writes (row) WHERE part > 0",
    "CREATE TABLE seen (value BLOB PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID",
)

#: `due` of a part whose row has earlier parts to be written.
BLOCKED: Final = -1
#: Outcomes after which a record has what its row says.
WRITTEN: Final = frozenset({Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED})

_NOT_WRITTEN: Final = "this part of the row was not written"
_NOT_KNOWN: Final = "whether this part of the row was written is not known"

#: Refuses a row whose lines do not stand together: it would be written without the later ones. The key stays, so that
#: the next of its lines are refused too.
REFUSE_TORN: Final = (
    f"UPDATE writes SET state = {int(State.ENDED)}, body = NULL, outcome = 'refused', reasons = ? "  # noqa: S608
    f"WHERE key = ? AND state = {int(State.WAITING)}"
)


class _JournalKind(RunKind):
    """The kind of run file that a journal is."""

    def not_ours(self, path: Path | str) -> CareCloudError:
        """See `RunKind.not_ours`."""
        return self.error(
            f"{path} is not a journal of this version of carecloud-async. If an earlier version began a run there, "
            "finish it with that version, or remove the file: rows that were written are found by their keys. "
            "Otherwise name another file"
        )

    def of_sqlite(self, path: Path | str, error: sqlite3.Error) -> CareCloudError:
        """See `RunKind.of_sqlite`."""
        if sqlite_code(error) == sqlite3.SQLITE_IOERR:
            return self.error(f"{path}: {error}: nothing is lost", fix=self.full)
        return super().of_sqlite(path, error)


KIND: Final = _JournalKind(
    name="bulk write",
    file="a journal of a bulk write",
    each="source",
    own="a journal",
    version=6,
    tables=TABLES,
    error=BulkWriteError,
    begin_again=REMOVE_JOURNAL,
    unwritable=OTHER_JOURNAL,
    full=RESUME,
)


def repeated(unique: Mapping[str, str | bytes | None], lines: Mapping[str | bytes, int]) -> tuple[str, ...]:
    """Say which earlier line has the key of a row, or one of its parts, by their columns."""
    for name, value in unique.items():
        if value is not None and value in lines:
            return (f"{name}: repeats line {lines[value]}",)
    return ()


def unique_value(name: str, value: str) -> bytes:
    """Return a digest of a key, or of a part that only one row can have."""
    return blake2b(f"{name}\0{value}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def result_of(outcome: str, record_id: str | None, changed: str | None, reasons: str | None) -> RowResult:
    """Return an outcome from its columns."""
    return RowResult(
        outcome=Outcome(outcome),
        record_id=record_id,
        changed_fields=tuple(json.loads(changed)) if changed else (),
        reasons=tuple(json.loads(reasons)) if reasons else (),
    )


def with_part(row: RowResult, part: RowResult) -> RowResult:
    """Return the outcome of a row after one of its parts has ended."""
    if part.outcome is Outcome.UNCHANGED:
        return row
    if part.outcome in WRITTEN:
        outcome = Outcome.UPDATED if row.outcome is Outcome.UNCHANGED else row.outcome
        return attrs.evolve(row, outcome=outcome, changed_fields=(*row.changed_fields, *part.changed_fields))
    reasons = part.reasons
    if row.outcome is Outcome.CREATED:
        is_known = part.outcome is not Outcome.UNKNOWN
        reasons = (*reasons, f"the record was created; {_NOT_WRITTEN if is_known else _NOT_KNOWN}")
    return attrs.evolve(row, outcome=part.outcome, reasons=(*row.reasons, *reasons))
