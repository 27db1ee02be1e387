"""One record for each call: for the log, and for the user's metrics. Nothing in it is secret or personal."""

from __future__ import annotations

import logging
from collections.abc import Callable

from attrs import frozen

_log = logging.getLogger("carecloud_async")


@frozen(kw_only=True)
class CallRecord:
    """What became of one call.

    Attributes:
        method: the HTTP method.
        path: the path template.
        status: the last HTTP status, `None` if no answer came.
        seconds: how long it took in all: gate, login, repeats and waits included.
        attempts: how often it was sent.
        correlation_id: 16 hex digits, also on the error.
        error: the class name of the error that was raised, if any.
    """

    method: str
    path: str
    status: int | None
    seconds: float
    attempts: int
    correlation_id: str
    error: str | None = None


OnCall = Callable[[CallRecord], None]


def report(record: CallRecord, on_call: OnCall | None) -> None:
    """Log the record on `carecloud_async` (INFO, or WARNING with an error) and hand it to the user's hook."""
    level = logging.INFO if record.error is None else logging.WARNING
    if _log.isEnabledFor(level):
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
    if on_call is not None:
        on_call(record)
