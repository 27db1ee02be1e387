"""One record for each call: for the log, and for the user's metrics. Nothing in it is secret or personal."""

from __future__ import annotations

import logging
from collections.abc import Callable

from attrs import frozen

_log = logging.getLogger("carecloud_async")
_hook_log = logging.getLogger("carecloud_async.on_call")


@frozen(kw_only=True)
class CallRecord:
    """What became of one call.

    Attributes:
        method: the HTTP method.
        path: the path template.
        status: the last HTTP status, `None` if no answer came.
        seconds: how long it took in all: rate_limiter, login, repeats and waits included.
        attempts: how often it was sent; the second sending after a 401, with a new token, belongs to the first.
        correlation_id: 16 hex digits, also on the error.
        error: the class name of the error that was raised, if any; a cancelled call has one too.
    """

    method: str
    path: str
    status: int | None
    seconds: float
    attempts: int
    correlation_id: str
    error: str | None = None


#: What asyncio and trio call a task that was told to stop: somebody's wish, no trouble.
_CANCELLED = {"CancelledError", "Cancelled"}

OnCall = Callable[[CallRecord], None]


def report(record: CallRecord, on_call: OnCall | None) -> None:
    """Log the record on `carecloud_async` (INFO, or WARNING with an error) and hand it to the user's hook.

    A call that was cancelled is told at INFO, as one that went well.

    A hook that raises breaks no call and hides no error: what it raised is logged on `carecloud_async.on_call`.
    """
    level = logging.INFO if record.error is None or record.error in _CANCELLED else logging.WARNING
    if _log.isEnabledFor(level):
        _write(record, level)
    if on_call is not None:
        try:
            on_call(record)
        except Exception:  # noqa: BLE001  (a hook for metrics may raise anything, and must cost no answer)
            _hook_log.exception("the on_call hook raised")


def _write(record: CallRecord, level: int) -> None:
    _log.log(
        level,
        "%s %s -> %s in %.1f ms, attempts %d, id %s",
        record.method,
        record.path,
        record.status if record.error is None else f"{record.status or 'no answer'} ({record.error})",
        record.seconds * 1000,
        record.attempts,
        record.correlation_id,
        extra={
            "carecloud_method": record.method,
            "carecloud_path": record.path,
            "carecloud_status": record.status,
            "carecloud_milliseconds": round(record.seconds * 1000, 3),
            "carecloud_attempts": record.attempts,
            "carecloud_correlation_id": record.correlation_id,
            "carecloud_error": record.error,
        },
    )
