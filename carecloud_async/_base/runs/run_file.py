"""`RunFile`: what a piece of work that may be killed has done so far, in one private SQLite file.

    run = RunFile.open(path, kind=KIND, binding=binding, resume=True)
    with run:
        if run.report is not None:
            return run.report                     # an earlier run finished it
        if not run.continues:
            run.begin()
        with run.transaction():                   # durable when the block ends
            run.db.execute(…)
        run.finish(report)

One run at a time has the file open; a second one is refused, in this process too. Each transaction is durable before
it is relied on. The file is bound to what its run depends on from the first transaction on, so that a run that failed
before it leaves nothing behind. A file that no run made is never changed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Self, TypeVar, overload

import msgspec

from carecloud_async._base.runs.database import Database
from carecloud_async._base.runs.kinds import RunKind, is_damage
from carecloud_async._base.runs.locked_file import MARK, LockedFile
from carecloud_async.errors import CareCloudError

__all__ = ["Earlier", "RunFile"]

T = TypeVar("T")

_BINDING, _REPORT = "binding", "report"


class Earlier(Enum):
    """What a file held when it was opened.

    `NOTHING`: a new file. `UNFINISHED`: a run that can be continued. `FINISHED`: its report. `UNREADABLE`: a run of
    another version, or a damaged one; `RunFile.problem` says which.
    """

    NOTHING = "nothing"
    UNFINISHED = "unfinished"
    FINISHED = "finished"
    UNREADABLE = "unreadable"


class RunFile:
    """An open run file; see the module. Everything blocks, and threads may use it in turn.

    Attributes:
        path: the file.
        earlier: what it held when it was opened.
        problem: why an unreadable run cannot be continued; `None` otherwise.
        holds_something: whether it holds a run, earlier or begun: otherwise it may be removed.
        continues: whether this run continues an unfinished one.
        report: the report of the same run, which was finished before, as `finish` took it; `None` otherwise.
    """

    def __init__(
        self, file: LockedFile, kind: RunKind, binding: Mapping[str, str] | None, shown: str | None = None
    ) -> None:
        self.path: Path = file.path
        self._shown = shown or file.path
        self.earlier: Earlier = Earlier.NOTHING
        self.problem: CareCloudError | None = None
        self.continues: bool = False
        self.report: Any = None
        self._file = file
        self._kind = kind
        self._binding = None if binding is None else dict(binding)
        self._db: Database | None = None
        self.holds_something: bool = not file.is_empty
        self._is_bound = False
        self._is_damaged = False
        self._is_closed = False

    @classmethod
    def open(
        cls, path: Path, *, kind: RunKind, binding: Mapping[str, str] | None, resume: bool, shown: str | None = None
    ) -> Self:
        """Open a run file, or make one. Nothing of an earlier run is lost before `begin`.

        Args:
            path: the file.
            kind: what it holds.
            binding: digests of what the run depends on, by the names that messages give them; `None` to continue the
                run whatever it depends on, for work that needs nothing of it.
            resume: whether an earlier run is to be continued, or its report returned. Without it `earlier` says
                whether there was one.
            shown: what messages call the file; its path if left out.

        Raises:
            CareCloudError: of the kind's class: the file is in use, is no run file, cannot be opened, or the run that
                is to be continued is bound to something else, damaged, or of another version.
        """
        try:
            os.fspath(path).encode()  # the run keeps its target's name as text
            file = LockedFile(path)
        except UnicodeEncodeError:
            raise kind.of_system(shown or path, OSError(errno.EILSEQ, os.strerror(errno.EILSEQ))) from None
        except BlockingIOError:
            raise kind.in_use(shown or path) from None
        except OSError as error:
            raise kind.of_system(shown or path, error) from error
        run = cls(file, kind, binding, shown)
        try:
            run._look()
            if resume:
                run._continue()
        except BaseException:
            run.close()
            raise
        return run

    @staticmethod
    def discard(path: Path, *, kind: RunKind) -> None:
        """Remove a run file whatever it holds, unless a run is using it or no run made it.

        Raises:
            CareCloudError: of the kind's class: it is not removed.
        """
        with RunFile.open(path, kind=kind, binding={}, resume=False) as run:
            run.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def db(self) -> Database:
        """The database, with the tables of the kind. `begin` replaces it."""
        assert self._db is not None, "begin comes first"  # noqa: S101
        return self._db

    def begin(self) -> None:
        """Drop everything of an earlier run, and begin a new one.

        Raises:
            CareCloudError: of the kind's class: the disk refuses.
        """
        if not self._begin_in_place():
            self._clear_file()
            self._connect()
        self.holds_something = self._is_bound = self.continues = False
        self.report = None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Database]:
        """Make the changes of a block together; they are durable when it ends, and none is made if it fails.

        Errors of the block itself pass through.

        Raises:
            CareCloudError: of the kind's class: the disk refuses.
        """
        with self.db.transaction():
            yield self.db
            self._bind()
        self.holds_something = self._is_bound = True

    def commit(self) -> None:
        """Commit what `db.start` began, where a transaction is longer than a block.

        Raises:
            CareCloudError: of the kind's class: the disk refuses; nothing of the transaction is kept.
        """
        self._bind()
        self.db.commit()
        self.holds_something = self._is_bound = True

    @overload
    def get(self, name: str) -> Any: ...
    @overload
    def get(self, name: str, kind: type[T]) -> T | None: ...
    def get(self, name: str, kind: Any = Any) -> Any:
        """Return the value that is stored under a name; `None` if there is none.

        Args:
            kind: its type, a class of attrs for example.

        Raises:
            CareCloudError: of the kind's class: it is damaged.
        """
        rows = self.db.execute("SELECT value FROM run WHERE name = ?", (name,))
        if not rows:
            return None
        try:
            return msgspec.json.decode(rows[0][0], type=kind)
        except (msgspec.MsgspecError, TypeError):
            self._is_damaged = True
            raise self._kind.damaged(self._shown) from None

    def set(self, name: str, value: Any) -> None:
        """Store a value of JSON or of a class of attrs under a name; `None` removes it. Used in a transaction."""
        if value is None:
            self.db.execute("DELETE FROM run WHERE name = ?", (name,))
        else:
            self.db.execute("INSERT OR REPLACE INTO run VALUES (?, ?)", (name, msgspec.json.encode(value)))

    def finish(self, report: Any) -> None:
        """Keep the report alone: the same run returns it until it begins again.

        Args:
            report: JSON, or a value of an attrs class.

        Raises:
            CareCloudError: of the kind's class: the disk refuses.
        """
        with self.transaction():
            self._drop_tables(but="run")
            self.db.execute("DELETE FROM run WHERE name NOT IN ('kind', 'version', 'binding')")
            self.set(_REPORT, report)
        with contextlib.suppress(CareCloudError):  # the report is kept, only larger
            self.db.execute("VACUUM")

    def has_its_name(self) -> bool:
        """Return whether the path still leads to this file, which may have been moved, replaced or removed.

        Raises:
            CareCloudError: of the kind's class: the folder cannot be read.
        """
        try:
            return self._file.has_its_name()
        except OSError as error:
            raise self._kind.of_system(self._shown, error) from error

    def close(self) -> None:
        """Close the file; a new one that holds nothing is removed. May be called more than once."""
        self._end(remove=self._file.is_new and not self.holds_something)

    def remove(self) -> None:
        """Close the file and remove it."""
        self._end(remove=True)

    def _end(self, *, remove: bool) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        is_held = True
        try:
            if self._db is not None:
                if remove:
                    with contextlib.suppress(CareCloudError):
                        self._db.execute("PRAGMA synchronous=OFF")
                self._db.close()
                is_held = self._file.relock()
                if is_held and not (remove or self._is_damaged):
                    with contextlib.suppress(OSError):
                        self._file.seal()
        finally:
            self._file.close(remove=remove and is_held)

    def _look(self) -> None:
        """Learn what the file holds."""
        kind = self._kind
        with self._system_errors():
            if not self.holds_something:
                return
            self.earlier = Earlier.UNREADABLE
            if self._file.mark != MARK:
                raise kind.not_ours(self._shown)
            if not self._file.is_intact:
                self.problem = kind.damaged(self._shown)
                return
        try:
            self._connect()
            self._read_earlier()
        except CareCloudError as error:
            if not self._is_damaged:
                raise
            self.problem = error

    def _read_earlier(self) -> None:
        if self.get("kind") != self._kind.name:
            raise self._kind.not_ours(self._shown)
        if self.get("version") != self._kind.version:
            self.problem = self._kind.of_another_version(self._shown)
        elif self.get(_BINDING) is None:
            self.earlier, self.holds_something = Earlier.NOTHING, False
        else:
            self.earlier = Earlier.UNFINISHED if self.get(_REPORT) is None else Earlier.FINISHED

    def _continue(self) -> None:
        """Continue the earlier run, or take its report."""
        if self.problem is not None:
            raise self.problem
        if self.earlier is Earlier.NOTHING:
            return
        before = self.get(_BINDING, dict[str, str]) or {}
        foreign = None if self._binding is None else self._kind.foreign(self._shown, before, self._binding)
        if self.earlier is Earlier.UNFINISHED:
            if foreign is not None:
                raise foreign
            self.continues = self._is_bound = True
        elif foreign is None:
            self.report = self.get(_REPORT)

    def _connect(self) -> None:
        """Open the database, and make its tables where it has none."""
        with self._system_errors():
            self._file.unseal()
        self._db = db = Database(self.path, explain=self._explain)
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA cell_size_check=ON")  # without it, what a damaged page points at may be read as a row
        is_new = not db.execute("SELECT 1 FROM sqlite_master")
        if is_new:
            # Before WAL mode, which would leave the mark in another file until it is copied. Synced once, at the end.
            db.execute("PRAGMA synchronous=OFF")
            with db.transaction():
                db.execute(f"PRAGMA application_id={MARK}")
                self._make_tables()
        db.write_ahead()
        if is_new:
            with self._system_errors():
                self._file.sync()
        db.execute("PRAGMA synchronous=FULL")

    def _begin_in_place(self) -> bool:
        """Replace what the tables hold; return whether the file is readable, so that this can be done."""
        if self._db is None:
            return False
        try:
            with self._db.transaction():
                self._drop_tables()
                self._make_tables()
        except CareCloudError:
            if not self._is_damaged:
                raise
        return not self._is_damaged

    def _make_tables(self) -> None:
        self.db.execute("CREATE TABLE run (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
        for table in self._kind.tables:
            self.db.execute(table)
        self.set("kind", self._kind.name)
        self.set("version", self._kind.version)

    def _drop_tables(self, *, but: str = "") -> None:
        for (name,) in self.db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> ?", (but,)):
            self.db.execute(f'DROP TABLE "{name}"')

    def _clear_file(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()
            if not self._file.relock():
                raise self._kind.in_use(self._shown)
        with self._system_errors():
            self._file.clear()
        self._is_damaged = False

    def _bind(self) -> None:
        if not self._is_bound:
            self.set(_BINDING, self._binding)

    def _explain(self, error: sqlite3.Error) -> CareCloudError:
        self._is_damaged = self._is_damaged or is_damage(error)
        return self._kind.of_sqlite(self._shown, error)

    @contextlib.contextmanager
    def _system_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._kind.of_system(self._shown, error) from error
