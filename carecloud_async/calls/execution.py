"""The life of one call, from its first attempt to its end: wait, send, judge, repeat or give up, tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import evolve

from carecloud_async.calls.attempt import Attempt, RawResponse
from carecloud_async.calls.context import ClientContext, Options
from carecloud_async.calls.events import CallRecord, report
from carecloud_async.calls.operation import Operation
from carecloud_async.calls.retry import Failure, FailureKind
from carecloud_async.errors import CareCloudError, ClientClosedError, NotFoundError, RequestTimeoutError

T = TypeVar("T")


class CallExecution(Generic[T]):
    """One call.

    Args:
        context: what all views share.
        options: the view's own settings.
        operation: what is asked.
        attempt: makes the request, anew for each attempt.
        finish: makes the result of the answer.
        login: whether it is a login: calls that have passed the rate limiter wait for it, so it does not queue there.
    """

    __slots__ = (
        "_attempt",
        "_attempts",
        "_context",
        "_finish",
        "_id",
        "_limiter_seconds",
        "_login",
        "_may_be_done",
        "_operation",
        "_options",
        "_started",
        "_status",
    )

    def __init__(
        self,
        context: ClientContext,
        options: Options,
        operation: Operation,
        *,
        attempt: Callable[[], Attempt],
        finish: Callable[[RawResponse], T],
        login: bool,
    ) -> None:
        self._context = context
        self._options = options
        self._operation = operation
        self._attempt = attempt
        self._finish = finish
        self._login = login
        self._attempts = 0
        self._limiter_seconds = 0.0
        self._status: int | None = None
        self._may_be_done = False
        self._started = context.clock.monotonic()
        self._id = f"{context.random.getrandbits(64):016x}"

    async def run(self) -> T:
        """Make the call; one record tells of it, however it ends."""
        self._context.budget.earn()
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

    async def _repeat(self) -> RawResponse:
        context = self._context
        while True:
            ticket = context.rate_limiter.try_acquire()
            if ticket is None:
                ticket = await self._wait_at_limiter()
            seconds = self._time_left()
            self._attempts += 1
            outcome = await self._attempt().send(context.http, seconds=seconds, clock=context.clock)
            if isinstance(outcome, RawResponse):
                self._status = outcome.status
                context.rate_limiter.served(ticket)
                return outcome if self._attempts == 1 else evolve(outcome, attempts=self._attempts)
            self._note(outcome, ticket)
            if self._deleted_before(outcome):
                return RawResponse(204, {}, b"", context.clock.monotonic(), self._attempts)
            wait = self._decide(outcome)
            if wait is None:
                raise outcome.error
            await context.clock.sleep(wait)

    async def _wait_at_limiter(self) -> int:
        clock = self._context.clock
        before = clock.monotonic()
        ticket = await self._context.rate_limiter.enter(ahead=self._login)
        self._limiter_seconds += clock.monotonic() - before
        return ticket

    def _time_left(self) -> float:
        spent = self._context.clock.monotonic() - self._started - self._limiter_seconds
        left = self._options.timeout.total - spent
        if left <= 0:
            where = {"method": self._operation.method, "path": self._operation.path}
            raise RequestTimeoutError(f"{self._operation.title}: no time left to send it", **where)
        return left

    def _note(self, failure: Failure, ticket: int) -> None:
        self._status = getattr(failure.error, "status", None)
        if failure.trouble is FailureKind.REFUSED:
            self._context.rate_limiter.refused(ticket, retry_after=failure.retry_after)
        elif self._status is not None:
            self._context.rate_limiter.served(ticket)

    def _deleted_before(self, failure: Failure) -> bool:
        """Tell whether a DELETE that was repeated finds that the lost first one had worked."""
        if self._operation.method != "DELETE":
            return False
        if failure.trouble in {FailureKind.LOST, FailureKind.SERVER}:
            self._may_be_done = True
        return self._may_be_done and isinstance(failure.error, NotFoundError)

    def _decide(self, failure: Failure) -> float | None:
        context = self._context
        wait = self._options.retry.decide(
            failure,
            attempt=self._attempts,
            safe_to_repeat=self._operation.safe_to_repeat,
            random=context.random.random,
        )
        if wait is None:
            return None
        if context.closed:
            raise ClientClosedError("the client was closed while this call was under way")
        spent = context.clock.monotonic() - self._started - self._limiter_seconds
        if wait >= self._options.timeout.total - spent or not context.budget.spend():
            return None
        return wait

    def _report(self, error: str | None) -> None:
        report(
            CallRecord(
                method=self._operation.method,
                path=self._operation.path,
                status=self._status,
                seconds=self._context.clock.monotonic() - self._started,
                attempts=self._attempts,
                correlation_id=self._id,
                error=error,
            ),
            self._context.on_call,
        )
