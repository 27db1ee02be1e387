"""One attempt: a request goes out, and comes back as a response or as a failure that can be judged."""

from __future__ import annotations

from datetime import UTC, datetime
from types import ModuleType
from typing import Any, cast

import anyio
from attrs import frozen

from carecloud_async.auth.flow import mark_sent, was_sent
from carecloud_async.auth.login_backoff import refuses_login
from carecloud_async.calls.failures import TransportFailure, classify
from carecloud_async.calls.operation import Operation
from carecloud_async.calls.retry import Failure, FailureKind
from carecloud_async.calls.wire import parse_error
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    ConnectionFailedError,
    OutcomeUnknownError,
    RequestTimeoutError,
    ResponseError,
    TransportError,
)
from carecloud_async.http.client import HttpClient
from carecloud_async.runtime.clock import Clock

_TROUBLE = dict.fromkeys((500, 502, 503, 504), FailureKind.SERVER) | {429: FailureKind.REFUSED}


@frozen
class RawResponse:
    """An answer with a success status.

    Attributes:
        status: the HTTP status.
        headers: the answer's headers.
        body: its bytes, decompressed.
        sent_at: when the attempt began, on the monotonic clock.
        attempts: how often the call was sent until this came; see `CallRecord.attempts`.
    """

    status: int
    headers: Any
    body: bytes
    sent_at: float
    attempts: int = 1


def broken_answer(operation: Operation, problem: str, *, status: int | None) -> ResponseError:
    """Make the error of an answer that is not what the API promises."""
    return ResponseError(f"{operation.title}: {problem}", method=operation.method, path=operation.path, status=status)


def _body(response: Any, family: ModuleType) -> bytes | None:
    """Return an answer's body, or `None` if a user's hook took it off the stream."""
    try:
        return cast("bytes", response.content)
    except family.ResponseNotRead:
        return None


@frozen(kw_only=True)
class Attempt:
    """A request that is ready to leave.

    Attributes:
        operation: what it asks for.
        request: the family's request object.
        auth: the family's auth flow, or `None` for a request that brings its own header or none.
        login: whether it is a login: any refusal is then about the credentials.
    """

    operation: Operation
    request: Any
    auth: Any
    login: bool = False

    async def send(self, http: HttpClient, *, seconds: float, clock: Clock) -> RawResponse | Failure:
        """Send it, for so many seconds at most.

        Raises:
            CareCloudError: its login failed.
            Exception: what a user's own code raised: a provider, a hook, a transport.
        """
        outcome: RawResponse | Failure | None = None
        with anyio.move_on_after(seconds):
            outcome = await self._exchange(http, clock)
        return self._timed_out() if outcome is None else outcome

    async def _exchange(self, http: HttpClient, clock: Clock) -> RawResponse | Failure:
        now = clock.monotonic()
        if self.auth is None:
            mark_sent(self.request)
        try:
            response = await http.send(self.request, auth=self.auth)
        except Exception as error:
            cause = classify(error, family=http.family, sent=was_sent(self.request))
            if cause is None:
                raise
        else:
            if response.is_success:
                body = _body(response, http.family)
                if body is None:
                    return self._broken("a response hook has consumed the answer: let it read with response.aread()")
                # httpx ties the answer and its stream into a circle, which would keep every page's body until a full
                # garbage collection.
                response.stream = http.family.ByteStream(body)
                return RawResponse(response.status_code, response.headers, body, now)
            return self._refused(response, _body(response, http.family) or b"", clock)
        return self._failed(cause)

    def _timed_out(self) -> Failure:
        # The caller's time is up: whatever the trouble, nothing is left to try again with.
        cause = TransportFailure(trouble=FailureKind.FINAL, sent=was_sent(self.request), timeout=True, text="total")
        return self._failed(cause)

    def _failed(self, cause: TransportFailure) -> Failure:
        if cause.garbled:
            return self._broken(f"the answer cannot be unpacked ({cause.text})")
        return Failure(trouble=cause.trouble, error=self._transport_error(cause))

    def _transport_error(self, cause: TransportFailure) -> TransportError:
        where = {"method": self.operation.method, "path": self.operation.path}
        if cause.sent and not self.operation.safe_to_repeat:
            return OutcomeUnknownError(
                f"{self.operation.title}: sent, and the answer was lost ({cause.text}): it may have happened, look "
                "before sending it again",
                **where,
            )
        if cause.timeout:
            return RequestTimeoutError(f"{self.operation.title}: no answer in time ({cause.text})", **where)
        what = "the server hung up" if cause.sent else "the server was not reached"
        error = ConnectionFailedError(f"{self.operation.title}: {what} ({cause.text})", **where)
        error.is_retryable = cause.trouble is not FailureKind.FINAL
        return error

    def _broken(self, problem: str, *, status: int | None = None) -> Failure:
        return Failure(trouble=FailureKind.FINAL, error=broken_answer(self.operation, problem, status=status))

    def _refused(self, response: Any, body: bytes, clock: Clock) -> Failure:
        status = response.status_code
        if status < 400:
            return self._broken(
                f"the server redirects ({status}), which the API never does: check project_url", status=status
            )
        error = self._api_error(response, status, body, clock)
        trouble = _TROUBLE.get(status, FailureKind.FINAL)
        if trouble is FailureKind.SERVER and not self.operation.safe_to_repeat:
            error.is_retryable = False
        return Failure(trouble=trouble, error=error, retry_after=error.retry_after)

    def _api_error(self, response: Any, status: int, body: bytes, clock: Clock) -> ApiError:
        refused_login = self.login and refuses_login(status)
        hint = None
        if refused_login:
            hint = "the login was refused: check the credentials, external_application_id and project_url"
        elif status == 401:
            hint = "the server refuses a token that was just renewed"
        return parse_error(
            status,
            response.headers,
            body,
            method=self.operation.method,
            path=self.operation.path,
            now=datetime.fromtimestamp(clock.time(), UTC),
            kind=AuthenticationError if refused_login else None,
            hint=hint,
        )
