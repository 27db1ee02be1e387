"""`Groups`: records that share a value, found on the disk. Memory does not grow with the records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from carecloud_async.comparisons.temporary import TemporaryDatabase, database_errors

_SCHEMA: Final = """
CREATE TABLE records (number INTEGER PRIMARY KEY, record_id TEXT NOT NULL, shown TEXT NOT NULL);
CREATE TABLE keys (key BLOB NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL);
"""
#: Keys of several records; `members` has the records that have one, each with the least number of its group.
_LINK: Final = """
CREATE INDEX by_key ON keys (key);
CREATE TABLE shared AS SELECT key, count(*) AS records FROM keys GROUP BY key HAVING count(*) BETWEEN 2 AND {most};
CREATE UNIQUE INDEX by_shared ON shared (key);
CREATE TABLE links AS SELECT keys.key, keys.name, keys.number FROM keys JOIN shared USING (key);
CREATE INDEX by_link ON links (key);
CREATE INDEX by_number ON links (number);
CREATE TABLE members (number INTEGER PRIMARY KEY, label INTEGER NOT NULL);
INSERT INTO members SELECT DISTINCT number, number FROM links;
"""
#: One step: a record takes the least label among those that share a key with it.
_SPREAD: Final = """
DROP TABLE IF EXISTS least;
CREATE TABLE least AS SELECT key, min(label) AS label FROM links JOIN members USING (number) GROUP BY key;
CREATE UNIQUE INDEX by_least ON least (key);
"""
_TAKE: Final = """
INSERT OR REPLACE INTO members
SELECT number, min(least.label) AS found FROM links JOIN least USING (key) JOIN members USING (number)
GROUP BY number HAVING found < members.label
"""


@frozen(kw_only=True)
class Member:
    """A record of a group.

    Attributes:
        record_id: its id.
        shown: the values by which records are compared, as they stand in the record.
        matched_by: the names of the keys that it shares with another record of the group.
    """

    record_id: str
    shown: Mapping[str, Any]
    matched_by: Sequence[str]


class Groups(TemporaryDatabase):
    """Records by the values that they share. Every method blocks.

    Args:
        path: the file, in a private folder.
        most: if more records than this share a value, it identifies no person, such as the telephone of a shop.
    """

    def __init__(self, path: Path, *, most: int) -> None:
        super().__init__(path, _SCHEMA)
        self._most = most
        self._count = 0

    @database_errors()
    def add(self, records: Sequence[tuple[str, Mapping[str, Any], Mapping[str, str]]]) -> None:
        """Add records: their ids, the values to be shown, and name → key in the form in which keys are compared."""
        rows, keys = [], []
        for record_id, shown, own in records:
            self._count += 1
            rows.append((self._count, record_id, json.dumps(shown, ensure_ascii=False)))
            keys += [(_digest(name, key), name, self._count) for name, key in own.items()]
        self._db.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
        self._db.executemany("INSERT INTO keys VALUES (?, ?, ?)", keys)

    @database_errors()
    def link(self) -> None:
        """Find the groups: records that share a key, directly or by records between them, are one."""
        self._db.execute("COMMIT")
        self._db.executescript(_LINK.format(most=int(self._most)))
        while True:
            self._db.executescript(_SPREAD)
            if self._db.execute(_TAKE).rowcount <= 0:
                return

    @property
    def counts(self) -> tuple[int, int, int]:
        """The numbers of groups, of records in them, and of keys that too many records share."""
        groups, members = self._db.execute("SELECT count(DISTINCT label), count(*) FROM members").fetchone()
        crowded = "SELECT count(*) FROM (SELECT 1 FROM keys GROUP BY key HAVING count(*) > ?)"
        return groups, members, self._db.execute(crowded, (self._most,)).fetchone()[0]

    def groups(self) -> Iterator[list[Member]]:
        """Yield the groups, each with its records in the order of the list."""
        rows = self._db.execute(
            "SELECT label, record_id, shown, (SELECT group_concat(DISTINCT name) FROM links "
            "WHERE links.number = members.number) FROM members JOIN records USING (number) ORDER BY label, number"
        )
        group: list[Member] = []
        last = None
        for label, record_id, shown, names in rows:
            if group and label != last:
                yield group
                group = []
            last = label
            group.append(Member(record_id=record_id, shown=json.loads(shown), matched_by=names.split(",")))
        if group:
            yield group


def _digest(name: str, key: str) -> bytes:
    return blake2b(f"{name}\0{key}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
