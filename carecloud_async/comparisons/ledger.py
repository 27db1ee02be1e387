"""`Ledger`: the rows of the source with their verdicts, and the records without a row, in a temporary SQLite file.

Everything that a record decides is kept once for each key, however many rows have it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from carecloud_async._lists.listings.compare_report import Verdict
from carecloud_async.bulk.results import Rows, outcome_row, with_outcome
from carecloud_async.bulk.rows import LoadedRow
from carecloud_async.bulk.sources.source import to_json
from carecloud_async.comparisons.temporary import TemporaryDatabase, database_errors

#: A record of the list: its id, its key in the form in which keys are compared (`None` if it has none), the store in
#: which the key names it (empty for any), and itself.
Listed = tuple[str | None, str | None, str, Any]
#: Compares a record with the fields of a row that has its key, first those that the SDK knows, and returns the fields
#: that differ.
Compare = Callable[[Any, Mapping[str, Any], Mapping[str, Any]], Sequence[str]]

#: `rows.checked` is JSON: the fields that a row names, known and unknown ones, or why it cannot be read. Of a key,
#: `number` is its first row, `rows` counts the rows and `found` the records that have it. `strangers` are records whose
#: key no row has.
_SCHEMA: Final = """
CREATE TABLE rows (
    number INTEGER PRIMARY KEY, line INTEGER NOT NULL, key TEXT, store TEXT NOT NULL, source BLOB NOT NULL,
    checked BLOB NOT NULL
);
CREATE TABLE keys (
    key TEXT, store TEXT, number INTEGER NOT NULL, rows INTEGER NOT NULL, found INTEGER NOT NULL DEFAULT 0,
    record_id TEXT, fields TEXT NOT NULL DEFAULT '[]', PRIMARY KEY (key, store)
) WITHOUT ROWID;
CREATE TABLE strangers (record_id TEXT, key TEXT NOT NULL);
"""
_FILL_KEYS: Final = """\
INSERT INTO keys (key, store, number, rows)
SELECT key, store, min(number), count(*) FROM rows WHERE key IS NOT NULL GROUP BY key, store
"""

#: The verdict on a row, by how many rows and records have its key.
_VERDICT: Final = """
CASE WHEN rows.key IS NULL THEN 'unreadable'
     WHEN keys.rows > 1 OR keys.found > 1 THEN 'twice'
     WHEN keys.found = 0 THEN 'missing_there'
     WHEN keys.fields = '[]' THEN 'same' ELSE 'different' END
"""
_ROWS: Final = "rows LEFT JOIN keys USING (key, store)"


class Ledger(TemporaryDatabase):
    """Rows and records as they are compared. Every method blocks.

    Args:
        path: the file, in a private folder.
        only_file: whether records that no row has are passed over.
    """

    def __init__(self, path: Path, *, only_file: bool) -> None:
        super().__init__(path, _SCHEMA)
        self._only_file = only_file

    @database_errors()
    def load(self, rows: Sequence[tuple[int, bytes, LoadedRow, str]]) -> None:
        """Keep rows of the source: for each its line, what the results show of it, the checked row, and its store."""
        self._db.executemany(
            "INSERT INTO rows (line, key, store, source, checked) VALUES (?, ?, ?, ?, ?)",
            (
                (
                    line,
                    row.key,
                    store,
                    source,
                    to_json(row.checked.refused or (row.checked.changes, row.checked.unknown)),
                )
                for line, source, row, store in rows
            ),
        )

    @database_errors()
    def begin(self) -> None:
        """Prepare for records: all rows are loaded."""
        self._db.execute(_FILL_KEYS)

    @database_errors()
    def take(self, records: Sequence[Listed], compare: Compare) -> None:
        """Compare some hundred records with the rows that have their keys."""
        rows = self._rows_of({key for _, key, _, _ in records if key is not None})
        updates: list[tuple[Any, ...]] = []
        strangers: list[tuple[Any, ...]] = []
        for record_id, key, store, record in records:
            of_key = rows.get(key, {})
            # A row or a record that names no store may be of any.
            own = [store] if store in of_key else [row_store for row_store in of_key if not row_store or not store]
            for row_store in own:
                named = of_key[row_store]
                differ = [] if named is None else compare(record, *json.loads(named))
                updates.append((record_id, msgspec.json.encode(differ).decode(), key, row_store))
            if not own and not self._only_file:
                strangers.append((record_id, key or ""))
        update = "UPDATE keys SET found = found + 1, record_id = ?, fields = ? WHERE key = ? AND store = ?"
        self._db.executemany(update, updates)
        self._db.executemany("INSERT INTO strangers VALUES (?, ?)", strangers)

    def _rows_of(self, keys: Collection[str]) -> Mapping[str | None, Mapping[str, bytes | None]]:
        """Return what the rows that have these keys name, by key and store; `None` where several rows have one."""
        rows: dict[str | None, dict[str, bytes | None]] = {}
        marks = ",".join("?" * len(keys))
        query = (
            "SELECT keys.key, keys.store, CASE keys.rows WHEN 1 THEN rows.checked END "  # noqa: S608
            f"FROM keys JOIN rows USING (number) WHERE keys.key IN ({marks})"
        )
        for key, store, checked in self._db.execute(query, [*keys]):
            rows.setdefault(key, {})[store] = checked
        return rows

    @database_errors()
    def counts(self) -> Mapping[Verdict, int]:
        """Return how many rows and records have each verdict."""
        counts = Counter(
            {
                Verdict(verdict): number
                for verdict, number in self._db.execute(f"SELECT {_VERDICT}, count(*) FROM {_ROWS} GROUP BY 1")  # noqa: S608
            }
        )
        counts[Verdict.MISSING_HERE] = self._db.execute("SELECT count(*) FROM strangers").fetchone()[0]
        return counts

    def results(self, key_path: str) -> Rows:
        """Yield the columns of each row and each missing record, with what is added to them.

        Args:
            key_path: the column in which the key of a record without a row is shown.
        """
        rows = self._db.execute(
            f"SELECT line, source, {_VERDICT}, found, record_id, fields, checked FROM {_ROWS} ORDER BY rows.number"  # noqa: S608
        )
        for line, source, verdict, records, record_id, fields, checked in rows:
            known = json.loads(checked) if verdict == Verdict.UNREADABLE else []
            if verdict == Verdict.TWICE:
                known = [f"{records} records have this key" if records > 1 else "several rows have this key"]
            differing = json.loads(fields) if verdict == Verdict.DIFFERENT else ()
            yield from with_outcome(source, outcome_row(line, verdict, record_id, differing, known))
        for record_id, key in self._db.execute("SELECT record_id, key FROM strangers ORDER BY rowid"):
            yield {key_path: key}, outcome_row(None, Verdict.MISSING_HERE, record_id)
