"""One attempt: a request goes out, and comes back as a reply or as a failure that can be judged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anyio
from attrs import frozen

from carecloud_async.auth.flow import mark_sent, was_sent
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    ConnectionFailedError,
    OutcomeUnknownError,
    RequestTimeoutError,
    ResponseError,
    TransportError,
)
from carecloud_async.http import Cause, Door, cause_of
from carecloud_async.operations import Operation
from carecloud_async.retry import Failure, Trouble
from carecloud_async.wire import parse_error

_SERVER_TROUBLE = {500, 502, 503, 504}
_REFUSED = 429


@frozen
class Reply:
    """An answer with a success status.

    Attributes:
        status: the HTTP status.
        headers: the answer's headers.
        body: its bytes, decompressed.
        sent_at: when the attempt began, on the monotonic clock.
    """

    status: int
    headers: Any
    body: bytes
    sent_at: float


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

    async def send(self, door: Door, *, seconds: float, now: float, wall: float) -> Reply | Failure:
        """Send it, for so many seconds at most."""
        request = self.request
        if self.auth is None:
            mark_sent(request)
        failed: Cause | None = None
        with anyio.move_on_after(seconds) as scope:
            try:
                response = await door.client.send(request, auth=self.auth, follow_redirects=False)
            except Exception as error:
                failed = cause_of(error, door)
                if failed is None:
                    raise
        if scope.cancelled_caught:
            return self._timed_out()
        if failed is not None:
            return self._failed(failed)
        if not door.owned:
            door.forget_cookies(response)
        if response.is_success:
            return Reply(response.status_code, response.headers, response.content, now)
        return self._refused(response, wall)

    def _timed_out(self) -> Failure:
        cause = Cause(trouble=Trouble.LOST if was_sent(self.request) else Trouble.NOT_SENT, timeout=True, text="total")
        # The caller's time is up: whatever the trouble, nothing is left to try again with.
        return Failure(trouble=Trouble.FINAL, error=self._transport_error(cause))

    def _failed(self, cause: Cause) -> Failure:
        if cause.garbled:
            error = ResponseError(
                f"{self._where()}: the answer cannot be unpacked ({cause.text})",
                method=self.operation.method,
                path=self.operation.path,
            )
            return Failure(trouble=Trouble.FINAL, error=error)
        return Failure(trouble=cause.trouble, error=self._transport_error(cause))

    def _transport_error(self, cause: Cause) -> TransportError:
        where = {"method": self.operation.method, "path": self.operation.path}
        if cause.trouble is Trouble.LOST and not self.operation.safe_to_repeat:
            return OutcomeUnknownError(
                f"{self._where()}: sent, and the answer was lost ({cause.text}): it may have happened, look before "
                "sending it again",
                **where,
            )
        if cause.timeout:
            return RequestTimeoutError(f"{self._where()}: no answer in time ({cause.text})", **where)
        what = "the server was not reached" if cause.trouble is Trouble.NOT_SENT else "the server hung up"
        return ConnectionFailedError(f"{self._where()}: {what} ({cause.text})", **where)

    def _refused(self, response: Any, wall: float) -> Failure:
        status = response.status_code
        if status < 400:
            error = ResponseError(
                f"{self._where()}: the server redirects ({status}), which the API never does: check project_url",
                method=self.operation.method,
                path=self.operation.path,
                status=status,
            )
            return Failure(trouble=Trouble.FINAL, error=error)
        api_error = self._api_error(response, status, wall)
        trouble = (
            Trouble.REFUSED if status == _REFUSED else Trouble.SERVER if status in _SERVER_TROUBLE else Trouble.FINAL
        )
        if trouble is Trouble.SERVER and not self.operation.safe_to_repeat:
            api_error.is_retryable = False
        return Failure(trouble=trouble, error=api_error, retry_after=api_error.retry_after)

    def _api_error(self, response: Any, status: int, wall: float) -> ApiError:
        refused_login = self.login and 400 <= status < 500 and status not in {408, 425, _REFUSED}
        hint = None
        if refused_login:
            hint = "the login was refused: check the credentials, external_application_id and project_url"
        elif status == 401:
            hint = "the server refuses a token that was just renewed"
        return parse_error(
            status,
            response.headers,
            response.content,
            method=self.operation.method,
            path=self.operation.path,
            now=datetime.fromtimestamp(wall, UTC),
            kind=AuthenticationError if refused_login else None,
            hint=hint,
        )

    def _where(self) -> str:
        return f"{self.operation.method} {self.operation.path}"
