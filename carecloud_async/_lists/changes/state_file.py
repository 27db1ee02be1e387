"""The state of a comparison: a run file with the id and two digests of each record, which lives on from run to run.

A run is one transaction, which SQLite rolls back if the process is killed or the disk is full.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from carecloud_async._base.runs import RunFile, RunKind
from carecloud_async._base.runtime.durable_files import copy_private, sync_folder
from carecloud_async._lists.export.errors import disk_error
from carecloud_async._lists.export.storage.remote_state import RemoteState
from carecloud_async.errors import ExportError
from carecloud_async.fixes import DELETE, ROOM

__all__ = ["PUBLICATION", "UNFINISHED", "KnownRecord", "NewRecord", "StateFile", "begin_generation", "pending_path"]

T = TypeVar("T")

_KIND: Final = RunKind(
    name="comparison",
    file="a state file of changes",
    each="list",
    own="a state file",
    version=1,
    tables=("CREATE TABLE records (id PRIMARY KEY, number INTEGER, text BLOB, value BLOB, record BLOB) WITHOUT ROWID",),
    error=ExportError,
    begin_again=DELETE,
    full=ROOM,
)
#: The name under which it stores which changes were returned and not all taken.
UNFINISHED: Final = "pending"
#: The name under which it stores the note of a file whose report may not have been received.
PUBLICATION: Final = "publication"
_FIND = "SELECT id, number, text, value, record IS NOT NULL FROM records"
_KEPT = ("NULL", "NOT NULL")
_ADD = "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)"

#: The most rows of one query: every build of SQLite takes a thousand variables.
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
        remote: the storage service from which it was fetched, if it was.

    Raises:
        ExportError: it belongs to another list or identity, is damaged or in use, or cannot be written.
    """

    def __init__(self, path: Path, fingerprints: Mapping[str, str], *, remote: RemoteState | None = None) -> None:
        self.path: Path = path
        self._remote = remote
        shown = None if remote is None else remote.shown
        self._run = RunFile.open(path, kind=_KIND, binding=fingerprints, resume=True, shown=shown)
        try:
            if not self._run.continues:
                self._run.begin()
            self._db = self._run.db
            self._db.execute("PRAGMA cache_size=-16000")
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self._db.start()
        self._db.execute("SAVEPOINT run")

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM records")[0][0])

    @property
    def next_number(self) -> int:
        """A number that no record had."""
        return self.get("next_number", int) or 0

    def get(self, name: str, kind: type[T]) -> T | None:
        """Return the value of a type that is stored under a name; `None` if there is none."""
        return self._run.get(name, kind)

    def set(self, name: str, value: Any) -> None:
        """Store a value under a name; `None` removes it."""
        self._run.set(name, value)

    def find_texts(self, low: str | bytes, high: str | bytes, count: int, *, kept: bool) -> dict[bytes, int]:
        """Return the numbers of the records in a range of ids, by the digests of their texts.

        Args:
            low: the smallest id.
            high: the largest id.
            count: about the number of records; of many more, only the first are returned.
            kept: whether to look at the records that are stored, or at those with digests alone.
        """
        query = f"SELECT text, number FROM records WHERE id BETWEEN ? AND ? AND record IS {_KEPT[kept]} LIMIT ?"  # noqa: S608  (no value)
        return dict(self._db.execute(query, (low, high, count + _ROWS)))

    def find(self, keys: Sequence[str | bytes]) -> dict[str | bytes, KnownRecord]:
        """Return the records that are known of some ids."""
        found: dict[str | bytes, KnownRecord] = {}
        for begin in range(0, len(keys), _ROWS):
            part = keys[begin : begin + _ROWS]
            rows = self._db.execute(f"{_FIND} WHERE id IN ({','.join('?' * len(part))})", part)
            found.update((row[0], KnownRecord(*row)) for row in rows)
        return found

    def record(self, key: str | bytes) -> bytes | None:
        """Return the stored record of an id, compressed."""
        found = self._db.execute("SELECT record FROM records WHERE id = ?", (key,))
        return found[0][0] if found else None

    def put(self, records: Sequence[NewRecord]) -> None:
        """Add records, or replace what was known of them."""
        self._db.execute_many(_ADD, records)

    def numbers(self) -> Iterator[list[tuple[str | bytes, int]]]:
        """Yield the ids and numbers of all records in batches; the records of a batch may be removed."""
        last: list[Any] = []
        while True:
            after = "WHERE id > ?" if last else ""
            rows = self._db.execute(f"SELECT id, number FROM records {after} ORDER BY id LIMIT 5000", last)  # noqa: S608  (as above)
            if not rows:
                return
            yield [(key, number) for key, number in rows]
            last = [rows[-1][0]]

    def renumber(self) -> None:
        """Give the records new numbers, without gaps."""
        number = 0
        for rows in self.numbers():
            numbered = [(new, key) for new, (key, _) in enumerate(rows, number)]
            number += len(rows)
            self._db.execute_many("UPDATE records SET number = ? WHERE id = ?", numbered)
        self.set("next_number", number)

    def remove(self, keys: Sequence[str | bytes]) -> None:
        """Remove records."""
        self._db.execute_many("DELETE FROM records WHERE id = ?", [(key,) for key in keys])

    def restart(self) -> None:
        """Undo what this run did: the list must be read with another strategy."""
        self._db.execute("ROLLBACK TO run")

    def commit(self, *, store: bool = True) -> None:
        """Commit what this run did; the file stays locked, and another transaction begins.

        Args:
            store: whether a remote state is stored too, with its pending changes.

        Raises:
            ExportError: the disk or the storage refuses; the state is unchanged.
        """
        self._run.commit()
        if store and self._remote is not None:
            has_pending = self._run.get(UNFINISHED) is not None
            self._remote.store(self._db, beside=[pending_path(self.path)] if has_pending else ())
        self._start()

    def require_unchanged(self) -> None:
        """Check that no other run has stored a remote state meanwhile.

        Raises:
            ExportError: one has.
        """
        if self._remote is not None:
            self._remote.require_unchanged()

    def close(self) -> None:
        """Close the file; what was not committed is rolled back."""
        self._run.close()


