"""Call: one call, from its request to its answer or error, and its record. Each wait gets the rest of the time."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import anyio

from carecloud_async._base import codec
from carecloud_async._base.codec.answers import refusal
from carecloud_async._base.runtime.event_loops import cancellation_requested
from carecloud_async._calls.auth.token import Token
from carecloud_async._calls.auth.tokens import UNAUTHORIZED, Tokens
from carecloud_async._calls.call import failure
from carecloud_async._calls.call.cache_use import CacheUse
from carecloud_async._calls.call.events import (
    AnswerHeaders,
    CallRecord,
    error_name,
    is_logged,
    log_call,
)
from carecloud_async._calls.call.facts import Facts, Stage
from carecloud_async._calls.call.failure import request_id, transport_error
from carecloud_async._calls.call.operation import Answer, RawResponse
from carecloud_async._calls.call.retry import Failure, FailureKind
from carecloud_async._calls.http.outgoing import OutgoingRequest
from carecloud_async._calls.http.redaction import Hiding
from carecloud_async._calls.http.timeout import OutOfTimeError, Permits, Waiting
from carecloud_async.errors import (
    ApiError,
    CareCloudError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    RequestTimeoutError,
)
from carecloud_async.fixes import FEWER_AT_ONCE, LOOK_FIRST

T = TypeVar("T")
S = TypeVar("S")

#: A body from this size on, in bytes, waits for its turn to be decoded; it takes a tenth of a millisecond.
LARGE_BODY = 32 * 1024
#: A body from this size on, in bytes, is decoded in slices if possible.
HUGE_BODY = 256 * 1024
#: How long a call is retried (seconds) if CareCloud has not answered this client yet and, at its address, nothing
#: listens or something else answers: a wrong address is more likely than a server that is down.
FIRST_CONTACT_SECONDS = 3.0


class Call(Facts[T]):
    """One call, which collects its facts while it is made; see `Facts` for the arguments.

    Attributes:
        answer: the result and its response; `None` until it is there.
        limiter_seconds: the time that the call has waited for the rate limiter.
    """

    began: float
    cached: RawResponse | None
    headers: Mapping[str, str] | None
    stage: Stage
    replayed: bool

    # As in `Facts`, what most calls never change is read from the class.
    answer: Answer[T] | None = None
    limiter_seconds: float = 0.0
    _failure: Failure | None = None  # the last failed attempt that is followed by another
    _slot: int | None = None  # of the rate limiter
    _may_have_happened: bool = False

    async def run(self, build: Callable[[Call[Any]], OutgoingRequest], cache: CacheUse | None) -> T:
        """Make the call and return its result. One record describes it, however it ends.

        Args:
            build: makes the request of an attempt.
            cache: how the call uses the cache, or `None` for a call without it.

        Raises:
            CareCloudError: see `carecloud_async.errors`.
        """
        context = self.context
        error: CareCloudError | None = None
        answer: Answer[T] | None = None
        self.begin()
        context.running.begin()
        try:
            if cache is not None:
                answer = await self._reuse(cache)
            if answer is None:
                # The loop is not a function of its own: every frame stands in the user's tracebacks.
                while True:
                    received = await self._attempt(build)
                    if len(self.statuses) == 1:  # not before: the shares of calls that begin together would be lost
                        context.budget.deposit()
                    outcome = received if isinstance(received, Failure) else await self._decoded(received)
                    self._end_attempt(outcome)
                    if isinstance(outcome, Failure):
                        outcome = self._gone(outcome) or outcome
                    if isinstance(outcome, Answer):
                        answer = outcome
                        break
                    await self._wait_before_retry(outcome)
        except OutOfTimeError:
            error = self._interrupted()
        except CareCloudError as failed:
            error = failed
        except BaseException as other:
            self._end(other, cache)
            raise
        finally:
            context.running.end()
        if answer is None:
            assert error is not None  # noqa: S101  (there is no other outcome)
            error = self._with_unknown_outcome(error)
            self._end(error, cache)
            raise error
        self.answer = answer
        self._end(answer.response, cache)
        return answer.data

    async def _reuse(self, cache: CacheUse) -> Answer[T] | None:
        """Return what the cache has for this call; `None` if it has to be sent.

        Raises:
            ResponseError: this call's decoder cannot read the answer of another call.
        """
        response = await cache.find(seconds=self.time_left() + self.limiter_left)
        if response is None:
            return None
        self.cached, self.headers = response, response.headers
        outcome = await self._decoded(response)
        if isinstance(outcome, Failure):
            raise outcome.error
        return outcome

    async def _attempt(self, build: Callable[[Call[Any]], OutgoingRequest]) -> RawResponse | Failure:
        """Send the request, and once more after a 401 that another token may cure.

        Raises:
            CareCloudError: its login failed, or the call's time is over.
            Exception: raised by a user's own code: a provider, a hook, a transport.
        """
        self.require_time()
        request, tokens, http = build(self), self.tokens, self.context.http
        self.statuses.append(None)
        self.notify("attempt_started", len(self.statuses), request.headers)
        self.stage, self.replayed = Stage.TOKEN, False
        self.began = self.context.clock.monotonic()
        token: Token | None = None
        try:
            if tokens is not None and self.operation.authorized:
                token = tokens.current() or await self._within(tokens.get())
            while True:  # until an answer that no other token would change
                if token is not None:
                    request.set_bearer(token.value)
                    self.sent_tokens.append(token.value)
                self.stage = Stage.CONNECTION
                permits = http.permits
                if permits is not None and not permits.try_take():
                    await self._wait_for_permit(permits)
                try:
                    await self._take_slot()
                    left = self.require_time()
                    self.stage = Stage.SENT  # from here on, no response may mean that a write succeeded
                    response = await http.send(request, left)
                except BaseException:
                    if self.stage is Stage.SENT and request.is_tracked and not request.is_departed:
                        self.stage = Stage.CONNECTION  # it was not written yet
                    raise
                finally:
                    if permits is not None:
                        permits.release()
                if tokens is None or response.status_code != UNAUTHORIZED:
                    break
                another = await self._after_401(tokens, token, failure.body_of(response, http.http_library) or b"")
                if another is None:
                    break
                token = another
                self.notify("attempt_resent", len(self.statuses), request.headers, response.status_code)
        except anyio.get_cancelled_exc_class():
            if cancellation_requested() or not http.client.is_closed:
                raise
            raise OutOfTimeError from None  # a pool that is closed cancels those that wait for a connection
        except Exception as error:  # noqa: BLE001  (classified there, and raised if it is not the HTTP library's)
            if self.context.closed or isinstance(error, OutOfTimeError):
                raise OutOfTimeError from None
            return failure.of_exception(self, error, http)
        return failure.of_response(self, response, http.http_library)

    async def _after_401(self, tokens: Tokens, token: Token | None, body: bytes) -> Token | None:
        if refusal(body) is None:  # something else answered
            return None
        self.stage = Stage.TOKEN
        if token is None:
            return await self._within(tokens.get())
        another = await self._within(tokens.after_401(token, replayed=self.replayed))
        self.replayed |= another is not None
        return another

    async def _wait_for_permit(self, permits: Permits) -> None:
        """Wait for a permit for a connection: within the transport, a request waits for nothing.

        A login is the first to get one, because other calls wait for it.

        Raises:
            RateLimitError: the wait would be longer than the time that is left.
        """
        limiter, running, ahead = self.context.rate_limiter, self.context.running, self.request.login
        if not limiter.is_holding:
            await permits.take(running, self.time_left(), ahead=ahead)
        elif limiter.delay() > self.limiter_left:  # those that have the permits wait for their slots
            raise self._limiter_error()
        else:
            await self._wait_at_limiter(lambda seconds: permits.take(running, seconds, ahead=ahead))

    async def _take_slot(self) -> None:
        """Take a slot of the rate limiter: the request leaves next.

        Raises:
            RateLimitError: the wait would be longer than the time that is left.
            RequestTimeoutError: it is too late to send the request.
        """
        self.check_age()
        limiter, is_login = self.context.rate_limiter, self.request.login
        if self._slot is not None:
            limiter.on_success(self._slot)  # a 401 came, which another token may cure
        self._slot = limiter.try_acquire()
        if self._slot is None:
            self._slot = await self._wait_at_limiter(lambda seconds: limiter.acquire(ahead=is_login, seconds=seconds))
            if self._slot is None:
                raise self._limiter_error()

    async def _wait_at_limiter(self, wait: Callable[[float], Coroutine[Any, Any, S]]) -> S:
        """Wait for a slot: that counts against `Timeout.limiter`, and not against the call's total time."""
        before = self.context.clock.monotonic()
        self.stage = Stage.LIMITER
        try:
            seconds = max(self.limiter_left, 0.0)
            result = await self._within(wait(seconds), seconds=seconds)
        finally:
            self.limiter_seconds += self.context.clock.monotonic() - before
        self.stage = Stage.CONNECTION
        return result

    def _limiter_error(self) -> CareCloudError:
        """Return the error of a call that cannot wait for its turn: the server's own, if it refused the call before."""
        self.stage = Stage.GIVEN_UP
        if self._failure is not None and self._failure.kind is FailureKind.THROTTLED:
            return self._failure.error
        sent = "not sent again" if self.replayed or len(self.statuses) > 1 else "not sent"
        hint = f"{sent}: the wait at the rate limiter is longer than Timeout(limiter=…) allows"
        method, path, seconds = self.operation.method, self.operation.path, self.context.rate_limiter.delay()
        return RateLimitError(status=429, method=method, path=path, retry_after=seconds, hint=hint, fix=FEWER_AT_ONCE)

    def _with_unknown_outcome(self, error: CareCloudError) -> CareCloudError:
        """Return the error of the call, given that of its last attempt.

        If any attempt may have been carried out, a write that must not be repeated gets an `OutcomeUnknownError` with
        the error as its cause, and the error of another write is marked.
        """
        operation = self.operation
        is_known = not self._may_have_happened or not operation.outcome_matters
        if is_known or isinstance(error, OutcomeUnknownError):
            return error
        if operation.safe_to_repeat:
            error.may_have_happened, error.fix = True, LOOK_FIRST
            return error
        unknown = OutcomeUnknownError(error.problem, method=operation.method, path=operation.path, fix=LOOK_FIRST)
        unknown.correlation_id, unknown.__cause__ = error.correlation_id, error
        return unknown

    async def _within(self, waiting: Coroutine[Any, Any, S], *, seconds: float | None = None) -> S:
        """Wait within the rest of the call's time, or some seconds, and as long as the client is open.

        Raises:
            OutOfTimeError: the time is over, or the client was closed.
        """
        with Waiting(self.context.running, self.time_left() if seconds is None else seconds):
            return await waiting

    async def _decoded(self, response: RawResponse) -> Answer[T] | Failure:
        """Decode a response; return a failure if it cannot be read. Before a large one, other tasks may run.

        The answer came in time: its decoding is not bound to the call's.
        """
        request, body = self.request, response.body
        try:
            if len(body) < LARGE_BODY:
                return Answer(request.decode(body), response)
            if request.slices is None or len(body) < HUGE_BODY:
                await self.context.computing.turn()
                return Answer(request.decode(body), response)
            return Answer(await self.context.computing.run(request.slices(body)), response)
        except codec.Malformed as error:
            return failure.of_unreadable(self, error, response)

    def _end_attempt(self, outcome: Answer[T] | Failure) -> None:
        """Report the attempt's outcome to the rate limiter and the observers."""
        failed, limiter = outcome if isinstance(outcome, Failure) else None, self.context.rate_limiter
        status = outcome.response.status if isinstance(outcome, Answer) else getattr(outcome.error, "status", None)
        self.statuses[-1] = status
        slot, self._slot = self._slot, None
        if slot is not None and failed is not None and failed.kind is FailureKind.THROTTLED:
            limiter.on_throttled(slot, retry_after=failed.retry_after)
        elif slot is not None and status is not None:
            limiter.on_success(slot)
        self.notify("attempt_ended", len(self.statuses), status, None if failed is None else failed.error)
        if failed is None or isinstance(failed.error, ApiError):
            self.context.answered = True
        self._may_have_happened |= failed is not None and failed.may_have_happened

    def _gone(self, failed: Failure) -> Answer[T] | None:
        """Return success for a DELETE that gets a 404 because an earlier attempt may have deleted the record.

        A DELETE with a body still fails: an id in the body may be wrong.
        """
        is_delete = self.operation.method == "DELETE" and self.body is None
        if not (self._may_have_happened and is_delete and isinstance(failed.error, NotFoundError)):
            return None
        response = RawResponse(204, {}, b"", self.context.clock.monotonic(), len(self.statuses))
        return Answer(self.request.decode(b""), response)

    async def _wait_before_retry(self, failed: Failure) -> None:
        """Wait until the call may be sent again; raise the error of a failure after which it may not."""
        context = self.context
        if context.is_over:
            raise self._closed_error()
        wait = self.options.retry.decide(
            failed,
            attempt=len(self.statuses),
            safe_to_repeat=self.operation.safe_to_repeat,
            random=context.random.random,
        )
        if wait is not None and failed.doubts_address and not context.answered:
            left = self.time_left(FIRST_CONTACT_SECONDS)
            wait = min(wait, left) if left > (failed.retry_after or 0) else None
        if wait is None or wait >= min(self.time_left(), self.fresh_seconds) or not context.budget.try_withdraw():
            raise failed.error
        self.notify("retry_scheduled", wait, failed.kind)
        self._failure, self.stage = failed, Stage.IDLE
        await self._within(context.clock.sleep(wait))

    def _interrupted(self) -> CareCloudError:
        """Return the error of a call that was interrupted: the client was closed, or time ran out."""
        self._may_have_happened |= self.sent
        if self.context.is_over:
            return self._closed_error()
        match self.stage:
            case Stage.LIMITER:
                return self._limiter_error()
            case Stage.IDLE if self._failure is not None:
                return self._failure.error
            case Stage.IDLE:
                return transport_error(RequestTimeoutError, self.operation, "no time left to send it")
        return failure.timed_out(self)

    def _closed_error(self) -> CareCloudError:
        return self.context.closed_error(under_way=f"while {self.operation.title} was under way")

    def _end(self, outcome: RawResponse | BaseException, cache: CacheUse | None) -> None:
        """Report the end of the call: the response of its result, or its error."""
        if self.stage is Stage.GIVEN_UP:
            self.statuses.pop()  # this attempt never left
        if cache is not None:
            # The server may still carry out an attempt whose outcome is unknown.
            cache.end(outcome, lost=self._may_have_happened or None in self.statuses)
        self._report(outcome if isinstance(outcome, BaseException) else None)

    @property
    def limiter_left(self) -> float:
        """The time that the call may still wait at the limiter."""
        return min(self.options.timeout.limiter_seconds - self.limiter_seconds, self.fresh_seconds)

    @property
    def fresh_seconds(self) -> float:
        """The time after which a request is too old to be written."""
        return self.latest - self.context.clock.monotonic()

    def check_age(self) -> None:
        """Raise if the request is too old to be written.

        Raises:
            RequestTimeoutError: it is.
        """
        if self.latest < math.inf and self.context.clock.monotonic() > self.latest:
            self.stage = Stage.GIVEN_UP
            problem = "not sent: its connection or its token came too late"
            raise transport_error(RequestTimeoutError, self.operation, problem)

    def time_left(self, total: float | None = None) -> float:
        """Return the rest of `Timeout.total`, or of `total`; waits for the rate limiter have a bound of their own."""
        spent = self.context.clock.monotonic() - self.started - self.limiter_seconds
        return (self.options.timeout.total if total is None else total) - spent

    def require_time(self) -> float:
        """Return the rest of the time; raise if there is none."""
        left = self.time_left()
        if left <= 0:
            raise OutOfTimeError
        return left

    def _report(self, error: BaseException | None) -> None:
        """Hand out the record of the call, with its error if it failed."""
        if isinstance(error, CareCloudError):
            # A failed login is logged already; its error keeps the id of that log line.
            error.correlation_id = error.correlation_id or self.correlation_id
        name = None if error is None else error_name(error)
        logged = is_logged(name)
        if not self.observers and not logged:
            return
        record = self._record(name)
        if logged:
            log_call(record, sent=self.sent)
        self.notify("call_ended", record)

    def _record(self, error: str | None) -> CallRecord:
        operation, headers, statuses = self.operation, self.headers, self.statuses
        status = self.cached.status if self.cached is not None else statuses[-1] if statuses else None
        return CallRecord(
            method=operation.method,
            path=operation.path,
            status=status,
            seconds=self.context.clock.monotonic() - self.started,
            attempts=len(statuses),
            correlation_id=self.correlation_id,
            error=error,
            operation=operation.call if operation.operation_id else "",
            headers={} if headers is None else AnswerHeaders(headers),
            request_id=None if headers is None else request_id(headers, lambda text: Hiding(self.secrets())(text)),
            limiter_seconds=self.limiter_seconds,
            attempt_statuses=tuple(statuses),
            offset=self.offset,
            count=self.count,
            cached=self.cached is not None,
        )
