"""Send the writes of rows, one request or one batch at a time, and say how each was answered.

A transient failure, after which the same request may succeed, is not the fault of a row: the request is repeated, and
the last failure stops the run. A lost answer leaves a write unconfirmed.

The API does not document how it names the rows at fault of a refused batch, so each outcome comes from a request of its
own: a batch that was accepted, or a row that was refused alone. A refused batch is sent again in halves until the rows
at fault are alone.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias, TypeVar

import attrs
from attrs import frozen

from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._base.runtime.clock import Clock, doubled
from carecloud_async.bulk.family import MAX_BATCH, Family
from carecloud_async.bulk.machine import TryLimits, after_a_loss
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.rows import Plan, Write
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    CareCloudError,
    ConfigurationError,
    InterfaceError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)

T = TypeVar("T")
R = TypeVar("R")

#: The longest wait between two attempts at a request that fails without having done anything (seconds).
LONGEST_WAIT: Final = 30.0
#: A look-up older than this (seconds) is repeated before the write: another program may have changed the record.
STALE_SECONDS: Final = 10.0

#: Refusals that are about the client and not about the row.
_NOT_THE_ROW: Final = (AuthenticationError, PermissionDeniedError, RateLimitError, ServerError)


@frozen(kw_only=True)
class Lost:
    """The answer was lost.

    Attributes:
        fault: what the server answered, if it was a 5xx.
        size: the number of writes in the request.
    """

    fault: str | None = None
    size: int = 1


@frozen(kw_only=True)
class Stale:
    """Nothing was done, and the record of the write is to be looked up again.

    Attributes:
        error: what kept the request from being sent in time; `None` if the look-up was too old from the beginning.
    """

    error: CareCloudError | None = None


#: How a write was answered.
Answer: TypeAlias = RowResult | Lost | Stale
Plans: TypeAlias = Sequence[tuple[Write, Plan]]


class Failures:
    """Counts the turns in a row in which nothing could be sent."""

    def __init__(self, clock: Clock, limits: TryLimits) -> None:
        self._clock = clock
        self._limits = limits
        self._count = 0
        self._since = 0.0

    def note(self, *, nothing_left: bool) -> bool:
        """Note a turn; return whether nothing could be sent for too long."""
        now = self._clock.monotonic()
        if not self._count:
            self._since = now
        self._count = self._count + 1 if nothing_left else 0
        return self._count >= self._limits.attempts and now - self._since >= self._limits.patience

    def pause(self, answers: Iterable[Answer]) -> float:
        """Return how long to wait before the next turn (seconds), given the answers to the writes of the last one."""
        errors = [answer.error for answer in answers if isinstance(answer, Stale) and answer.error is not None]
        return max((_pause_after(error, self._count) for error in errors), default=0.0)


class LookUpTries:
    """Counts the failed look-ups of each write of one run.

    Args:
        limits: how often a write is looked up before it is refused.
    """

    def __init__(self, limits: TryLimits) -> None:
        self._limits = limits
        self._failures: dict[int, int] = {}

    @property
    def waiting(self) -> int:
        """How many writes are to be looked up again."""
        return len(self._failures)

    def note(self, write: Write, error: CareCloudError) -> float | RowResult:
        """Note a failure; return the seconds until the next look-up, or the outcome of a write without another one."""
        times = self._failures.pop(write.id, 0) + 1
        fault = _words(error) if isinstance(error, ServerError) else error.problem
        if times >= self._limits.of(fault):
            result = after_a_loss(write, refused(f"the server failed {times} times on its look-up: {fault}"))
            assert isinstance(result, RowResult)  # noqa: S101  (no plan was given)
            return result
        self._failures[write.id] = times
        return doubled(1.0, times, longest=LONGEST_WAIT)

    def forget(self, write: Write) -> None:
        """Forget the failures of a write that was looked up."""
        self._failures.pop(write.id, None)


class Sender:
    """Sends the writes of one run.

    Args:
        on_retry: called for each repeated request.
        attempts: at a request that fails without having done anything.
    """

    def __init__(self, *, on_retry: Callable[[], None], attempts: int) -> None:
        self._on_retry = on_retry
        self._attempts = attempts

    async def send(self, family: Family, plans: Plans, answers: dict[int, Answer]) -> None:
        """Send one write, or records to the batch endpoint, these in parts if some are refused.

        Args:
            family: where they are written.
            plans: what is sent: one write, or several for the batch endpoint.
            answers: gets the answer of each write, by its id. If this raises, writes without one were certainly not
                made.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        fresh: dict[int, Plan] = {}
        for write, plan in plans:
            if 0 < plan.read_at < family.clock.monotonic() - STALE_SECONDS:
                answers[write.id] = Stale()
            else:
                fresh[write.id] = plan
        if fresh and plans[0][1].kind == "batch":
            await self._send_batch(family, fresh, answers)
            return
        for number, plan in fresh.items():
            answers[number] = await self._send_one(family, plan)

    async def _send_batch(self, family: Family, plans: Mapping[int, Plan], answers: dict[int, Answer]) -> None:
        read_at = min((plan.read_at for plan in plans.values() if plan.read_at > 0), default=0.0)
        late: Stale | None = None  # then nothing more of it is sent
        batch = family.batch
        assert batch is not None  # noqa: S101  (plans for batches are made only where there is one)

        def note(numbers: Sequence[int], error: CareCloudError | None) -> None:
            for number in numbers:
                plan = plans[number]
                answers[number] = late or (plan.result if error is None else _answer(error, plan, len(numbers)))

        async def send(bodies: Sequence[JsonObject]) -> None:
            nonlocal late
            if late is None:
                late = await self._repeated(family, read_at, partial(batch, bodies))

        bodies = {number: plan.body for number, plan in plans.items()}
        await send_batch(bodies, send=send, is_refusal=is_about_the_row, note=note)

    async def _send_one(self, family: Family, plan: Plan) -> Answer:
        try:
            if plan.kind == "update":
                return await self._update(family, plan)
            assert family.create is not None  # noqa: S101  (plans for creates are made only where there is one)
            create = partial(family.create, plan.body, dict(plan.create_fields))
            made = await self._repeated(family, plan.read_at, create)
        except CareCloudError as error:
            if not error.may_have_happened and not is_about_the_row(error):
                raise
            return _answer(error, plan, 1)
        if isinstance(made, Stale):
            return made
        return RowResult(outcome=Outcome.CREATED, record_id=made, changed_fields=plan.changed)

    async def _update(self, family: Family, plan: Plan) -> Answer:
        """Replace a record, unless it was read too long ago: the wait at the rate limiter counts."""
        assert plan.record_id is not None and family.update is not None  # noqa: S101, PT018  (or it had no such plan)
        left = max(plan.read_at + STALE_SECONDS - family.clock.monotonic(), 0.001)
        try:
            await family.update(plan.record_id, plan.body, left)
        except CareCloudError as error:
            if not _is_transient(error):
                raise
            return Stale(error=error)
        return plan.result

    async def _repeated(self, family: Family, read_at: float, request: Callable[[float], Awaitable[T]]) -> T | Stale:
        """Make a request; repeat it after transient failures, if it certainly did nothing.

        It leaves while what it writes is fresh, or not at all.

        Args:
            read_at: when that was looked up; 0 if it was not.
            request: makes it, given the longest time until it is sent (seconds).
        """
        latest = read_at + STALE_SECONDS if read_at > 0 else math.inf
        failed: CareCloudError | None = None
        for attempt in range(self._attempts):
            if failed is not None:
                pause = _pause_after(failed, attempt - 1)
                if family.clock.monotonic() + pause > latest:
                    break
                self._on_retry()
                await family.clock.sleep(pause)
            try:
                return await request(latest - family.clock.monotonic())
            except CareCloudError as error:
                if not _is_transient(error):
                    raise
                failed = error
        if failed is not None and latest == math.inf:
            raise failed
        return Stale(error=failed)


