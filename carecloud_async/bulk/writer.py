"""`BulkWriter`: rows of a stream without an end, one outcome for each. Rows that wait together share look-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cached_property
from types import TracebackType
from typing import Any, Final, Self

import anyio
import attrs
from anyio.abc import TaskGroup
from attrs import define, field

from carecloud_async.bulk.check import RowChecker, check_row
from carecloud_async.bulk.columns import Columns
from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.family import BulkTarget, Key
from carecloud_async.bulk.figures import RunFigures
from carecloud_async.bulk.journal import Journal
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.registry import registry_of
from carecloud_async.bulk.rows import LoadedRow
from carecloud_async.bulk.sources.mapping_source import row_of
from carecloud_async.bulk.writing import RunWriter
from carecloud_async.runtime.threads import run_in_thread, run_in_thread_regardless

__all__ = ["BulkWriter"]

#: Most rows that share look-ups.
_TOGETHER: Final = 450

_CLOSED: Final = "the bulk writer was closed before this row was written: write it again"
_LOST: Final = "the answer was lost, and the row has no key"
_CREATED: Final = "the record was created, and its card or properties may be missing"
_STOPPED: Final = "the bulk writer was stopped while this row was being written: a row with a key can be written again"


@define(eq=False)
class _Waiting:
    """A row that waits for its outcome.

    Attributes:
        row: the row.
        claims: its key and its unique part: two rows with the same one are not written at once.
        done: set when it has its outcome.
        result: its outcome.
        error: why it has none.
    """

    row: LoadedRow
    claims: frozenset[tuple[str, str]] = field(repr=False)
    done: anyio.Event = field(factory=anyio.Event)
    result: RowResult | None = None
    error: BaseException | None = None


class BulkWriter:
    """Writes rows one by one: `async with client.customers.bulk_writer(match="email") as writer`.

    Many tasks may write at once. Rows with the same key are written one after another. When the block ends, all rows
    that were given have their outcome.

    Args:
        target: the family.
        key: the key that names a record; `None` if every row is created.
        options: the options.
    """

    def __init__(self, target: BulkTarget, *, key: Key | None, options: BulkWriteOptions) -> None:
        # One row gains nothing from a batch, and a create tells the id.
        target = attrs.evolve(target, batch=None) if target.create is not None else target
        self._target = target
        self._key = key
        self._options = options
        self._columns = Columns(target, renamed=options.columns, ignored=options.ignore_columns)
        self._slots = anyio.Semaphore(options.concurrency or target.concurrency)
        self._registry = registry_of(target, options.match)
        self._waiting: list[_Waiting] = []
        self._begun: set[_Waiting] = set()
        self._claimed: set[tuple[str, str]] = set()
        self._changed = anyio.Event()
        self._closing = False
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        await run_in_thread(self._registry.__enter__)
        try:
            tasks = anyio.create_task_group()
            await tasks.__aenter__()
            self._tasks = tasks
            tasks.start_soon(self._collect)
        except BaseException:
            await run_in_thread_regardless(self._registry.__exit__)
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
            await run_in_thread_regardless(self._registry.__exit__)
        return None

    async def write(self, row: Mapping[str, Any] | Any) -> RowResult:
        """Write a row and return its outcome. Cancelled, the row is written all the same.

        Args:
            row: a mapping by the API's names (nested or dotted), an input, or changes.

        Raises:
            BulkWriteError: the writer is not open.
            BadSourceError: a name leads to no field.
            CareCloudError: the server is away or refuses the client.
        """
        self._require_open()
        loaded = await check_row(self._checker, self._columns, row_of(row))
        self._require_open()  # the block may have ended while names were read from the server
        if loaded.checked.refused:
            return refused(*loaded.checked.refused)
        names = {"key": loaded.key, "part": loaded.unique_part}
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

    @cached_property
    def _checker(self) -> RowChecker:
        return RowChecker(
            self._target, self._columns, key=self._key, options=self._options, textual=False, blanks=False
        )

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
        group: list[_Waiting] = []
        rest: list[_Waiting] = []
        for row in self._waiting:
            if len(group) < _TOGETHER and self._claimed.isdisjoint(row.claims):
                group.append(row)
                self._begun.add(row)
                self._claimed |= row.claims
            else:
                rest.append(row)
        self._waiting = rest
        return group

    async def _write_group(self, group: Sequence[_Waiting]) -> None:
        rows = dict(enumerate(group, 1))

        def note(results: list[tuple[int, RowResult]]) -> None:
            for number, result in results:
                self._end(rows[number], result=result)

        with closing(Journal.in_memory()) as journal:
            writer = RunWriter(
                self._target,
                journal,
                self._registry,
                key=self._key,
                options=self._options,
                figures=RunFigures(self._target.clock, on_results=note),
                slots=self._slots,
            )
            try:
                journal.load([attrs.evolve(one.row, number=number, line=number) for number, one in rows.items()])
                await writer.write_all()
            except Exception as error:  # noqa: BLE001  (raised by write())
                for one in journal.in_doubt_without_key():
                    # Written again, the row would make a second record.
                    reason = _LOST if one.created_id is None else _CREATED
                    unknown = RowResult(outcome=Outcome.UNKNOWN, record_id=one.created_id, reasons=(reason,))
                    self._end(rows[one.number], result=unknown)
                for row in self._begun.intersection(group):
                    self._end(row, error=error)

    def _end(self, row: _Waiting, *, result: RowResult | None = None, error: BaseException | None = None) -> None:
        row.result, row.error = result, error
        self._begun.discard(row)
        self._claimed -= row.claims
        row.done.set()
        self._changed.set()

    def _fail_waiting(self) -> None:
        rows, self._waiting = self._waiting, []
        for row in rows:
            self._end(row, error=BulkWriteError(_CLOSED))
        for row in [*self._begun]:
            self._end(row, error=BulkWriteError(_STOPPED))
