"""Run one call: wait for the rate limiter, send, retry, report."""

from __future__ import annotations

import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Generic, NoReturn, TypeVar

import anyio

from carecloud_async._base import codec
from carecloud_async._base.codec.malformed import BrokenJson
from carecloud_async._base.runtime.event_loops import loop_time
from carecloud_async._calls.auth.manager import TokenManager, sent_logins
from carecloud_async._calls.call.attempt import Attempt
from carecloud_async._calls.call.call_errors import invalid_response, transport_error, with_unknown_outcome
from carecloud_async._calls.call.context import ClientContext, ViewOptions
from carecloud_async._calls.call.events import (
    AnswerHeaders,
    CallEvents,
    CallObserver,
    CallRecord,
    CallStart,
    error_name,
    is_logged,
    log_call,
    observers_now,
)
from carecloud_async._calls.call.limiter_turns import LimiterTurns
from carecloud_async._calls.call.raw_response import RawResponse
from carecloud_async._calls.call.requests import PreparedCall, RequestBuilder
from carecloud_async._calls.call.retry import Failure, FailureKind
from carecloud_async._calls.call.wire import request_id
from carecloud_async.errors import ApiError, CareCloudError, NotFoundError, RequestTimeoutError

T = TypeVar("T")

#: A body from this size on, in bytes, waits for its turn to be decoded; it takes a tenth of a millisecond.
LARGE_BODY = 32 * 1024
#: A body from this size on, in bytes, is decoded in slices if possible.
HUGE_BODY = 256 * 1024
#: How long a call is repeated (seconds) while CareCloud has answered no call of the client, and none listens at its
#: address or something else answers there: the address is more likely wrong than the server is away.
FIRST_CONTACT_SECONDS = 3.0


