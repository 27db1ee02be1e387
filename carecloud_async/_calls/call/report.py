"""CallReport: the facts about one call that observers and the log receive."""

from __future__ import annotations

from typing import Any

from carecloud_async._calls.auth.tokens import Tokens, sent_logins
from carecloud_async._calls.call.call_errors import request_id
from carecloud_async._calls.call.call_secrets import CallSecrets
from carecloud_async._calls.call.context import ClientContext
from carecloud_async._calls.call.events import (
    AnswerHeaders,
    CallObserver,
    CallRecord,
    CallStart,
    error_name,
    is_logged,
    log_call,
    notify,
    observers_now,
)
from carecloud_async._calls.call.operation import RawResponse
from carecloud_async._calls.call.requests import PreparedCall
from carecloud_async.errors import CareCloudError


class CallReport:
    """Tells the observers of one call what happens to it, and describes it in one record when it has ended.

    It does not refer to the execution. The execution refers to its attempt, and the attempt to this object: a cycle
    would keep the answer in memory until a full garbage collection.

    Args:
        context: state that all views share.
        tokens: the identity's tokens, or `None` for a call that carries none of the identity's.

    Attributes:
        secrets: what no error and no record shows of the answers.
        started: when the call began, on the monotonic clock.
        correlation_id: as on the record and on errors.
        statuses: the status of each attempt; `None` for one without an answer.
        headers: those of the last answer.
        cached: the cached answer of another call, if this call returns it.
    """

    __slots__ = (
        "_clock",
        "_observers",
        "_start",
        "cached",
        "call",
        "correlation_id",
        "headers",
        "secrets",
        "started",
        "statuses",
    )

    def __init__(self, context: ClientContext, call: PreparedCall, *, tokens: Tokens | None) -> None:
        self._clock = context.clock
        self._observers: tuple[CallObserver, ...] = observers_now(context, context.observers)
        self._start: CallStart | None = None
        self.call: PreparedCall = call
        self.secrets: CallSecrets = CallSecrets(call, tokens)
        self.started: float = context.clock.monotonic()
        self.correlation_id: str = f"{context.random.getrandbits(64):016x}"
        self.statuses: list[int | None] = []
        self.headers: Any = None
        self.cached: RawResponse | None = None

    def begin(self) -> None:
        """Notify the observers that the call begins."""
        if self._observers:
            call = self.call
            self._start = CallStart(
                operation=call.operation, correlation_id=self.correlation_id, login=call.request.login
            )
            if call.request.login:
                sent_logins.add(self._start)
            self.notify("call_started")

    def notify(self, event: str, *args: Any) -> None:
        """Call a method of each observer, if there are any; see `events.notify`."""
        if self._start is not None:
            notify(self._observers, event, self._start, *args)

    def end(self, error: BaseException | None, *, limiter_seconds: float, sent: bool) -> None:
        """Hand out the record of a call that has ended.

        Args:
            error: how it failed, if it did.
            limiter_seconds: how long it waited for the rate limiter.
            sent: whether its last attempt was sent.
        """
        if isinstance(error, CareCloudError):
            # A failed login is logged already; its error keeps the id of that log line.
            error.correlation_id = error.correlation_id or self.correlation_id
        name = None if error is None else error_name(error)
        logged = is_logged(name)
        if not self._observers and not logged:
            return
        record = self._record(name, limiter_seconds)
        if logged:
            log_call(record, sent=sent)
        self.notify("call_ended", record)

    def _record(self, error: str | None, limiter_seconds: float) -> CallRecord:
        call, headers, statuses = self.call, self.headers, self.statuses
        status = self.cached.status if self.cached is not None else statuses[-1] if statuses else None
        return CallRecord(
            method=call.operation.method,
            path=call.operation.path,
            status=status,
            seconds=self._clock.monotonic() - self.started,
            attempts=len(statuses),
            correlation_id=self.correlation_id,
            error=error,
            operation=call.operation.call if call.operation.operation_id else "",
            headers={} if headers is None else AnswerHeaders(headers),
            request_id=None if headers is None else request_id(headers, self.secrets.hide),
            limiter_seconds=limiter_seconds,
            attempt_statuses=tuple(statuses),
            offset=call.offset,
            count=call.count,
            cached=self.cached is not None,
        )
