"""`BulkWriter`: rows of a stream without an end, one outcome for each. Rows that wait together share look-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from types import TracebackType
from typing import Any, Final, Self

import anyio
import attrs
from anyio.abc import TaskGroup
from attrs import define, field

from carecloud_async.bulk.check import CheckedRow, RowChecker
from carecloud_async.bulk.columns import Columns
from carecloud_async.bulk.convert import Converter
from carecloud_async.bulk.decide import Plan, decide
from carecloud_async.bulk.doubt import SentRow, intent_of, look_again, outcome_shown
from carecloud_async.bulk.errors import BulkWriteError, UnknownColumnError
from carecloud_async.bulk.family import BulkTarget, Key
from carecloud_async.bulk.finding import Finder, FoundByKey, key_text
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.parts import PartLook, part_key, with_parts
from carecloud_async.bulk.registry import WriteRegistry, registry_folder
from carecloud_async.bulk.sending import RowSender
from carecloud_async.bulk.sources.mapping_source import row_of
from carecloud_async.errors import CareCloudError
from carecloud_async.runtime.threads import run_in_thread, run_in_thread_regardless

__all__ = ["BulkWriter"]

#: Most rows that share look-ups.
_TOGETHER: Final = 450
#: Seconds between two looks at a key that another run is writing, or at a row whose answer was lost: from, to.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0

_CLOSED: Final = "the bulk writer was closed before this row was written: write it again"
_STOPPED: Final = "the bulk writer was stopped while this row was being written: a row with a key can be written again"


@define(eq=False)
class _Waiting:
    """A row that waits for its outcome."""

    checked: CheckedRow
    key: str | None
    names: frozenset[str]
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
        self._looking = anyio.Lock()
        width = options.concurrency or target.width
        self._slots = anyio.Semaphore(width)
        self._finder = None if key is None else Finder(target, key, width=width, on_request=lambda _: None)
        self._parts = PartLook(target, width=width, on_request=lambda _: None)
        self._sender = RowSender(target, on_request=lambda _: None, on_retry=lambda: None)
        self._registry = WriteRegistry(
            registry_folder(),
            scope=f"{target.scope['project']} {target.scope['family']} {options.match}",
            clock=target.clock,
            settle_seconds=target.settle_seconds,
        )
        self._database = anyio.Lock()
        self._waiting: list[_Waiting] = []
        self._begun: set[_Waiting] = set()
        self._busy: set[str] = set()
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
        if self._tasks is None or self._closing:
            raise BulkWriteError("the bulk writer is not open: write inside its `async with` block")
        checked = await self._check(row)
        if checked.refused:
            return refused(*checked.refused)
        key = None if self._key is None or checked.key is None else key_text(self._key, checked.key)
        once = part_key(self._target, checked)
        names = frozenset(f"{kind}:{text}" for kind, text in (("key", key), ("once", once)) if text is not None)
        waiting = _Waiting(checked, key, names)
        self._waiting.append(waiting)
        self._changed.set()
        await waiting.done.wait()
        if waiting.error is not None:
            raise waiting.error
        assert waiting.result is not None  # noqa: S101  (done without an error)
        return waiting.result

    async def _check(self, row: Any) -> CheckedRow:
        try:
            return self._checker.check(row_of(row))
        except UnknownColumnError:
            async with self._looking:
                await self._columns.look()
        return self._checker.check(row_of(row))

    @cached_property
    def _checker(self) -> RowChecker:
        converter = Converter(timezone=self._target.project.timezone, textual=False)
        return RowChecker(self._columns, key=self._key, options=self._options, converter=converter, blanks=False)

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
            if len(group) < _TOGETHER and self._busy.isdisjoint(row.names):
                group.append(row)
                self._begun.add(row)
                self._busy |= row.names
            else:
                rest.append(row)
        self._waiting = rest
        return group

    async def _write_group(self, group: Sequence[_Waiting]) -> None:
        try:
            looked_at = self._target.clock.time()
            found = await self._find(group)
        except Exception as error:  # noqa: BLE001  (raised by write())
            for row in group:
                self._end(row, error=error)
            return
        async with anyio.create_task_group() as tasks:
            for row in group:
                tasks.start_soon(self._write_row, row, found, looked_at)

    async def _write_row(self, row: _Waiting, found: FoundByKey, looked_at: float) -> None:
        try:
            reasons = found.refusal(row.key)
            result = refused(*reasons) if reasons else await self._outcome(row, found.of(row.key), looked_at)
            result = await self._with_parts(row, result)
        except Exception as error:  # noqa: BLE001  (raised by write())
            self._end(row, error=error)
        else:
            self._end(row, result=result)

    async def _with_parts(self, row: _Waiting, result: RowResult) -> RowResult:
        try:
            return await with_parts(row.checked, result, target=self._target, on_request=lambda _: None)
        except CareCloudError:
            if row.key is not None:
                raise
            # Written again, the row would make a second record.
            reason = "the record was created, and its card or properties may be missing"
            return attrs.evolve(result, outcome=Outcome.UNKNOWN, reasons=(reason,))

    async def _outcome(self, row: _Waiting, records: Sequence[bytes], looked_at: float) -> RowResult:
        pause, tries = _FIRST_PAUSE, 0
        sent: SentRow | None = None
        while True:
            shown = outcome_shown(sent, records, target=self._target)
            decided = shown or decide(row.checked, records, target=self._target, key=self._key, options=self._options)
            if not shown:
                ((_, decided),) = await self._parts.judge([(row.checked, decided)], dry_run=False)
            if not isinstance(decided, Plan):
                return decided
            if decided.base is None and row.key is not None:
                keys: list[str] = [row.key]
                claims = await self._db(partial(self._registry.claim, keys, looked_at=looked_at))
                if row.key not in claims.taken or row.key in claims.look_again:
                    if row.key in claims.busy:
                        await self._target.clock.sleep(pause)
                        pause = min(pause * 2, _LONGEST_PAUSE)
                    looked_at = self._target.clock.time()
                    records = (await self._find([row])).of(row.key)
                    continue
            tries += 1
            result = await self._send(decided)
            if result is None:
                now = self._target.clock.monotonic()
                sent = SentRow(checked=row.checked, key=row.key, intent=intent_of(decided), lost_at=now, tries=tries)
                result = await self._settle(sent)
            if decided.base is None and row.key is not None and result is not None:
                written = result.outcome in {Outcome.CREATED, Outcome.UNKNOWN}
                await self._db(partial(self._registry.release, [row.key], written=written))
            if result is not None:
                return result
            looked_at = self._target.clock.time()
            records = (await self._find([row])).of(row.key)

    async def _send(self, plan: Plan) -> RowResult | None:
        async with self._slots:
            if plan.kind != "batch":
                return await self._sender.send(plan)
            sent: dict[int, RowResult | None] = {}
            await self._sender.send_batch({0: plan}, sent.__setitem__)
            return sent[0]

    async def _settle(self, row: SentRow) -> RowResult | None:
        """Look a row up until it is certain what became of it; `None` if it is to be sent again."""
        if row.key is None or self._finder is None:
            return RowResult(outcome=Outcome.UNKNOWN, reasons=("the answer was lost, and the row has no key",))
        pause = _FIRST_PAUSE
        while True:
            (verdict,) = await look_again([row], finder=self._finder, target=self._target)
            if verdict.result is not None or verdict.send_again:
                return verdict.result
            await self._target.clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _find(self, rows: Sequence[_Waiting]) -> FoundByKey:
        if self._finder is None:
            return FoundByKey()
        return await self._finder.find([row.checked.key for row in rows if row.checked.key is not None])

    async def _db(self, work: Any) -> Any:
        async with self._database:
            return await run_in_thread(work)

    def _end(self, row: _Waiting, *, result: RowResult | None = None, error: BaseException | None = None) -> None:
        row.result, row.error = result, error
        self._begun.discard(row)
        self._busy -= row.names
        row.done.set()
        self._changed.set()

    def _fail_waiting(self) -> None:
        rows, self._waiting = self._waiting, []
        for row in rows:
            self._end(row, error=BulkWriteError(_CLOSED))
        for row in [*self._begun]:
            self._end(row, error=BulkWriteError(_STOPPED))
