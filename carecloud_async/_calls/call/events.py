"""Observation of calls: one record for each call, and the events for logs, hooks and telemetry.

Nothing in a record or an event is secret or personal, except for the answer's own headers.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from attrs import field, frozen

from carecloud_async._base.project import Project
from carecloud_async._calls.call.operation import Operation
from carecloud_async._calls.call.retry import FailureKind
from carecloud_async.errors import ConfigurationError
from carecloud_async.models.field_docs import with_field_docs

__all__ = ["CallRecord"]

_log = logging.getLogger("carecloud_async")
_log.addHandler(logging.NullHandler())  # an application without logging sees nothing of ours on stderr
_hook_log = logging.getLogger("carecloud_async.on_call")
_observer_log = logging.getLogger("carecloud_async.observers")

#: Headers of an answer that a record leaves out.
_WITHHELD = frozenset(
    {"set-cookie", "set-cookie2", "authorization", "proxy-authorization", "www-authenticate", "location"}
)

#: Class names of a cancelled task's exception on asyncio and trio: a cancellation is not a failure.
_CANCELLED = {"CancelledError", "Cancelled"}


class AnswerHeaders(Mapping[str, str]):
    """Headers of an answer without cookies, credentials and URLs; names are case-insensitive.

    Args:
        headers: all headers of the answer; they are filtered on first access.
    """

    __slots__ = ("_headers",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __getitem__(self, name: str) -> str:
        if name.lower() in _WITHHELD:
            raise KeyError(name)
        return self._headers[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._headers if name.lower() not in _WITHHELD)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


@with_field_docs
@frozen(kw_only=True)
class CallRecord:
    """Outcome of one call."""

    method: str
    """The HTTP method."""
    path: str
    """The path template."""
    status: int | None
    """The last HTTP status, `None` if no answer came."""
    seconds: float
    """Its whole duration, including the rate limiter, login, retries and waits."""
    attempts: int
    """The number of times it was sent; the second sending after a 401, with a new token, belongs to the first."""
    correlation_id: str
    """16 hex digits, also on the error."""
    error: str | None = None
    """The class name of the error that was raised, if any; a cancelled call has one too."""
    operation: str = ""
    """The dotted name of the method that was called, such as `customers.list`; empty for calls that the SDK has no
    method for.
    """
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    """The last answer's headers, without cookies and credentials; names in any case."""
    request_id: str | None = None
    """The server's id of the request, where it sends one."""
    limiter_seconds: float = 0.0
    """The part of `seconds` that was spent waiting for the rate limiter."""
    attempt_statuses: tuple[int | None, ...] = ()
    """The HTTP status of each attempt, `None` for one without an answer."""
    offset: int | None = None
    """The offset of the page that was asked for, of a list."""
    count: int | None = None
    """The number of records that the page was asked for, of a list."""
    cached: bool = False
    """Whether the answer is from the `ResponseCache`, or from an identical call under way: nothing was sent, `attempts`
    is 0, and `status`, `headers` and `request_id` are those of the original answer.
    """


OnCall = Callable[[CallRecord], None]


@frozen(kw_only=True, eq=False)
class CallStart:
    """A call that began; the same object is handed to every event of the call.

    Attributes:
        operation: the operation, with its verb and path template.
        correlation_id: as on the record and on errors.
        login: whether it is sent on behalf of a login or logout.
    """

    operation: Operation
    correlation_id: str
    login: bool


class CallObserver:
    """Receiver of events, for telemetry. Each method does nothing here; override those of interest.

    All are called in the task that makes the call, in order; a login that a call waits for begins and ends between the
    start and the end of the call's attempt. They must be quick. Their exceptions are logged and change no call.

    An attempt that an exception ends (a login that failed, a timeout, a cancellation) has no end of its own: it ends
    with the call.
    """

    def call_started(self, call: CallStart) -> None:
        """Called when a call begins."""

    def call_ended(self, call: CallStart, record: CallRecord) -> None:
        """Called when a call has ended, with a result or an error."""

    def attempt_started(self, call: CallStart, number: int, headers: MutableMapping[str, str]) -> None:
        """Called when an attempt begins, the first one being number 1; headers may be added to its request."""

    def attempt_ended(self, call: CallStart, number: int, status: int | None, error: BaseException | None) -> None:
        """Called when an attempt has ended: with the response's status if one came, and the error if it failed."""

    def attempt_resent(self, call: CallStart, number: int, headers: MutableMapping[str, str], status: int) -> None:
        """Called when an attempt is sent again with another token; headers may be added to its request.

        Args:
            number: the number of the attempt.
            headers: the headers of the second request.
            status: the status of the answer to the first one, mostly 401.
        """

    def retry_scheduled(self, call: CallStart, seconds: float, kind: FailureKind) -> None:
        """Called before a call waits to be sent again, because of a failure of this kind."""

    def cache_missed(self, call: CallStart) -> None:
        """Called when a call missed the cache and has to be sent; the record reports a hit."""


class Telemetry(Protocol):
    """Makes an observer for each client that it is given to, such as `carecloud_async.otel.OpenTelemetry`."""

    def observer(self, project: Project, rate: Callable[[], float | None]) -> CallObserver:
        """Return the observer of one client.

        Args:
            project: where the client's calls go.
            rate: returns the rate of its rate limiter in calls per second, `None` while unlimited.
        """
        ...