def pause_after(error: Exception, failures: int, *, longest: float) -> float:
    """Return how long to wait after a failure (seconds): longer after each, and as long as the server asks for."""
    asked = error.retry_after if isinstance(error, ApiError) else None
    return max(doubled(1.0, failures, longest=longest), asked or 0.0)


def _pause_after(error: CareCloudError, failures: int) -> float:
    return min(pause_after(error, failures, longest=LONGEST_WAIT), LONGEST_WAIT)


def _is_transient(error: CareCloudError) -> bool:
    """Return whether a request that certainly did nothing may succeed later."""
    return error.is_retryable and not error.may_have_happened and not is_about_the_row(error)


def is_about_the_row(error: CareCloudError) -> bool:
    """Return whether a refusal is the fault of a row: the API's own 4xx, or values that cannot be sent."""
    if isinstance(error, ConfigurationError):
        return not isinstance(error, InterfaceError)
    return isinstance(error, ApiError) and not isinstance(error, _NOT_THE_ROW)


def _answer(error: CareCloudError, plan: Plan, size: int) -> Answer:
    """Return what an error says of a write: its answer was lost, or it is refused."""
    if error.may_have_happened:
        cause = error.__cause__
        return Lost(fault=_words(cause) if isinstance(cause, ServerError) else None, size=size)
    if isinstance(error, NotFoundError) and plan.record_id is not None:
        return RowResult(outcome=Outcome.CONFLICT, record_id=plan.record_id, reasons=("the record is gone",))
    reasons: tuple[str, ...] = (error.problem,)
    if isinstance(error, ApiError):
        named = tuple(f"{param.name}: {param.reason}" for param in error.invalid_params)
        reasons = named or (f"the server refused it with {_words(error)}",)
    return attrs.evolve(refused(*reasons), record_id=plan.record_id)


