"""The state of a comparison: a run file with the id and two digests of each record, which lives on from run to run.

A run is one transaction, which SQLite rolls back if the process is killed or the disk is full. It adds what differs to
the table `pending`, and is committed before the first change is returned; the end of the run empties the table. So a
run that is killed after the user took a change returns that change again, even if the server has undone it: otherwise a
record that was created and deleted meanwhile would stay in the user's copy forever.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from carecloud_async._base.runs import Database, RunFile, RunKind
from carecloud_async._base.runtime.durable_files import copy_private, sync_folder
from carecloud_async._lists.changes.values import Kind
from carecloud_async._lists.export.errors import disk_error
from carecloud_async._lists.export.reading.seen import SEEN_TABLES
from carecloud_async._lists.export.storage.remote_state import StatePlace
from carecloud_async.errors import ExportError
from carecloud_async.fixes import DELETE, ROOM

__all__ = ["PUBLICATION", "PendingChange", "StateFile", "begin_generation"]

T = TypeVar("T")

_KIND: Final = RunKind(
    name="comparison",
    file="a state file of changes",
    each="list",
    own="a state file",
    version=2,
    tables=(
        # Several records may have one id: `twin` numbers them.
        "CREATE TABLE records (id, twin INTEGER, text BLOB, value BLOB, record BLOB, PRIMARY KEY (id, twin)) "
        "WITHOUT ROWID",
        # Some changes in each row: a row of each change takes three times as long.
        "CREATE TABLE pending (number INTEGER PRIMARY KEY, changes BLOB)",
    ),
    error=ExportError,
    begin_again=DELETE,
    full=ROOM,
)
#: What one reading shows, and the known records that it did not show.
_TEMPORARY: Final = (*SEEN_TABLES, "CREATE TABLE gone (id, twin INTEGER, PRIMARY KEY (id, twin)) WITHOUT ROWID")
#: The name under which it stores the note of a file whose report may not have been received.
PUBLICATION: Final = "publication"
#: The most changes of a row.
_BATCH: Final = 500
#: With more free pages than this the file is written anew. Changes that fill twice as many are not overwritten when
#: they are deleted, since that leaves nothing of them.
_MOST_FREE: Final = 1000
_IS_MUCH: Final = "SELECT coalesce(sum(length(changes)), 0) > 2 * ? * page_size FROM pending, pragma_page_size"


class PendingChange(NamedTuple):
    """A change that was not taken yet: see `Change`.

    Attributes:
        kind, id, fields: as there.
        line: the record as one line of JSON; `None` of a deleted one.
    """

    kind: Kind
    id: str
    fields: tuple[str, ...]
    line: bytes | None


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[PendingChange]).decode


class StateFile:
    """An open state, in a transaction. Everything blocks; one thread at a time.

    Args:
        place: where it is; its file is made if it is not there, private to this user.
        fingerprints: what it belongs to, see `ListSource.fingerprints`.

    Raises:
        ExportError: it belongs to another list or identity, is damaged or in use, or cannot be written.
    """

    def __init__(self, place: StatePlace, fingerprints: Mapping[str, str]) -> None:
        self.path: Path = place.path
        self._place = place
        self._run = RunFile.open(place.path, kind=_KIND, binding=fingerprints, resume=True, shown=place.shown)
        try:
            if not self._run.continues:
                self._run.begin()
            self.db.execute("PRAGMA cache_size=-16000")
            for table in _TEMPORARY:
                self.db.execute(table.replace("CREATE", "CREATE TEMP"))
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def db(self) -> Database:
        """Its database: `records` and `pending`, and the tables of one reading: `SEEN_TABLES` and `gone`."""
        return self._run.db

    def _start(self) -> None:
        self.db.start()
        self.db.execute("SAVEPOINT run")

    def get(self, name: str, kind: type[T]) -> T | None:
        """Return the value of a type that is stored under a name; `None` if there is none."""
        return self._run.get(name, kind)

    def set(self, name: str, value: Any) -> None:
        """Store a value under a name; `None` removes it."""
        self._run.set(name, value)

    def note(self, changes: Sequence[PendingChange | tuple[Any, ...]]) -> None:
        """Add changes to those that were not taken."""
        batches = [changes[begin : begin + _BATCH] for begin in range(0, len(changes), _BATCH)]
        self.db.execute_many("INSERT INTO pending (changes) VALUES (?)", [(_encode(batch),) for batch in batches])

    @property
    def has_pending(self) -> bool:
        """Whether changes were not taken."""
        return bool(self.db.execute("SELECT 1 FROM pending LIMIT 1"))

    def pending(self) -> Iterator[list[PendingChange]]:
        """Yield the changes that were not taken, some at a time."""
        last = 0
        while rows := self.db.execute("SELECT * FROM pending WHERE number > ? ORDER BY number LIMIT 1", (last,)):
            last = rows[0][0]
            yield _decode(rows[0][1])

    def restart(self) -> None:
        """Undo what this run did: the list must be read with another strategy."""
        self.db.execute("ROLLBACK TO run")

    def commit(self, *, taken: bool = False, store: bool = True) -> None:
        """Commit what this run did; the file stays locked, and another transaction begins.

        Args:
            taken: whether all changes were taken.
            store: whether a remote state is stored too.

        Raises:
            ExportError: the disk or the storage refuses; the state is unchanged.
        """
        if taken:
            is_much = self.db.execute(_IS_MUCH, (_MOST_FREE,))[0][0]
            self.db.execute(f"PRAGMA secure_delete={not is_much}")
            self.db.execute("DELETE FROM pending")
            self.db.execute("PRAGMA secure_delete=1")
        self._run.commit()
        if taken and self.db.execute("PRAGMA freelist_count")[0][0] > _MOST_FREE:
            with contextlib.suppress(ExportError):  # it is only larger
                self.db.execute("VACUUM")
        if store:
            self._place.store(self.db)
        self._start()

    def require_unchanged(self) -> None:
        """Check that no other run has stored a remote state meanwhile.

        Raises:
            ExportError: one has.
        """
        self._place.require_unchanged()

    def close(self) -> None:
        """Close the file; what was not committed is rolled back."""
        self._run.close()


def begin_generation(folder: Path, name: str, *, last: str | None, is_empty: bool) -> tuple[Path, str]:
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
                RunFile.discard(other, kind=_KIND)
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


def _path(folder: Path, name: str, generation: str | None) -> Path:
    return folder / f"{name}.{generation}.state"