def pending_path(state: Path) -> Path:
    """Return the path of the changes that a run has returned and that were not all taken."""
    path = state.absolute()  # it is removed at the end, when the process may be in another folder
    return path.with_name(f"{path.name}-pending")


def _remove(path: Path) -> None:
    """Remove a state and its pending changes.

    Raises:
        ExportError: a run is using it, or it is no state.
    """
    pending_path(path).unlink(missing_ok=True)
    RunFile.discard(path, kind=_KIND)


def begin_generation(folder: Path, name: str, *, last: int | str | None, is_empty: bool) -> tuple[Path, str]:
    """Return the state file of a run, and its generation: a copy of the last one that counts, or an empty one.

    For pipelines that may roll a run back: the state before it then counts again, so that no run removes it. Each
    generation has a name that no other run gives, not even one of another machine with this folder: the state that a
    pipeline remembers is its own, or gone.

    Args:
        folder: the folder of the states of one pipeline.
        name: a name of the list; any other character than a letter, a digit and `_` counts as `_`.
        last: the generation that the pipeline remembers; `None` if it remembers none.
        is_empty: whether to begin with an empty state all the same.

    Raises:
        ExportError: that generation is missing, another run is using the new one, or the disk refuses.
    """
    generation, name = secrets.token_hex(8), re.sub(r"\W", "_", name)
    new, old = _path(folder, name, generation), _path(folder, name, last)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for other in folder.glob(f"{name}.*.state"):
            if other != old:
                _remove(other)
        if last is not None and not is_empty:
            copy_private(old, new)
            sync_folder(folder)
    except FileNotFoundError:
        raise ExportError(
            f"the state of {name}, {old}, is gone: what was deleted since is unknown. Run once with full=True, and "
            "name a state_folder that stays, and that no other pipeline of this name has"
        ) from None
    except OSError as error:
        raise disk_error(new, error, full=ROOM) from error
    return new, generation


def _path(folder: Path, name: str, generation: int | str | None) -> Path:
    return folder / f"{name}.{generation}.state"