class CallExecution(Generic[T]):
    """One call.

    Args:
        context: state that all views share.
        options: the view's own settings.
        call: the call.
        builder: builds a new request for each attempt.
        tokens: the identity's tokens, or `None` for a call that carries none of the identity's.

    Attributes:
        call: the call.
        response: the response of the result; `None` until it is received.
    """

    response: RawResponse | None = None
    _attempt: Attempt | None = None  # the attempt under way, or the last one
    _failure: Failure | None = None  # the last failed attempt that is followed by another
    _headers: Any = None  # those of the last answer
    _events: CallEvents | None = None  # for the observers; `None` without any, and before the call begins
    _cached = False
    _may_have_happened = False
    _waited = False  # since the scope got its deadline
    _result: T
    _scope: anyio.CancelScope

    def __init__(
        self,
        context: ClientContext,
        options: ViewOptions,
        call: PreparedCall,
        *,
        builder: RequestBuilder,
        tokens: TokenManager | None,
    ) -> None:
        self._context = context
        self._options = options
        self.call: PreparedCall = call
        self._builder = builder
        self._tokens = tokens
        self._decode: Callable[[bytes], T] = call.request.decode
        self._statuses: list[int | None] = []
        self._started = context.clock.monotonic()
        self._id = f"{context.random.getrandbits(64):016x}"
        self._observers: tuple[CallObserver, ...] = observers_now(context, context.observers)
        self._turns = LimiterTurns(
            context, seconds=options.timeout.limiter_seconds, operation=call.operation, ahead=call.request.login
        )

    async def run(self) -> T:
        """Make the call and return its result. One record describes it, however it ends.

        Raises:
            CareCloudError: see `carecloud_async.errors`.
        """
        context = self._context
        context.budget.deposit()
        if self._observers:
            self.begin()
        try:
            with context.running.begin(seconds=self._require_time()) as scope:
                self._scope = self._turns.scope = scope
                try:
                    # The loop is not a function of its own: every frame stands in the user's tracebacks.
                    while True:
                        await self._turns.prepare()
                        outcome = await self._next_attempt().send(context.http)
                        if isinstance(outcome, Failure):
                            failure: Failure | None = outcome
                        else:
                            if len(outcome.body) >= LARGE_BODY:
                                scope.deadline = math.inf  # the answer came in time
                            failure = await self._try_decode(outcome)
                        wait = self._handle_outcome(failure)
                        if wait is None:
                            break
                        self._waited = True
                        await context.clock.sleep(wait)
                finally:
                    context.running.remove(scope)
            if scope.cancelled_caught:
                self._interrupted()
        except CareCloudError as failed:
            error = with_unknown_outcome(failed, self.call.operation) if self._may_have_happened else failed
            self.fail(error)
            raise error  # noqa: B904  (it has its cause)
        except BaseException as error:
            self.fail(error)
            raise
        self._end(None)
        return self._result

    def begin(self) -> None:
        """Notify the observers, once, that the call begins."""
        if self._observers and self._events is None:
            login = self.call.request.login
            start = CallStart(operation=self.call.operation, correlation_id=self._id, login=login)
            if login:
                sent_logins.add(start)
            self._events = self._turns.events = CallEvents(self._observers, start)
            self._events.notify("call_started")

    def fail(self, error: BaseException) -> None:
        """Report that the call ended with an error."""
        if isinstance(error, CareCloudError):
            # A failed login is logged already; its error keeps the id of that log line.
            error.correlation_id = error.correlation_id or self._id
        self._end(error)

    def missed(self) -> None:
        """Notify the observers of a cache miss."""
        self._notify("cache_missed")

    async def conclude(self, response: RawResponse) -> T:
        """Return the result of another call's response, and report this call.

        Before a large one is decoded, other tasks may run.

        Raises:
            ResponseError: this call's decoder cannot read it.
        """
        self._cached, self._headers = True, response.headers
        try:
            failure = await self._try_decode(response)
        except BaseException as error:
            self.fail(error)
            raise
        if failure is not None:
            self.fail(failure.error)
            raise failure.error
        self._end(None)
        return self._result

    @property
    def seconds_left(self) -> float:
        """The rest of the call's time, including the time for the rate limiter."""
        return self._time_left() + self._turns.seconds_left

    @property
    def lost_an_answer(self) -> bool:
        """Whether an attempt has no conclusive answer, so that the server may still carry it out later."""
        return self._may_have_happened or None in self._statuses

    def _next_attempt(self) -> Attempt:
        if self._waited:  # otherwise the deadline stays the one of the call's beginning
            self._scope.deadline = loop_time() + self._require_time()
        request = self._builder.build(self.call)
        self._statuses.append(None)
        number = len(self._statuses)
        if self._events is not None:  # otherwise the headers are never made
            self._events.notify("attempt_started", number, request.headers)
        self._attempt = attempt = Attempt(
            self.call,
            request,
            tokens=self._tokens,
            turns=self._turns,
            clock=self._context.clock,
            number=number,
            events=self._events,
        )
        return attempt

    def _no_time_left(self) -> CareCloudError:
        """Return the error of a call that timed out between two attempts: the last attempt's, if there was one."""
        if self._failure is not None:
            return self._failure.error
        return transport_error(RequestTimeoutError, self.call.operation, "no time left to send it")

    def _time_left(self, total: float | None = None) -> float:
        """Return the rest of `Timeout.total`, or of `total`; waits for the rate limiter have a bound of their own."""
        spent = self._context.clock.monotonic() - self._started - self._turns.seconds
        return (self._options.timeout.total if total is None else total) - spent

    def _require_time(self) -> float:
        """Return the rest of the call's time; raise if it is over."""
        left = self._time_left()
        if left <= 0:
            raise self._no_time_left()
        return left

    def _handle_outcome(self, failure: Failure | None) -> float | None:
        """Report the attempt; return the seconds to wait before the next one, or `None` if there is a result."""
        self._report_attempt(failure)
        if failure is None or isinstance(failure.error, ApiError):
            self._context.answered = True
        if failure is None:
            return None
        self._may_have_happened |= failure.may_have_happened
        if self._may_have_happened and self._is_gone(failure):
            self.response = RawResponse(204, {}, b"", self._context.clock.monotonic(), len(self._statuses))
            self._result = self._decode(b"")
            return None
        return self._wait_before_retry(failure)

    async def _try_decode(self, response: RawResponse) -> Failure | None:
        """Decode a response into the result; return a failure if it cannot be read."""
        self.response = response
        try:
            if len(response.body) < LARGE_BODY:
                self._result = self._decode(response.body)
            else:
                self._result = await self._decode_in_turns(response.body)
        except codec.Malformed as error:
            return self._unreadable(error, response)
        return None

    async def _decode_in_turns(self, body: bytes) -> T:
        """Decode a large body, alternating with other tasks that compute."""
        slices = self.call.request.slices
        if slices is None or len(body) < HUGE_BODY:
            await self._context.computing.turn()
            return self._decode(body)
        return await self._context.computing.run(slices(body))

    def _unreadable(self, error: codec.Malformed, response: RawResponse) -> Failure:
        # An answer that promises no body has lost none: it would come again.
        is_damaged = isinstance(error, BrokenJson) and response.status != HTTPStatus.NO_CONTENT
        kind = FailureKind.INVALID_RESPONSE if is_damaged else FailureKind.PERMANENT
        problem = f"{error} (status {response.status}{self.call.page}, id {self._id})"
        failed = invalid_response(self.call.operation, problem, status=response.status)
        failed.is_retryable = kind is FailureKind.INVALID_RESPONSE and self.call.operation.safe_to_repeat
        return Failure(kind=kind, error=failed, may_have_happened=True)

    def _report_attempt(self, failure: Failure | None) -> None:
        """Report the attempt's outcome to the rate limiter and the observers."""
        attempt = self._attempt
        if failure is None or failure.kind is FailureKind.INVALID_RESPONSE:
            status = None if self.response is None else self.response.status
        else:
            status = getattr(failure.error, "status", None)
        self._statuses[-1] = status
        self._headers = None if attempt is None else attempt.headers
        throttled = failure if failure is not None and failure.kind is FailureKind.THROTTLED else None
        self._turns.end_attempt(answered=status is not None, refusal=throttled)
        self._notify("attempt_ended", len(self._statuses), status, None if failure is None else failure.error)
        if throttled is not None:
            self._notify("throttled", throttled.retry_after, self._context.rate_limiter.rate)

    def _is_gone(self, failure: Failure) -> bool:
        """Return whether a DELETE finds its record gone. With a body it does not count: an id may be a mistake."""
        call = self.call
        return call.operation.method == "DELETE" and call.body is None and isinstance(failure.error, NotFoundError)

    def _wait_before_retry(self, failure: Failure) -> float:
        context = self._context
        if context.closed or context.http.client.is_closed:
            raise self.closed_error()
        wait = self._options.retry.decide(
            failure,
            attempt=len(self._statuses),
            safe_to_repeat=self.call.operation.safe_to_repeat,
            random=context.random.random,
        )
        if wait is not None and failure.doubts_address and not context.answered:
            left = self._time_left(FIRST_CONTACT_SECONDS)
            wait = min(wait, left) if left > (failure.retry_after or 0) else None
        if wait is None or wait >= self._time_left() or not context.budget.try_withdraw():
            raise failure.error
        self._notify("retry_scheduled", wait, failure.kind)
        self._failure, self._attempt = failure, None
        return wait

    def _interrupted(self) -> NoReturn:
        """Raise the error of a call whose scope was cancelled: the client was closed, or time ran out.

        Raises:
            CareCloudError: always.
        """
        attempt = self._attempt
        self._may_have_happened |= attempt is not None and attempt.sent
        if self._context.closed:
            raise self.closed_error()
        if self._turns.waiting:
            raise self._turns.error()
        raise self._no_time_left() if attempt is None else attempt.timed_out()

    def closed_error(self) -> CareCloudError:
        """Return the error of a call that the closing of the client ended."""
        return self._context.closed_error(under_way=f"while {self.call.operation.title} was under way")

    def _notify(self, event: str, *args: Any) -> None:
        """Notify the observers, if there are any."""
        if self._events is not None:
            self._events.notify(event, *args)

    def _end(self, error: BaseException | None) -> None:
        name = None if error is None else error_name(error)
        if not self._observers and not is_logged(name):
            return
        record = self._record(name)
        if is_logged(name):
            log_call(record, sent=self._attempt is not None and self._attempt.sent)
        self._notify("call_ended", record)

    def _record(self, error: str | None) -> CallRecord:
        call, headers = self.call, self._headers
        statuses = self._statuses
        if self._turns.gave_up and self._attempt is not None:
            statuses = statuses[:-1]  # this attempt never left
        status = statuses[-1] if statuses else None
        if self._cached and self.response is not None:
            status = self.response.status
        return CallRecord(
            method=call.operation.method,
            path=call.operation.path,
            status=status,
            seconds=self._context.clock.monotonic() - self._started,
            attempts=len(statuses),
            correlation_id=self._id,
            error=error,
            operation=call.operation.call if call.operation.operation_id else "",
            headers={} if headers is None else AnswerHeaders(headers),
            request_id=None if headers is None else request_id(headers),
            limiter_seconds=self._turns.seconds,
            attempt_statuses=tuple(statuses),
            offset=call.offset,
            count=call.count,
            cached=self._cached,
        )
