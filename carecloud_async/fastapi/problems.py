"""Problems: what an error of the SDK means for the application's own clients (RFC 9457).

A problem reveals nothing of CareCloud's answer: no prose, no paths, no values. It has what a client can act on: the
status, a code, and after bad input the names and reasons.
"""

from __future__ import annotations

import math
from http import HTTPStatus

from attrs import evolve

from carecloud_async.errors import (
    AuthenticationError,
    BadRequestError,
    CareCloudError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    ExportError,
    NotFoundError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    SessionExpiredError,
    TokenStoreError,
    WrongEventLoopError,
)
from carecloud_async.outbox import KeyInUseError, OutboxError
from carecloud_async.webhooks.problem import DEFAULT_RETRY_AFTER, Problem

NOT_FOUND = Problem(status=404, code="not_found", detail="There is no such record.")
INVALID = Problem(status=422, code="invalid_request", detail="The request was refused; see errors.")
SESSION_EXPIRED = Problem(status=401, code="session_expired", detail="The session is over: log in again.")
LOGIN_REFUSED = Problem(status=401, code="login_refused", detail="The login was refused.")
CONFLICT = Problem(status=409, code="conflict", detail="The record was changed: read it again.")
KEY_IN_USE = Problem(
    status=409,
    code="key_in_use",
    detail="Another request with this key and other content is waiting or has failed: use another key.",
)
NO_SESSION = Problem(status=401, code="not_logged_in", detail="No customer is logged in.")
BUSY = Problem(status=503, code="upstream_busy", detail="Too many requests at the moment: try again later.")
UNAVAILABLE = Problem(status=503, code="unavailable", detail="Not available at the moment: try again later.")
TIMEOUT = Problem(status=504, code="upstream_timeout", detail="The upstream server did not answer in time.")
UNKNOWN = Problem(
    status=504,
    code="outcome_unknown",
    detail="It may have happened: look before you send it again.",
)
FAILED = Problem(status=502, code="upstream_failed", detail="The upstream server failed.")
BROKEN = Problem(status=500, code="internal_error", detail="Something is wrong here.")

#: Every status that a problem may have, with its meaning for the OpenAPI document.
STATUSES = {
    401: "The session is over, or no customer is logged in",
    404: "No such record",
    409: "The record was changed meanwhile, or the key is used by another request",
    422: "Refused input, with the reasons",
    502: "The upstream server failed",
    503: "Busy or not available; see Retry-After",
    504: "The upstream server did not answer in time",
}


def problem_of(error: CareCloudError) -> Problem:
    """Return the problem document for a failed call."""
    problem = _kind(error)
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        problem = evolve(problem, retry_after=_retry_after(error))
    if problem is INVALID and isinstance(error, BadRequestError):
        problem = evolve(problem, errors=error.invalid_params)
    return evolve(problem, correlation_id=error.correlation_id)


def _kind(error: CareCloudError) -> Problem:
    match error:
        case CareCloudError(may_have_happened=True):
            return UNKNOWN
        case NotFoundError():
            return NOT_FOUND
        case BadRequestError():
            return INVALID
        case SessionExpiredError():
            return SESSION_EXPIRED
        case AuthenticationError():
            return LOGIN_REFUSED if error.login_refused else FAILED
        case RateLimitError():
            return BUSY
        case ServerError(status=503):
            return UNAVAILABLE
        case RequestTimeoutError() | ServerError(status=504):
            return TIMEOUT
        case ConflictError():
            return CONFLICT
        case KeyInUseError():
            return KEY_IN_USE
        case TokenStoreError() | ClientClosedError():
            return UNAVAILABLE
        case ConfigurationError() | WrongEventLoopError() | ExportError() | OutboxError():
            return BROKEN
    return FAILED


def _retry_after(error: CareCloudError) -> int:
    seconds = getattr(error, "retry_after", None)
    return DEFAULT_RETRY_AFTER if seconds is None else max(1, math.ceil(seconds))