class _HookObserver(CallObserver):
    """Hands each record to the user's `on_call` hook."""

    def __init__(self, on_call: OnCall) -> None:
        self._on_call = on_call

    def call_ended(self, call: CallStart, record: CallRecord) -> None:
        del call
        try:
            self._on_call(record)
        except Exception:  # noqa: BLE001  (a hook for metrics may raise anything, and must not lose an answer)
            _hook_log.exception("the on_call hook raised")


class _Recording(CallObserver):
    """Collects the records of one `record_calls` block."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []
        self.ended = False

    def call_ended(self, call: CallStart, record: CallRecord) -> None:
        del call
        if not self.ended:  # a task that was started inside may outlive the block
            self.records.append(record)


#: The observers of the blocks that the running task is in, each with the context of the client that it is for.
_watching: ContextVar[tuple[tuple[object, CallObserver], ...]] = ContextVar("carecloud_watching", default=())


def observer_of(on_call: OnCall | None) -> tuple[CallObserver, ...]:
    """Return the observers that call a user's `on_call` hook; none without a hook.

    Raises:
        ConfigurationError: it is not a plain function.
    """
    if on_call is None:
        return ()
    if not callable(on_call) or inspect.iscoroutinefunction(on_call):
        raise ConfigurationError("on_call must be a plain function that takes a CallRecord; it is not awaited")
    return (_HookObserver(on_call),)


def observers_now(owner: object, observers: tuple[CallObserver, ...]) -> tuple[CallObserver, ...]:
    """Return a client's observers and those of the `watched` blocks that the running task is in."""
    watching = _watching.get()
    if not watching:
        return observers
    return (*observers, *(observer for client, observer in watching if client is owner))


@contextmanager
def watched(owner: object, observer: CallObserver) -> Iterator[None]:
    """Hand the events of one client's calls in this block, and in tasks that are started in it, to an observer.

    Args:
        owner: the client's context; calls of other clients are not watched.
        observer: the observer; it may get events of such tasks after the block has ended.
    """
    before = _watching.set((*_watching.get(), (owner, observer)))
    try:
        yield
    finally:
        _watching.reset(before)


@contextmanager
def record_calls(owner: object) -> Iterator[list[CallRecord]]:
    """Collect a record for each call of one client made in this block, and in tasks that are started in it.

    Args:
        owner: the client's context.
    """
    recording = _Recording()
    with watched(owner, recording):
        try:
            yield recording.records
        finally:
            recording.ended = True


def notify(observers: Iterable[CallObserver], event: str, *args: Any) -> None:
    """Call one method of each observer; an observer's exception is logged on `carecloud_async.observers`.

    Args:
        event: the method's name; see `CallObserver`.
        *args: its arguments.
    """
    for observer in observers:
        try:
            getattr(observer, event)(*args)
        except Exception:  # noqa: BLE001  (an observer may raise anything, and must not lose an answer)
            _observer_log.exception("an observer of calls raised in %s", event)


def error_name(error: BaseException) -> str:
    """Return the class name of an error, as records have it.

    On trio a call that is cancelled while it connects ends with a group of cancellations: it has the name of one.
    """
    if isinstance(error, BaseExceptionGroup) and not isinstance(error, Exception):
        return error_name(error.exceptions[0])
    return type(error).__name__


def is_logged(error: str | None) -> bool:
    """Return whether the outcome of a call would be logged now."""
    return _log.isEnabledFor(_level(error))


def is_cancellation(error: str) -> bool:
    """Return whether the class name of a record's error is that of a cancelled task."""
    return error in _CANCELLED


def _level(error: str | None) -> int:
    """A cancelled call is logged at INFO, like a successful one."""
    return logging.INFO if error is None or is_cancellation(error) else logging.WARNING


def log_call(record: CallRecord, *, sent: bool) -> None:
    """Log a record on `carecloud_async`: at INFO, or at WARNING with an error.

    Args:
        sent: whether the last attempt was sent; `False` if its login failed or the server was not reached.
    """
    page = "" if record.count is None else f" (offset {record.offset or 0}, count {record.count})"
    outcome: object = f"{record.status} (cached)" if record.cached else record.status
    if record.error is not None:
        unanswered = "cancelled" if is_cancellation(record.error) else "no answer" if sent else "not sent"
        outcome = f"{record.status or unanswered} ({record.error})"
    _log.log(
        _level(record.error),
        "%s %s%s -> %s in %.1f ms, attempts %d, id %s",
        record.method,
        record.path,
        page,
        outcome,
        record.seconds * 1000,
        record.attempts,
        record.correlation_id,
        extra={
            "carecloud_method": record.method,
            "carecloud_path": record.path,
            "carecloud_operation": record.operation,
            "carecloud_offset": record.offset,
            "carecloud_count": record.count,
            "carecloud_status": record.status,
            "carecloud_milliseconds": round(record.seconds * 1000, 3),
            "carecloud_limiter_milliseconds": round(record.limiter_seconds * 1000, 3),
            "carecloud_attempts": record.attempts,
            "carecloud_correlation_id": record.correlation_id,
            "carecloud_request_id": record.request_id,
            "carecloud_error": record.error,
            "carecloud_cached": record.cached,
        },
    )
