"""Lead the writes of a journal through the states of `machine`: claim, look up, decide, send, note, release.

Writes have their turns many at a time: new rows in their order, then each write whose time has come, such as one whose
answer was lost when the settle time is over. Several turns are under way at once, and none waits for a single write.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count
from typing import Final, TypeAlias, TypeVar

import anyio
import attrs
from attrs import field, frozen

from carecloud_async._base.runtime.clock import doubled
from carecloud_async._base.runtime.task_groups import run_all
from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async.bulk.claims import Claims
from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.family import MAX_BATCH, Family, Key
from carecloud_async.bulk.gate import Gate
from carecloud_async.bulk.held_keys import HeldKeys
from carecloud_async.bulk.journal import Journal, RowJournal
from carecloud_async.bulk.machine import (
    Later,
    SettleTimes,
    State,
    TryLimits,
    after_an_answer,
    before_sending,
    is_to_be_confirmed,
    when_settled,
)
from carecloud_async.bulk.metrics import RunMetrics
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.records import RecordWrites
from carecloud_async.bulk.rows import RECORD, Plan, Write
from carecloud_async.bulk.sending import (
    LONGEST_WAIT,
    Answer,
    Failures,
    LookUpTries,
    Lost,
    Plans,
    Sender,
    Stale,
    requests_of,
)
from carecloud_async.errors import CareCloudError
from carecloud_async.fixes import GO_ON

T = TypeVar("T")
Decided: TypeAlias = Sequence[tuple[Write, RowResult | Plan]]

#: Rows of a turn. The look-ups of some 150 e-mail addresses fit in a URL.
CHUNK: Final = 450
#: Turns under way at once: while one is noted the next ones are sent.
CHUNKS: Final = 3
#: Seconds until a write whose key another run holds, or whose record another row writes, has another turn. It is twice
#: as long each time: the other one may wait for hours for a server that holds all writes.
BUSY_SECONDS: Final = 1.0

_TOO_SLOW: Final = (
    "no record can be written within ten seconds of its look-up: the server or the rate limiter is too slow"
)
_LOST: Final = RowResult(outcome=Outcome.UNKNOWN, reasons=("the answer was lost, and the row has no key",))


@frozen(kw_only=True)
class _Turn:
    """Writes of one kind that have their turn.

    Attributes:
        are_new: whether they are new rows, which follow one another in their order.
        decided: set when it is decided what they do.
    """

    writes: Sequence[Write]
    are_new: bool
    decided: anyio.Event = field(factory=anyio.Event)


class _Request:
    """Writes that are sent together.

    Attributes:
        plans: the writes.
        answers: the answers so far, by the ids of the writes.
        may_have_acted: whether it was begun; not if it failed: then writes without an answer were not made.
    """

    def __init__(self, plans: Plans) -> None:
        self.plans = plans
        self.answers: dict[int, Answer] = {}
        self.may_have_acted = False


class Engine:
    """Writes the rows of one run.

    Args:
        journal: the rows.
        claims: the keys that runs on this machine are writing; `None` in a dry run.
        key: the key that names a record; `None` if every row is created.
        metrics: the metrics of the run.
        times: how long lost writes wait.
        gate: lets writes leave, where several engines write the same kind.
        slots: requests under way at once, where several engines share them.
        taken: the keys and records that rows hold, where several engines share their claims.
        limits: how often a write is sent.
    """

    def __init__(
        self,
        family: Family,
        journal: Journal,
        claims: Claims | None,
        *,
        key: Key | None,
        options: BulkWriteOptions,
        metrics: RunMetrics,
        times: SettleTimes,
        gate: Gate | None = None,
        slots: anyio.Semaphore | None = None,
        taken: dict[str, int] | None = None,
        limits: TryLimits = TryLimits(),  # noqa: B008  (frozen)
    ) -> None:
        self._family = family
        self._clock = family.clock
        self._journal = journal
        self._key = key
        self._options = options
        self._metrics = metrics
        self._limits = limits
        self._look_ups = LookUpTries(limits)
        self._times = times
        self._gate = gate or Gate(family.clock)
        self._concurrency = options.concurrency or family.caller.context.http.max_connections
        self._slots = slots or anyio.Semaphore(self._concurrency, fast_acquire=True)
        self._records = RecordWrites(family, key=key, options=options, concurrency=self._concurrency)
        self._held = HeldKeys(
            claims,
            keys_of=self._records.claims,
            claim_of=self._records.record_claim,
            taken={} if taken is None else taken,
            shows_lost_creates=self._records.shows_lost_creates,
        )
        self._sender = Sender(on_retry=metrics.count_retry, attempts=limits.attempts)
        self._failures = Failures(family.clock, limits)
        self._database = anyio.Lock()
        self._choosing = anyio.Lock()
        self._turns = 0  # turns under way
        self._changed = anyio.Event()  # set, and replaced, when a turn is decided or has ended
        self._stops = False
        self._size = self._largest_turn
        self._times_held: dict[int, int] = {}  # write → how often in a row its key or record was held
        # If records do not show the key, several keys may lead to one record. Its rows are written in their order: none
        # overtakes another, and a row whose key is held keeps all later rows from beginning.
        self._in_order = key is not None and not key.in_record
        # New rows have their turns in order: those after the last one that began, when the turn before is decided.
        self._last_begun = 0
        self._turn_before = anyio.Event()
        self._turn_before.set()
        # Some have to begin once more: when, and how many.
        self._begin_at = 0.0
        self._put_back = 0

    async def run(self, rows: RowJournal | None = None) -> None:
        """Write the rows until every one has its outcome.

        Args:
            rows: the journal, if the whole list may be noted there where reading it costs fewer requests than look-ups.

        Raises:
            BulkWriteError: more rows were refused than `max_refused` allows.
            CareCloudError: the server is away or refuses the client.
        """
        metrics = self._metrics
        try:
            await self._begin()
            if rows is not None:
                await self._records.read_list_if_cheaper(rows)
            metrics.stage = "writing"
            # After a kill, an intended create that no look-up shows is unknown. So as few as possible are intended at
            # a time.
            width = CHUNKS if self._records.shows_lost_creates else 1
            await run_all([self._work] * width, width=width)
        finally:
            with anyio.CancelScope(shield=True):
                await self._held.leave()

    async def keys_in_doubt(self) -> list[str]:
        """Return the keys of the writes that an earlier run lost, and of records that only waiting parts will show."""
        records = self._records
        lost = await self._db(partial(self._journal.lost, parts_too=not records.shows_lost_creates))
        keys = [key for write in lost for key in records.claims(write)]
        return [
            *keys,
            *(records.record_claim(write, write.changed_id) for write in lost if write.changed_id is not None),
        ]

    async def _begin(self) -> None:
        lost = await self._db(self._journal.lost)
        self._held.hold_lost(lost)
        # Noted before the keys are claimed: the run that continues this one takes them over.
        if let_go := await self._held.let_go_since_sent(lost):
            await self._db(partial(self._journal.correct_intents, let_go))
        # So that no later row of this run has a key that the requests of these parts may still write.
        await self._held.claim([write for write in lost if write.kind != RECORD])
        self._held.doubt(lost)
        if self._key is not None and self._key.needs_list:
            claim = self._key.claim(self._family.facts.family, "")
            for times in count():
                if await self._held.claim_family(claim):
                    break
                await self._pause("another run that writes this family", _busy_seconds(times))

    async def _pause(self, why: str, seconds: float) -> None:
        self._metrics.waits_for = why
        await self._metrics.report_progress(always=True)
        began = self._clock.monotonic()
        await self._clock.sleep(seconds)
        self._metrics.kept.waited += self._clock.monotonic() - began
        self._metrics.waits_for = ""

    # turns

    async def _work(self) -> None:
        while True:
            async with self._choosing:
                turn = await self._next_turn()
            if turn is None:
                return
            try:
                await self._take_turn(turn)
                self._metrics.check_written(self._options)
                await self._metrics.report_progress()
            except BaseException:
                self._stops = True
                raise
            finally:
                self._turns -= 1
                self._let_next_begin(turn)

    def _let_next_begin(self, turn: _Turn) -> None:
        turn.decided.set()
        self._changed.set()
        self._changed = anyio.Event()

    async def _next_turn(self) -> _Turn | None:
        """Return the next turn, and wait for it; `None` when every write has its outcome, or the run stops."""
        while not self._stops:
            now, changed, opens_at = self._clock.monotonic(), self._changed, self._gate.opens_at
            is_closed = now < opens_at
            may_begin = now >= self._begin_at and not is_closed and (not self._in_order or self._turn_before.is_set())
            after = self._last_begun if may_begin else None
            take = partial(self._journal.take_turn, now=now, after=after, limit=self._size, only_lost=is_closed)
            writes, are_new = await self._db(take)
            if writes:
                turn = _Turn(writes=writes, are_new=are_new)
                if are_new:
                    self._last_begun, self._turn_before, self._put_back = writes[-1].id, turn.decided, 0
                self._turns += 1
                return turn
            if self._turns or changed.is_set():
                await changed.wait()
            elif not await self._wait_for_next(now, opens_at, may_begin=may_begin):
                return None
        return None

    async def _wait_for_next(self, now: float, opens_at: float, *, may_begin: bool) -> bool:
        """Wait until the next write has its turn, while none is under way; return whether there is one.

        Args:
            now: the time.
            opens_at: when the gate opens.
            may_begin: whether new rows could have begun.
        """
        waiting = await self._db(self._journal.waiting)
        lost, lost_due = waiting.get(State.LOST, (0, math.inf))
        others, others_due = waiting.get(State.WAITING, (0, math.inf))
        if not may_begin:
            others, others_due = others + self._put_back, min(others_due, self._begin_at)
        due = min(lost_due, max(others_due, opens_at))
        if due == math.inf:
            return False
        await self._pause(self._why(lost, others, is_closed=now < opens_at), max(due - now, 0.0))
        return True

    def _why(self, lost: int, others: int, *, is_closed: bool) -> str:
        """Say what is waited for."""
        if is_closed and others:
            return f"an answer to a write: until one comes, they are tried one at a time ({others:,} rows)"
        what = "look-ups on which the server failed" if self._look_ups.waiting else "rows of other runs"
        what = "lost answers, until it is certain what became of them" if lost else what
        return f"{what} ({lost or others:,} rows)"

    @property
    def _largest_turn(self) -> int:
        if self._family.batch is not None:
            return MAX_BATCH
        return CHUNK if self._records.shows_lost_creates else self._concurrency

    async def _take_turn(self, turn: _Turn) -> None:
        ready, let_go = await self._claim(turn), self._held.let_go
        decided = await self._settled(await self._decide(ready, are_new=turn.are_new))
        if self._options.dry_run:
            await self._end(
                [(write, decision.result if isinstance(decision, Plan) else decision) for write, decision in decided]
            )
            return
        decided, others = await self._held.claim_records(decided, let_go=let_go)
        self._let_next_begin(turn)
        await self._wait_for_others(others)
        for write, _ in decided:
            self._times_held.pop(write.id, None)
        await self._end([(write, decision) for write, decision in decided if not isinstance(decision, Plan)])
        await self._send(
            await self._admitted([(write, decision) for write, decision in decided if isinstance(decision, Plan)])
        )

    async def _settled(self, decided: Decided) -> Decided:
        """Return what is decided of writes whose requests have settled; the others have another turn."""
        now = self._clock.monotonic()
        settled: list[tuple[Write, RowResult | Plan]] = []
        later: list[tuple[Write, float]] = []
        made: list[tuple[Write, Lost | RowResult, float]] = []
        for write, decision in decided:
            what = when_settled(write, decision, now=now, times=self._times)
            if not isinstance(what, Later):
                settled.append((write, what))
            elif what.made is None:
                later.append((write, what.until))
            else:
                made.append((write, what.made, what.until))
        await self._lose(made, now=now)
        await self._postpone(later)
        return settled

    async def _admitted(self, plans: Plans) -> Plans:
        """Return the writes that may leave; the others, and new rows, have another turn."""
        admitted, others = self._gate.admit(plans)
        if others:
            if admitted or self._family.batch is None:
                self._size = max(1, len(admitted))
            until = max(self._gate.opens_at, self._clock.monotonic() + BUSY_SECONDS)
            self._begin_at = max(self._begin_at, until)
            await self._postpone([(write, until) for write, _ in others])
        elif not plans:  # rows that need no write go by
            self._size = min(self._largest_turn, self._size * 2)
        return admitted

    async def _claim(self, turn: _Turn) -> Sequence[Write]:
        """Claim the keys of writes; those whose keys are held have another turn, in order with all that follow."""
        ready, busy = await self._held.claim(turn.writes)
        if not busy or not self._in_order or not turn.are_new:
            await self._wait_for_others(busy)
            return ready
        first = min(write.id for write in busy)
        await self._put_back_from(first, turn.writes, until=self._until_free(first))
        return [write for write in ready if write.id < first]

    async def _put_back_from(self, first: int, writes: Sequence[Write], *, until: float) -> None:
        """Let a row of a turn, and all that follow it, begin once more at a time."""
        behind = [write for write in writes if write.id >= first]
        self._begin_at = max(self._begin_at, until)
        self._last_begun, self._put_back = first - 1, len(behind)
        await self._held.release(behind)

    async def _wait_for_others(self, busy: Sequence[Write]) -> None:
        """Give writes another turn whose keys or records are held."""
        await self._postpone([(write, self._until_free(write.id)) for write in busy])

    def _until_free(self, number: int) -> float:
        """Return when a write that waits for others has its next turn, which is later each time."""
        times = self._times_held.get(number, 0)
        self._times_held[number] = times + 1
        return self._clock.monotonic() + _busy_seconds(times)

    async def _decide(self, writes: Sequence[Write], *, are_new: bool) -> Decided:
        if not writes:
            return []
        decided, failed = await (self._records.parts if writes[0].kind else self._records).decide(writes)
        for write, _ in decided:
            self._look_ups.forget(write)
        now, later = self._clock.monotonic(), list[tuple[Write, float]]()
        for write, error in failed:
            again = self._look_ups.note(write, error)
            if isinstance(again, RowResult):
                decided.append((write, again))
            else:
                later.append((write, now + again))
        may_change = self._family.update is not None  # so that a later row may change the record
        if later and are_new and self._in_order and may_change:
            first, until = min((write.id, until) for write, until in later)
            await self._put_back_from(first, writes, until=until)
            decided = [(write, decision) for write, decision in decided if write.id < first]
        else:
            await self._postpone(later)
        tried = partial(before_sending, limits=self._limits)
        return [
            (write, tried(write, decision) if isinstance(decision, Plan) else decision) for write, decision in decided
        ]

    async def _postpone(self, writes: Sequence[tuple[Write, float]]) -> None:
        if writes:
            await self._db(partial(self._journal.postpone, writes))

    async def _lose(self, writes: Sequence[tuple[Write, Lost | RowResult, float]], *, now: float) -> None:
        if writes:
            await self._db(partial(self._journal.lose, writes, now=now))

    # sending

    async def _send(self, plans: Plans) -> None:
        """Note intents, send them and note the answers."""
        if not plans:
            return
        await self._db(partial(self._journal.intend, plans))
        self._held.doubt(write for write, _ in plans)
        requests = [_Request(part) for part in requests_of(plans)]
        try:
            await run_all(
                [
                    partial(self._gate.request, self._slots, partial(self._send_request, request), request.answers)
                    for request in requests
                ],
                width=self._concurrency,
            )
        except Exception:
            self._stops = True  # at once: no turn may begin while this one is noted
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await self._note(requests)
        self._learn([request.answers.get(write.id, Stale()) for request in requests for write, _ in request.plans])

    async def _send_request(self, request: _Request) -> None:
        request.may_have_acted = True
        try:
            await self._sender.send(self._records.parts.family(request.plans[0][0]), request.plans, request.answers)
        except CareCloudError:
            request.may_have_acted = False
            raise

    async def _note(self, requests: Sequence[_Request]) -> None:
        """Note the answers to requests; writes that were not sent wait again."""
        now = self._clock.monotonic()
        results: list[tuple[Write, RowResult]] = []
        lost: list[tuple[Write, Lost | RowResult, float]] = []
        back: list[Write] = []
        for request in requests:
            for write, plan in request.plans:
                answer = request.answers.get(write.id)
                if isinstance(answer, RowResult):
                    result = after_an_answer(write, plan, self._named(write, answer))
                    if is_to_be_confirmed(write, result):
                        lost.append((write, result, now + self._times.settle))
                    else:
                        results.append((write, result))
                elif isinstance(answer, Lost) and self._key is None and write.kind == RECORD:
                    results.append((write, _LOST))
                elif isinstance(answer, Lost):
                    lost.append((write, answer, now + self._times.look))
                elif answer is None and request.may_have_acted:  # cancelled
                    lost.append((write, Lost(size=len(request.plans)), now + self._times.look))
                else:
                    back.append(write)
        await self._lose(lost, now=now)
        if back:
            pause = self._failures.pause(answer for request in requests for answer in request.answers.values())
            # They keep their records, so that no later row of such a record overtakes them.
            await self._db(partial(self._journal.take_back, back, until=now + pause))
            self._held.trust(back)
        await self._end(results)

    def _learn(self, answers: Sequence[Answer]) -> None:
        """Adapt the size of turns, so that records are not looked up too long before they are written.

        Raises:
            CareCloudError: nothing could be sent for too long.
            BulkWriteError: records cannot be written soon enough after their look-up.
        """
        stale = [answer for answer in answers if isinstance(answer, Stale)]
        if not stale:
            self._failures.note(nothing_left=False)
            self._size = min(self._largest_turn, self._size + max(1, self._size // 8))
            return
        self._size = max(1, len(answers) - len(stale))
        error = next((stale_answer.error for stale_answer in stale if stale_answer.error is not None), None)
        if error is not None:
            self._metrics.count_retry()
        # While the gate is narrow, a look-up may grow old before its write may leave.
        is_slow = len(answers) == 1 and not self._gate.is_narrow
        nothing_left = len(stale) == len(answers) and (error is not None or is_slow)
        if nothing_left:
            self._begin_at = max(self._begin_at, self._clock.monotonic() + self._failures.pause(answers))
        if self._failures.note(nothing_left=nothing_left):
            raise error or BulkWriteError(_TOO_SLOW, fix=GO_ON)

    def _named(self, write: Write, answer: RowResult) -> RowResult:
        """Return the outcome of a part with its name in the server's reasons."""
        if not write.kind or not answer.reasons:
            return answer
        label = self._records.parts.kinds[write.kind].label(write.body.parts)
        return attrs.evolve(
            answer, reasons=tuple(f"{label}: {reason.rpartition(': ')[2]}" for reason in answer.reasons)
        )

    async def _end(self, results: Iterable[tuple[Write, RowResult]]) -> None:
        """Note outcomes, and release the keys of the rows that have theirs."""
        results = [*results]
        if not results:
            return
        now = self._clock.monotonic()
        split = (lambda _write, _result: ()) if self._options.dry_run else self._records.parts.split
        hidden = [write for write, result in results if self._records.may_be_hidden(write, result)]
        # Before the journal has them as ended: a run that continues this one would let go of their keys.
        await self._held.abandon_rows(hidden)
        ended = await self._db(partial(self._journal.end, results, parts_of=split, now=now))
        try:
            await self._held.end(results, rows=[row for row, _ in ended])
        finally:
            self._metrics.add_results(ended)

    async def _db(self, work: Callable[[], T]) -> T:
        async with self._database:
            return work() if self._journal.is_in_memory else await run_in_thread(work)


def _busy_seconds(times: int) -> float:
    return doubled(BUSY_SECONDS, times, longest=LONGEST_WAIT)
