"""`Commits`: the transactions of an outbox.

Threads that commit at the same moment share a transaction, and with it one wait for the disk: the first one that gets
its turn commits for all that have come meanwhile.

SQLite goes on writing to a file that was moved or removed, and finds its log by the name alone. So nothing is stored
while the file does not have its name: it would be lost when the file is closed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

from carecloud_async._base.runs import Database, RunFile
from carecloud_async.fixes import OUTBOX_MOVED
from carecloud_async.outbox.errors import OutboxError

__all__ = ["Commits"]

T = TypeVar("T")


class _Work(Generic[T]):
    """Statements that wait for a transaction."""

    def __init__(self, run: Callable[[Database], T]) -> None:
        self.run = run
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class Commits:
    """Runs statements of many threads in transactions. Everything blocks.

    Args:
        file: the open file.
        remember: called before a transaction; returns what is called if it fails.
    """

    def __init__(self, file: RunFile, *, remember: Callable[[], Callable[[], None]]) -> None:
        self._file = file
        self._remember = remember
        self._works: deque[_Work[Any]] = deque()
        self._turn = Lock()

    def commit(self, run: Callable[[Database], T]) -> T:
        """Run statements, and return when they are durable.

        Raises:
            OutboxError: the file does not have its name any more, or the disk refuses; nothing of them is kept.
        """
        work: _Work[T] = _Work(run)
        self._works.append(work)
        with self._turn:
            if not work.done:
                self._commit_all()
        if work.error is not None:
            raise work.error
        return work.result  # type: ignore[no-any-return]

    def _commit_all(self) -> None:
        works = [self._works.popleft() for _ in range(len(self._works))]
        restore = self._remember()
        try:
            self._require_its_name()
            with self._file.transaction() as db:
                for work in works:
                    work.result = work.run(db)
        except BaseException as error:  # noqa: BLE001  (each thread raises it)
            restore()
            for work in works:
                work.error = error
        for work in works:
            work.done = True

    def _require_its_name(self) -> None:
        if not self._file.has_its_name():
            raise OutboxError(f"{self._file.path} was moved, replaced or removed while it is open", fix=OUTBOX_MOVED)
