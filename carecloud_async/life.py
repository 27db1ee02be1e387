"""The life of one call, from its first attempt to its end: wait, send, judge, repeat or give up, tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import evolve

from carecloud_async.attempt import Attempt, Reply
from carecloud_async.engine import Engine, Options
from carecloud_async.errors import CareCloudError, ClientClosedError, NotFoundError, RequestTimeoutError
from carecloud_async.observe import CallRecord, report
from carecloud_async.operations import Operation
from carecloud_async.retry import Failure, Trouble

T = TypeVar("T")


class Life(Generic[T]):
    """One call.

    Args:
        engine: what all views share.
        options: the view's own settings.
        operation: what is asked.
        attempt: makes the request, anew for each attempt.
        finish: makes the result of the answer.
        login: whether it is a login: calls that have passed the gate wait for it, so it does not queue there.
    """

    __slots__ = (
        "_at_gate",
        "_attempt",
        "_attempts",
        "_engine",
        "_finish",
        "_id",
        "_login",
        "_may_be_done",
        "_operation",
        "_options",
        "_started",
        "_status",
    )

    def __init__(
        self,
        engine: Engine,
        options: Options,
        operation: Operation,
        *,
        attempt: Callable[[], Attempt],
        finish: Callable[[Reply], T],
        login: bool,
    ) -> None:
        self._engine = engine
        self._options = options
        self._operation = operation
        self._attempt = attempt
        self._finish = finish
        self._login = login
        self._attempts = 0
        self._at_gate = 0.0
        self._status: int | None = None
        self._may_be_done = False
        self._started = engine.clock.monotonic()
        self._id = f"{engine.random.getrandbits(64):016x}"

    async def run(self) -> T:
        """Make the call; one record tells of it, however it ends."""
        self._engine.budget.earn()
        try:
            result = self._finish(await self._repeat())
        except BaseException as error:
            if isinstance(error, CareCloudError):
                # A failed login has told of itself; its error keeps the id under which it did.
                error.correlation_id = error.correlation_id or self._id
            self._report(type(error).__name__)
            raise
        self._report(None)
        return result

    async def _repeat(self) -> Reply:
        engine = self._engine
        while True:
            ticket = engine.gate.pass_at_once()
            if ticket is None:
                ticket = await self._wait_at_gate()
            seconds = self._time_left()
            self._attempts += 1
            outcome = await self._attempt().send(engine.door, seconds=seconds, clock=engine.clock)
            if isinstance(outcome, Reply):
                self._status = outcome.status
                engine.gate.served(ticket)
                return outcome if self._attempts == 1 else evolve(outcome, attempts=self._attempts)
            self._note(outcome, ticket)
            if self._deleted_before(outcome):
                return Reply(204, {}, b"", engine.clock.monotonic(), self._attempts)
            wait = self._decide(outcome)
            if wait is None:
                raise outcome.error
            await engine.clock.sleep(wait)

    async def _wait_at_gate(self) -> int:
        clock = self._engine.clock
        before = clock.monotonic()
        ticket = await self._engine.gate.enter(ahead=self._login)
        self._at_gate += clock.monotonic() - before
        return ticket

    def _time_left(self) -> float:
        spent = self._engine.clock.monotonic() - self._started - self._at_gate
        left = self._options.timeout.total - spent
        if left <= 0:
            where = {"method": self._operation.method, "path": self._operation.path}
            raise RequestTimeoutError(f"{self._operation.title}: no time left to send it", **where)
        return left

    def _note(self, failure: Failure, ticket: int) -> None:
        self._status = getattr(failure.error, "status", None)
        if failure.trouble is Trouble.REFUSED:
            self._engine.gate.refused(ticket, retry_after=failure.retry_after)
        elif self._status is not None:
            self._engine.gate.served(ticket)

    def _deleted_before(self, failure: Failure) -> bool:
        """Tell whether a DELETE that was repeated finds that the lost first one had worked."""
        if self._operation.method != "DELETE":
            return False
        if failure.trouble in {Trouble.LOST, Trouble.SERVER}:
            self._may_be_done = True
        return self._may_be_done and isinstance(failure.error, NotFoundError)

    def _decide(self, failure: Failure) -> float | None:
        engine = self._engine
        wait = self._options.retry.decide(
            failure,
            attempt=self._attempts,
            safe_to_repeat=self._operation.safe_to_repeat,
            random=engine.random.random,
        )
        if wait is None:
            return None
        if engine.closed:
            raise ClientClosedError("the client was closed while this call was under way")
        spent = engine.clock.monotonic() - self._started - self._at_gate
        if wait >= self._options.timeout.total - spent or not engine.budget.spend():
            return None
        return wait

    def _report(self, error: str | None) -> None:
        report(
            CallRecord(
                method=self._operation.method,
                path=self._operation.path,
                status=self._status,
                seconds=self._engine.clock.monotonic() - self._started,
                attempts=self._attempts,
                correlation_id=self._id,
                error=error,
            ),
            self._engine.on_call,
        )