def _words(error: ApiError) -> str:
    return f"{error.status} {error.exception or ''}".rstrip()


async def send_batch(
    rows: Mapping[int, R],
    *,
    send: Callable[[Sequence[R]], Awaitable[None]],
    is_refusal: Callable[[CareCloudError], bool],
    note: Callable[[Sequence[int], CareCloudError | None], None],
) -> None:
    """Send a batch, in halves where some of its rows are refused.

    Args:
        rows: the rows by their numbers.
        send: sends rows in one request. It must undo a request that is refused.
        is_refusal: whether an error is about the rows; another one ends the search.
        note: called for each row once, with the numbers of rows and what became of them: `None` if they are written, an
            error that `may_have_happened` if the answer was lost, else the refusal of one row.

    Raises:
        CareCloudError: an error that is not about the rows. Those that `note` was not called for are not written.
    """
    numbers = [*rows]
    try:
        await send([*rows.values()])
    except CareCloudError as error:
        if error.may_have_happened or (len(rows) == 1 and is_refusal(error)):
            note(numbers, error)
            return
        if not is_refusal(error):
            raise
    else:
        note(numbers, None)
        return
    middle = len(numbers) // 2
    for half in (numbers[:middle], numbers[middle:]):
        some = {number: rows[number] for number in half}
        await send_batch(some, send=send, is_refusal=is_refusal, note=note)


def requests_of(plans: Plans) -> list[Plans]:
    """Return the requests for writes: batches, which are smaller for rows lost together, and all others one by one."""
    requests: list[Plans] = []
    by_size: dict[int, list[tuple[Write, Plan]]] = {}
    for write, plan in plans:
        if plan.kind == "batch":
            by_size.setdefault(write.most or MAX_BATCH, []).append((write, plan))
        else:
            requests.append([(write, plan)])
    for size, batch in by_size.items():
        requests += [batch[begin : begin + size] for begin in range(0, len(batch), size)]
    return requests
