"""`BulkWriter`: rows of a stream without an end, one outcome for each. Rows that wait together share look-ups."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cached_property
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

import anyio
import attrs
from anyio.abc import TaskGroup

from carecloud_async._base.runtime.secret_text import conceal, conceal_body
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async.bulk.check import RowChecker
from carecloud_async.bulk.engine import Engine
from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.family import Family, Key, settle_times
from carecloud_async.bulk.gate import Gate
from carecloud_async.bulk.journal import RowJournal
from carecloud_async.bulk.metrics import RunMetrics
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.report import BulkProgress
from carecloud_async.bulk.rows import LoadedRow
from carecloud_async.bulk.run import claims_of, columns_of
from carecloud_async.bulk.sources.source import row_of

__all__ = ["BulkWriter"]

_log = logging.getLogger("carecloud_async.bulk")

#: Most rows that share look-ups.
_TOGETHER: Final = 450

_CLOSED: Final = "the bulk writer was closed before this row was written: write it again"
_CREATED: Final = "the record was created, and its card or properties may be missing"
_STOPPED: Final = "the bulk writer was stopped while this row was being written: a row with a key can be written again"


def _log_wait(progress: BulkProgress) -> None:
    if progress.waits_for:
        _log.info("a bulk writer waits for %s", progress.waits_for)


class _Waiting:
    """A row that waits for its outcome.

    Args:
        row: the checked row.
        claims: its key and its unique parts: two rows with the same one are not written at once.

    Attributes:
        row, claims: see above.
        done: set when the row has its outcome.
        result: its outcome; `None` before it has one, and after an error.
        error: why it has none.
    """

    def __init__(self, row: LoadedRow, claims: frozenset[tuple[str, str]]) -> None:
        self.row = row
        self.claims = claims
        self.done = anyio.Event()
        self.result: RowResult | None = None
        self.error: BaseException | None = None


class BulkWriter:
    """Writes rows one by one: `async with client.customers.bulk_writer(match="email") as writer`.

    Many tasks may write at once. Rows with the same key are written one after another. When the block ends, all rows
    that were given have their outcome.

    Args:
        key: the key that names a record; `None` if every row is created.
    """

    def __init__(self, family: Family, *, key: Key | None, options: BulkWriteOptions) -> None:
        self._family = family = family.by_record()
        self._key = key
        self._options = options
        self._slots = anyio.Semaphore(options.concurrency or family.caller.context.http.max_connections)
        self._times = settle_times(family.caller, options.settle)
        self._gate = Gate(family.clock)
        self._claims = claims_of(family, self._times)
        self._numbers = count(1)
        self._taken: dict[str, int] = {}
        self._waiting: list[_Waiting] = []
        self._begun: dict[_Waiting, None] = {}  # in their order
        self._claimed: set[tuple[str, str]] = set()
        self._changed = anyio.Event()
        self._closing = False
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._family.caller.context.check()
        self._family.caller.refuse_if_read_only(f"{self._family.facts.name}.bulk_writer")
        try:
            await run_in_thread(self._claims.__enter__)
            tasks = anyio.create_task_group()
            await tasks.__aenter__()
            self._tasks = tasks
            tasks.start_soon(self._collect)
        except BaseException:
            await run_in_thread_regardless(self._claims.__exit__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        tasks = self._tasks
        assert tasks is not None  # noqa: S101  (entered first)
        self._closing = True
        self._changed.set()
        if error is not None:
            tasks.cancel_scope.cancel()
        try:
            # The tasks keep their errors in the rows, so that a user's own error comes out as itself.
            await tasks.__aexit__(None, None, None)
        finally:
            self._tasks = None
            self._fail_waiting()
            await run_in_thread_regardless(self._claims.__exit__)
        return None

    async def write(self, row: Mapping[str, Any] | Any) -> RowResult:
        """Write a row and return its outcome. Cancelled, the row is written all the same.

        Args:
            row: a mapping by the API's names (nested or dotted), an input, or changes.

        Raises:
            BulkWriteError: the writer is not open.
            BadSourceError: a name leads to no field.
            CareCloudError: the server cannot be reached, or refuses the client.
            WrongEventLoopError: the writer was opened in another event loop or process.
        """
        row = conceal_body(row)  # it must not be in a frame if the write fails
        self._require_open()
        loaded = await self._checker.check_row(row_of(row))
        self._require_open()  # the block may have ended while names were read from the server
        if loaded.checked.refused:
            return refused(*loaded.checked.refused)
        names = conceal({"": loaded.key, **loaded.unique})
        waiting = _Waiting(loaded, frozenset((kind, name) for kind, name in names.items() if name is not None))
        self._waiting.append(waiting)
        self._changed.set()
        await waiting.done.wait()
        if waiting.error is not None:
            raise waiting.error
        assert waiting.result is not None  # noqa: S101  (done without an error)
        return waiting.result

    def _require_open(self) -> None:
        if self._tasks is None or self._closing:
            raise BulkWriteError("the bulk writer is not open: write inside its `async with` block")
        self._family.caller.context.check()  # another event loop would wait for the outcome without end

    @cached_property
    def _checker(self) -> RowChecker:
        return RowChecker(self._family, columns_of(self._family, self._options), key=self._key, options=self._options)

    async def _collect(self) -> None:
        """Take rows that wait, and begin a group of them whenever some can be written."""
        while True:
            group = self._take_group()
            if group:
                assert self._tasks is not None  # noqa: S101  (it runs in it)
                self._tasks.start_soon(self._write_group, group)
            elif self._closing and not self._waiting:
                return
            else:
                await self._changed.wait()
            self._changed = anyio.Event()
            await anyio.lowlevel.checkpoint()

    def _take_group(self) -> list[_Waiting]:
        if self._key is not None and self._key.needs_list and self._begun:
            return []  # each group reads the list, which must not change meanwhile
        group: list[_Waiting] = []
        rest: list[_Waiting] = []
        for row in self._waiting:
            if len(group) < _TOGETHER and self._claimed.isdisjoint(row.claims):
                group.append(row)
                self._begun[row] = None
                self._claimed |= row.claims
            else:
                rest.append(row)
        self._waiting = rest
        return group

    async def _write_group(self, group: Sequence[_Waiting]) -> None:
        rows = {next(self._numbers): row for row in group}

        def note(results: list[tuple[int, RowResult]]) -> None:
            for number, result in results:
                self._end(rows[number], result=result)

        with closing(RowJournal(None, keep_rows=False)) as journal:
            engine = Engine(
                self._family,
                journal,
                self._claims,
                key=self._key,
                options=self._options,
                metrics=RunMetrics(self._family.clock, _log_wait, on_results=note),
                times=self._times,
                gate=self._gate,
                slots=self._slots,
                taken=self._taken,
            )
            try:
                journal.load([attrs.evolve(row.row, number=number, line=number) for number, row in rows.items()])
                await engine.run()
            except Exception as error:  # noqa: BLE001  (raised by write())
                for number, record_id in journal.written_without_key():
                    # Written again, the row would make a second record.
                    unknown = RowResult(outcome=Outcome.UNKNOWN, record_id=record_id, reasons=(_CREATED,))
                    self._end(rows[number], result=unknown)
                for row in [row for row in group if row in self._begun]:
                    self._end(row, error=error)

    def _end(self, row: _Waiting, *, result: RowResult | None = None, error: BaseException | None = None) -> None:
        row.result, row.error = result, error
        self._begun.pop(row, None)
        self._claimed -= row.claims
        row.done.set()
        self._changed.set()

    def _fail_waiting(self) -> None:
        rows, self._waiting = self._waiting, []
        for row in rows:
            self._end(row, error=BulkWriteError(_CLOSED))
        for row in [*self._begun]:
            self._end(row, error=BulkWriteError(_STOPPED))
