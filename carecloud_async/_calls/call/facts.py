"""CallFacts: what is known of one call: its request, what happened to it so far, and the record that describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carecloud_async._base.codec.json_text import load
from carecloud_async._calls.auth.secret import secrets_of
from carecloud_async._calls.auth.tokens import Tokens, sent_logins
from carecloud_async._calls.call.call_errors import Hiding, request_id, texts_under_names
from carecloud_async._calls.call.context import ClientContext, ViewOptions
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
from carecloud_async._calls.call.operation import CallRequest, Operation, RawResponse
from carecloud_async._calls.http.timeout import OutOfTimeError
from carecloud_async.errors import CareCloudError


class CallFacts:
    """Collects the facts of one call, notifies its observers, and makes its record.

    Args:
        context: state that all views share.
        options: the view's own settings.
        request: the call's arguments, which were checked.
        target: the path and query below the version.
        body: the encoded body, if any.
        tokens: the identity's tokens, or `None` for a call that carries none of the identity's.

    Attributes:
        started: when the call began, on the monotonic clock.
        latest: when a request becomes too old to be written.
        correlation_id: as on the record and on errors.
        statuses: the status of each attempt; `None` for one without an answer.
        began: when the last attempt began, on the monotonic clock.
        sent: whether the last attempt may have had an effect: true from the moment of sending, false again after a
            refusal that is due to the token.
        handed_over: whether the HTTP library has the request, and has not answered it yet.
        replays: how often the last attempt was sent with another token after a 401.
        sent_tokens: the tokens that the call was sent with.
        headers: those of the last answer.
        cached: the cached answer of another call, if this call returns it.
        limiter_seconds: the time that the call has waited for the rate limiter.
    """

    began: float = 0.0
    sent: bool = False
    handed_over: bool = False
    replays: int = 0
    headers: Mapping[str, str] | None = None
    cached: RawResponse | None = None
    limiter_seconds: float = 0.0
    _start: CallStart | None = None

    def __init__(
        self,
        context: ClientContext,
        options: ViewOptions,
        request: CallRequest[Any],
        *,
        target: str,
        body: bytes | None,
        tokens: Tokens | None,
    ) -> None:
        self.context = context
        self.options = options
        self.request = request
        self.operation: Operation = request.operation
        self.target = target
        self.body = body
        self.tokens = tokens
        self.started: float = context.clock.monotonic()
        self.latest: float = self.started + request.within
        self.correlation_id: str = f"{context.random.getrandbits(64):016x}"
        self.statuses: list[int | None] = []
        self.sent_tokens: list[str] = []
        self._observers: tuple[CallObserver, ...] = observers_now(context, context.observers)

    @property
    def is_login(self) -> bool:
        """Whether any refusal is about credentials."""
        return self.request.login and not self.operation.path.endswith("/logout")

    @property
    def offset(self) -> int | None:
        """The first record of the requested page of a list."""
        return _number(self.request.params, "offset")

    @property
    def count(self) -> int | None:
        """The size of the requested page of a list."""
        return _number(self.request.params, "count")

    @property
    def page(self) -> str:
        """The requested page for error messages; empty for other calls."""
        return "" if self.count is None else f", offset {self.offset or 0}, count {self.count}"

    def secrets(self) -> frozenset[str]:
        """Return what no error and no record shows of the answers: what arguments, tokens and identity hold."""
        request = self.request
        secrets = [*self.sent_tokens, *texts_under_names(request.path_params), *texts_under_names(request.params)]
        if request.bearer is not None:
            secrets.append(request.bearer)
        if self.body:
            secrets += texts_under_names(load(self.body))
        if self.tokens is not None:
            secrets += secrets_of(self.tokens.provider)
        return frozenset(filter(None, secrets))

    @property
    def limiter_left(self) -> float:
        """The time that the call may still wait at the limiter."""
        return min(self.options.timeout.limiter_seconds - self.limiter_seconds, self.fresh_seconds)

    @property
    def fresh_seconds(self) -> float:
        """The time after which a request is too old to be written."""
        return self.latest - self.context.clock.monotonic()

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

    def begin(self) -> None:
        """Notify the observers that the call begins."""
        if self._observers:
            login = self.request.login
            self._start = CallStart(operation=self.operation, correlation_id=self.correlation_id, login=login)
            if login:
                sent_logins.add(self._start)
            self.notify("call_started")

    def notify(self, event: str, *args: Any) -> None:
        """Call a method of each observer, if there are any; see `events.notify`."""
        if self._start is not None:
            notify(self._observers, event, self._start, *args)

    def end(self, error: BaseException | None) -> None:
        """Hand out the record of a call that has ended.

        Args:
            error: how it failed, if it did.
        """
        if isinstance(error, CareCloudError):
            # A failed login is logged already; its error keeps the id of that log line.
            error.correlation_id = error.correlation_id or self.correlation_id
        name = None if error is None else error_name(error)
        logged = is_logged(name)
        if not self._observers and not logged:
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


def _number(params: Mapping[str, Any] | None, name: str) -> int | None:
    value = None if params is None else params.get(name)
    return value if type(value) is int else None
