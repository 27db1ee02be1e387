"""`Ledger`: the rows of the source with their verdicts, and the records without a row, in a temporary SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from carecloud_async._lists.listings.compare_report import Verdict
from carecloud_async.bulk.results import lines_in
from carecloud_async.bulk.rows import LoadedRow
from carecloud_async.bulk.sources.source import to_json
from carecloud_async.comparisons.temporary import database_errors

__all__ = ["Compare", "Ledger", "Listed"]

#: A record of the list: its id, its key in the form in which keys are compared (`None` if it has none), and itself.
Listed = tuple[str | None, str | None, Any]
#: Compares a record with the fields of a row that has its key, first those that the SDK knows, and returns the fields
#: that differ.
Compare = Callable[[Any, Mapping[str, Any], Mapping[str, Any]], Sequence[str]]

#: `rows.checked` is JSON: the fields that a row names, known and unknown ones, or why it cannot be read.
#: `rows.found` counts the records that have a row's key; `strangers` are records whose key no row has.
_SCHEMA: Final = """
CREATE TABLE rows (
    number INTEGER PRIMARY KEY, line INTEGER NOT NULL, key TEXT, source BLOB NOT NULL, checked BLOB NOT NULL,
    found INTEGER NOT NULL DEFAULT 0, record_id TEXT, fields TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE strangers (record_id TEXT, key TEXT NOT NULL);
"""
_INDEX: Final = "CREATE INDEX by_key ON rows (key)"

#: The verdict on a row, by how many rows and records have its key.
_VERDICT: Final = """
CASE WHEN rows.key IS NULL THEN 'unreadable'
     WHEN rows.found > 1 OR (SELECT count(*) FROM rows AS others WHERE others.key = rows.key) > 1 THEN 'twice'
     WHEN rows.found = 0 THEN 'missing_there'
     WHEN rows.fields = '[]' THEN 'same' ELSE 'different' END
"""


class Ledger:
    """Rows and records as they are compared. Every method blocks.

    Args:
        path: the file, in a private folder.
    """

    @database_errors()
    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=OFF")  # it is removed with its folder, whatever happens
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @database_errors()
    def load(self, rows: Sequence[tuple[int, bytes, LoadedRow]]) -> None:
        """Keep rows of the source: for each its line, what the results show of it, and the checked row."""
        self._db.executemany(
            "INSERT INTO rows (line, key, source, checked) VALUES (?, ?, ?, ?)",
            (
                (line, row.key, source, to_json(row.checked.refused or (row.checked.changes, row.checked.unknown)))
                for line, source, row in rows
            ),
        )

    @database_errors()
    def begin(self) -> None:
        """Prepare for records: all rows are loaded."""
        self._db.execute(_INDEX)

    @database_errors()
    def take(self, records: Sequence[Listed], compare: Compare) -> None:
        """Compare some hundred records with the rows that have their keys."""
        rows = self._rows_of({key for _, key, _ in records if key is not None})
        self._db.executemany(
            "UPDATE rows SET found = found + 1, record_id = ?, fields = ? WHERE number = ?",
            (
                (record_id, msgspec.json.encode(compare(record, *fields)).decode(), number)
                for record_id, key, record in records
                for number, fields in rows.get(key, ())
            ),
        )
        self._db.executemany(
            "INSERT INTO strangers VALUES (?, ?)",
            [(record_id, key or "") for record_id, key, _ in records if key not in rows],
        )

    def _rows_of(self, keys: Collection[str]) -> Mapping[str | None, Sequence[tuple[int, Any]]]:
        """Return the rows that have these keys, by key: their numbers and the fields that they name."""
        found: dict[str | None, list[tuple[int, Any]]] = {}
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, number, checked FROM rows WHERE key IN ({marks})"  # noqa: S608
        for key, number, checked in self._db.execute(query, [*keys]):
            found.setdefault(key, []).append((number, json.loads(checked)))
        return found

    @database_errors()
    def counts(self) -> Mapping[Verdict, int]:
        """Return how many rows and records have each verdict."""
        counts = Counter(
            {
                Verdict(verdict): number
                for verdict, number in self._db.execute(f"SELECT {_VERDICT}, count(*) FROM rows GROUP BY 1")  # noqa: S608
            }
        )
        counts[Verdict.MISSING_HERE] = self._db.execute("SELECT count(*) FROM strangers").fetchone()[0]
        return counts

    def results(self, key_path: str) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
        """Yield the columns of each row and each missing record, with what is added to them.

        Args:
            key_path: the column in which the key of a record without a row is shown.
        """
        found = self._db.execute(
            f"SELECT line, source, {_VERDICT}, found, record_id, fields, checked FROM rows ORDER BY number"  # noqa: S608
        )
        for line, source, verdict, records, record_id, fields, checked in found:
            known = json.loads(checked) if verdict == Verdict.UNREADABLE else []
            if verdict == Verdict.TWICE:
                known = [f"{records} records have this key" if records != 1 else "several rows have this key"]
            added = _added(line, verdict, record_id, json.loads(fields) if verdict == Verdict.DIFFERENT else [], known)
            for values, of_line in lines_in(source):
                yield values, {**added, **of_line}
        for record_id, key in self._db.execute("SELECT record_id, key FROM strangers ORDER BY rowid"):
            yield {key_path: key}, _added(None, Verdict.MISSING_HERE.value, record_id, [], [])


def _added(
    line: int | None, verdict: str, record_id: str | None, fields: Sequence[str], reasons: Sequence[str]
) -> dict[str, Any]:
    return {
        "line": "" if line is None else line,
        "outcome": verdict,
        "record_id": record_id,
        "changed_fields": [*fields],
        "reasons": [*reasons],
    }
