"""Run one call: ask the cache, wait for the rate limiter, send, retry, report."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Generic, NoReturn, TypeVar

from carecloud_async._base import codec
from carecloud_async._base.codec.answers import has_data
from carecloud_async._base.codec.json_text import BrokenJson
from carecloud_async._base.runtime.event_loops import loop_time
from carecloud_async._calls.auth.tokens import Tokens
from carecloud_async._calls.call.attempt import Attempt
from carecloud_async._calls.call.cached_calls import CacheUse
from carecloud_async._calls.call.call_errors import invalid_response, transport_error, with_unknown_outcome
from carecloud_async._calls.call.context import ClientContext, ViewOptions
from carecloud_async._calls.call.limiter_turns import LimiterTurns
from carecloud_async._calls.call.operation import Answer, RawResponse
from carecloud_async._calls.call.report import CallReport
from carecloud_async._calls.call.requests import PreparedCall, RequestBuilder
from carecloud_async._calls.call.retry import Failure, FailureKind
from carecloud_async.errors import ApiError, CareCloudError, NotFoundError, RequestTimeoutError

T = TypeVar("T")

#: A body from this size on, in bytes, waits for its turn to be decoded; it takes a tenth of a millisecond.
LARGE_BODY = 32 * 1024
#: A body from this size on, in bytes, is decoded in slices if possible.
HUGE_BODY = 256 * 1024
#: How long a call is retried (seconds) if CareCloud has not answered this client yet and, at its address, nothing
#: listens or something else answers: a wrong address is more likely than a server that is down.
FIRST_CONTACT_SECONDS = 3.0


class CallExecution(Generic[T]):
    """One call.

    Args:
        context: state that all views share.
        options: the view's own settings.
        builder: builds a new request for each attempt.
        tokens: the identity's tokens, or `None` for a call that carries none of the identity's.
        cache: how the call uses the cache, or `None` for a call without it.

    Attributes:
        answer: the result and its response; `None` until it is there.
    """

    answer: Answer[T] | None = None
    _attempt: Attempt | None = None  # the attempt under way, or the last one
    _failure: Failure | None = None  # the last failed attempt that is followed by another
    _may_have_happened = False

    def __init__(
        self,
        context: ClientContext,
        options: ViewOptions,
        call: PreparedCall,
        *,
        builder: RequestBuilder,
        tokens: Tokens | None,
        cache: CacheUse | None = None,
    ) -> None:
        self._context = context
        self._options = options
        self.call: PreparedCall = call
        self._builder = builder
        self._tokens = tokens
        self._cache = cache
        self._report = CallReport(context, call, tokens=tokens)
        self._turns = LimiterTurns(context, self._report, seconds=options.timeout.limiter_seconds)

    async def run(self) -> T:
        """Make the call and return its result. One record describes it, however it ends.

        Raises:
            CareCloudError: see `carecloud_async.errors`.
        """
        context, turns = self._context, self._turns
        self._report.begin()
        try:
            answer = None if self._cache is None else await self._reuse(self._cache)
            if answer is None:
                context.budget.deposit()
                with context.running.begin(seconds=self._require_time()) as turns.scope:
                    try:
                        # The loop is not a function of its own: every frame stands in the user's tracebacks.
                        while True:
                            received = await self._next_attempt().send(context.http)
                            outcome = received if isinstance(received, Failure) else await self._decoded(received)
                            self._report_attempt(outcome)
                            if isinstance(outcome, Failure):
                                outcome = self._gone(outcome) or outcome
                            if isinstance(outcome, Answer):
                                answer = outcome
                                break
                            await self._wait_before_retry(outcome)
                    finally:
                        context.running.remove(turns.scope)
                if answer is None:
                    self._interrupted()
        except CareCloudError as failed:
            error = with_unknown_outcome(failed, self.call.operation) if self._may_have_happened else failed
            self._end(error)
            raise error  # noqa: B904  (it has its cause)
        except BaseException as error:
            self._end(error)
            raise
        self.answer = answer
        self._end(answer.response)
        return answer.data

    async def _reuse(self, cache: CacheUse) -> Answer[T] | None:
        """Return what the cache has for this call; `None` if it has to be sent.

        Raises:
            ResponseError: this call's decoder cannot read the answer of another call.
        """
        response = await cache.find(self._report, seconds=self._time_left() + self._turns.seconds_left)
        if response is None:
            return None
        self._report.cached, self._report.headers = response, response.headers
        outcome = await self._decoded(response)
        if isinstance(outcome, Failure):
            raise outcome.error
        return outcome

    def _next_attempt(self) -> Attempt:
        request, report = self._builder.build(self.call), self._report
        report.statuses.append(None)
        report.notify("attempt_started", len(report.statuses), request.headers)
        self._attempt = attempt = Attempt(
            request, report, tokens=self._tokens, turns=self._turns, clock=self._context.clock
        )
        return attempt

    def _no_time_left(self) -> CareCloudError:
        """Return the error of a call that timed out between two attempts: the last attempt's, if there was one."""
        if self._failure is not None:
            return self._failure.error
        return transport_error(RequestTimeoutError, self.call.operation, "no time left to send it")

    def _time_left(self, total: float | None = None) -> float:
        """Return the rest of `Timeout.total`, or of `total`; waits for the rate limiter have a bound of their own."""
        spent = self._context.clock.monotonic() - self._report.started - self._turns.seconds
        return (self._options.timeout.total if total is None else total) - spent

    def _require_time(self) -> float:
        """Return the rest of the call's time; raise if it is over."""
        left = self._time_left()
        if left <= 0:
            raise self._no_time_left()
        return left

    async def _decoded(self, response: RawResponse) -> Answer[T] | Failure:
        """Decode a response; return a failure if it cannot be read. Before a large one, other tasks may run."""
        request, body = self.call.request, response.body
        try:
            if len(body) < LARGE_BODY:
                return Answer(request.decode(body), response)
            if self._attempt is not None:
                self._turns.scope.deadline = math.inf  # the answer came in time
            if request.slices is None or len(body) < HUGE_BODY:
                await self._context.computing.turn()
                return Answer(request.decode(body), response)
            return Answer(await self._context.computing.run(request.slices(body)), response)
        except codec.Malformed as error:
            return self._unreadable(error, response)

    def _unreadable(self, error: codec.Malformed, response: RawResponse) -> Failure:
        # A 204 has no body, so none was lost: a retry would get the same answer.
        kind = FailureKind.PERMANENT
        if response.status != HTTPStatus.NO_CONTENT:
            if isinstance(error, BrokenJson):
                kind = FailureKind.INVALID_RESPONSE
            elif self._is_read and self._context.answered and not has_data(response.body):
                kind = FailureKind.FOREIGN
        problem = f"{error} (status {response.status}{self.call.page}, id {self._report.correlation_id})"
        failed = invalid_response(self.call.operation, problem, status=response.status)
        failed.is_retryable = kind is not FailureKind.PERMANENT and self.call.operation.safe_to_repeat
        return Failure(kind=kind, error=failed, may_have_happened=True)

    @property
    def _is_read(self) -> bool:
        return self.call.operation.method == "GET" and not self.call.request.login

    def _report_attempt(self, outcome: Answer[T] | Failure) -> None:
        """Report the attempt's outcome to the rate limiter and the observers."""
        report, failure = self._report, outcome if isinstance(outcome, Failure) else None
        status = outcome.response.status if isinstance(outcome, Answer) else getattr(outcome.error, "status", None)
        report.statuses[-1] = status
        report.headers = None if self._attempt is None else self._attempt.headers
        throttled = failure if failure is not None and failure.kind is FailureKind.THROTTLED else None
        self._turns.end_attempt(answered=status is not None, refusal=throttled)
        report.notify("attempt_ended", len(report.statuses), status, None if failure is None else failure.error)
        if throttled is not None:
            report.notify("throttled", throttled.retry_after, self._context.rate_limiter.rate)
        if failure is None or isinstance(failure.error, ApiError):
            self._context.answered = True
        self._may_have_happened |= failure is not None and failure.may_have_happened

    def _gone(self, failure: Failure) -> Answer[T] | None:
        """Return success for a DELETE that gets a 404 because an earlier attempt may have deleted the record.

        A DELETE with a body still fails: an id in the body may be wrong.
        """
        call = self.call
        is_delete = call.operation.method == "DELETE" and call.body is None
        if not (self._may_have_happened and is_delete and isinstance(failure.error, NotFoundError)):
            return None
        response = RawResponse(204, {}, b"", self._context.clock.monotonic(), len(self._report.statuses))
        return Answer(call.request.decode(b""), response)

    async def _wait_before_retry(self, failure: Failure) -> None:
        """Wait until the call may be sent again; raise the error of a failure after which it may not."""
        context = self._context
        if context.closed or context.http.client.is_closed:
            raise self._closed_error()
        wait = self._options.retry.decide(
            failure,
            attempt=len(self._report.statuses),
            safe_to_repeat=self.call.operation.safe_to_repeat,
            random=context.random.random,
        )
        if wait is not None and failure.doubts_address and not context.answered:
            left = self._time_left(FIRST_CONTACT_SECONDS)
            wait = min(wait, left) if left > (failure.retry_after or 0) else None
        if (
            wait is None
            or wait >= min(self._time_left(), self._turns.fresh_seconds)
            or not context.budget.try_withdraw()
        ):
            raise failure.error
        self._report.notify("retry_scheduled", wait, failure.kind)
        self._failure, self._attempt = failure, None
        await context.clock.sleep(wait)
        self._turns.scope.deadline = loop_time() + self._require_time()

    def _interrupted(self) -> NoReturn:
        """Raise the error of a call whose scope was cancelled: the client was closed, or time ran out.

        Raises:
            CareCloudError: always.
        """
        attempt = self._attempt
        self._may_have_happened |= attempt is not None and attempt.sent
        if self._context.closed:
            raise self._closed_error()
        if self._turns.waiting:
            raise self._turns.error()
        raise self._no_time_left() if attempt is None else attempt.timed_out()

    def _closed_error(self) -> CareCloudError:
        return self._context.closed_error(under_way=f"while {self.call.operation.title} was under way")

    def _end(self, outcome: RawResponse | BaseException) -> None:
        """Report the end of the call: the response of its result, or its error."""
        if self._turns.gave_up and self._attempt is not None:
            self._report.statuses.pop()  # this attempt never left
        if self._cache is not None:
            # The server may still carry out an attempt whose outcome is unknown.
            self._cache.end(outcome, lost=self._may_have_happened or None in self._report.statuses)
        self._report.end(
            outcome if isinstance(outcome, BaseException) else None,
            limiter_seconds=self._turns.seconds,
            sent=self._attempt is not None and self._attempt.sent,
        )
