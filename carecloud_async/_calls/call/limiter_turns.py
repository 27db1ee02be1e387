"""`LimiterTurns`: one call waits at the rate limiter, within its time for that."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio

from carecloud_async._base.runtime.event_loops import loop_time
from carecloud_async._calls.call.call_errors import limiter_timeout, transport_error
from carecloud_async._calls.call.context import ClientContext, at_limiter
from carecloud_async._calls.call.report import CallReport
from carecloud_async._calls.call.retry import Failure
from carecloud_async.errors import CareCloudError, RequestTimeoutError

T = TypeVar("T")


class LimiterTurns:
    """Waits for the turns of one call. Waits count against `Timeout.limiter`, and not against the call's total time.

    Each request takes a permit, one for each connection, then its slot, and is sent: within the transport it waits for
    nothing, and its slot cannot grow old there.

    Args:
        context: state that all views share.
        report: the call's report. A login goes ahead of the calls that wait.
        seconds: the most time that the call may wait, in all attempts together.

    Attributes:
        seconds: the time that the call has waited so far.
        waiting: whether the call waits, or was interrupted while it waited.
        gave_up: whether the call ended because its turn did not come in time.
        refusal: the error of the last attempt, if the answer was a 429.
        scope: the call's scope, whose deadline moves on by the time that the call waits.
    """

    scope: anyio.CancelScope
    seconds: float = 0.0
    waiting: bool = False
    gave_up: bool = False
    refusal: CareCloudError | None = None
    _ticket: int | None = None
    _unreported: float = 0.0  # the time since the last event
    _left_before: bool = False
    _permits: anyio.Semaphore | None = None  # to which the call returns its permit

    def __init__(self, context: ClientContext, report: CallReport, *, seconds: float) -> None:
        self._limiter = context.rate_limiter
        self._clock = context.clock
        self._call_report = report
        self._most_seconds = seconds
        self._latest = context.clock.monotonic() + report.call.request.within
        self._ahead = report.call.request.login

    @property
    def seconds_left(self) -> float:
        """The time that the call may still wait."""
        return min(self._most_seconds - self.seconds, self.fresh_seconds)

    @property
    def fresh_seconds(self) -> float:
        """The time after which a request is too old to be written."""
        return self._latest - self._clock.monotonic()

    async def leave(self, permits: anyio.Semaphore | None) -> None:
        """Wait until a request of the call may be sent. `return_permit` is to be called after that, however it ends.

        Args:
            permits: one for each connection; `None` where their number is not known. A login needs none, because other
                calls wait for it: it has a connection as soon as any is free.

        Raises:
            RateLimitError: the wait would be longer than the time that is left.
            RequestTimeoutError: it is too late to send the request.
        """
        limiter = self._limiter
        if permits is not None and not self._ahead:
            await self._take_permit(permits)
        self.check_age()
        if self._ticket is not None:
            limiter.on_success(self._ticket)  # a 401 came, which another token may cure
        self._ticket = limiter.try_acquire()
        if self._ticket is None:
            self._ticket = await self._wait(lambda seconds: limiter.acquire(ahead=self._ahead, seconds=seconds))
            if self._ticket is None:
                raise self.error()
        self._left_before = True
        self._report()

    def return_permit(self) -> None:
        """Return the permit, if the call has one."""
        permits, self._permits = self._permits, None
        if permits is not None and not self._ahead:
            permits.release()

    def check_age(self) -> None:
        """Raise if it is too late to send the request.

        Raises:
            RequestTimeoutError: it is.
        """
        if self._clock.monotonic() > self._latest:
            self.gave_up = True
            operation = self._call_report.call.operation
            raise transport_error(RequestTimeoutError, operation, "not sent: its connection or its token came too late")

    def end_attempt(self, *, answered: bool, refusal: Failure | None) -> None:
        """Report the outcome of an attempt to the limiter.

        Args:
            answered: whether an answer came.
            refusal: the failure, if the answer was a 429.
        """
        ticket, self._ticket = self._ticket, None
        self.refusal = None if refusal is None else refusal.error
        if ticket is None:
            return
        if refusal is not None:
            self._limiter.on_throttled(ticket, retry_after=refusal.retry_after)
        elif answered:
            self._limiter.on_success(ticket)

    def error(self) -> CareCloudError:
        """Return the error of a call that cannot wait for its turn: the server's own, if it refused the call before."""
        self.gave_up = True
        if self.refusal is not None:
            return self.refusal
        return limiter_timeout(self._call_report.call.operation, seconds=self._limiter.delay(), again=self._left_before)

    async def _take_permit(self, permits: anyio.Semaphore) -> None:
        try:
            permits.acquire_nowait()
        except anyio.WouldBlock:
            if self._limiter.is_holding:  # those that have the permits wait for their slots
                if self._limiter.delay() > self.seconds_left:
                    raise self.error() from None
                await self._wait(lambda _: permits.acquire())
            else:
                await permits.acquire()
        self._permits = permits

    async def _wait(self, wait: Callable[[float], Coroutine[Any, Any, T]]) -> T:
        before, total_left = self._clock.monotonic(), self.scope.deadline - loop_time()
        self.waiting = True
        try:
            with at_limiter(self.seconds_left) as allowed:
                seconds = max(allowed, 0.0)
                self.scope.deadline = loop_time() + seconds
                result = await wait(seconds)
        except BaseException:
            self._count(before)
            self._report()
            raise
        self._count(before)
        self.waiting = False
        self.scope.deadline = loop_time() + total_left
        return result

    def _count(self, before: float) -> None:
        waited = self._clock.monotonic() - before
        self.seconds += waited
        self._unreported += waited

    def _report(self) -> None:
        if self._unreported:
            self._call_report.notify("limiter_waited", self._unreported)
        self._unreported = 0.0
