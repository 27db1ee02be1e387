"""Errors of a call: no usable answer, a wait that is too long, a write whose outcome is unknown."""

from __future__ import annotations

from typing import TypeVar

from carecloud_async._calls.call.operation import Operation
from carecloud_async.errors import (
    CareCloudError,
    OutcomeUnknownError,
    RateLimitError,
    ResponseError,
    TransportError,
)
from carecloud_async.fixes import LOOK_FIRST, Fix

E = TypeVar("E", bound=TransportError | ResponseError)


def transport_error(kind: type[E], operation: Operation, problem: str, *, fix: Fix | None = None) -> E:
    """Return the error of a call without a usable answer; it names the call."""
    return kind(f"{operation.title}: {problem}", method=operation.method, path=operation.path, fix=fix)


def invalid_response(
    operation: Operation, problem: str, *, status: int | None = None, fix: Fix | None = None
) -> ResponseError:
    """Return the error of an answer that the API does not allow."""
    error = transport_error(ResponseError, operation, problem, fix=fix)
    error.status = status
    return error


def limiter_timeout(operation: Operation, *, seconds: float | None, again: bool) -> RateLimitError:
    """Return the error of a call that would wait too long for the client's own rate limiter.

    Args:
        operation: what was called.
        seconds: the wait from now on.
        again: whether it was sent before.
    """
    hint = f"not sent{' again' if again else ''}: the wait at the rate limiter is longer than Timeout(limiter=…) allows"
    return RateLimitError(status=429, method=operation.method, path=operation.path, retry_after=seconds, hint=hint)


def with_unknown_outcome(error: CareCloudError, operation: Operation) -> CareCloudError:
    """Return the error of a call whose request may have been carried out, in its last attempt or in an earlier one.

    Args:
        error: the error of its last attempt.
        operation: what was called.

    Returns:
        For a write that must not be repeated, an `OutcomeUnknownError` with the error as its cause; otherwise the same
        error, marked as a write that may have happened.
    """
    if not operation.outcome_matters or isinstance(error, OutcomeUnknownError):
        return error
    if not operation.safe_to_repeat:
        unknown = OutcomeUnknownError(error.problem, method=operation.method, path=operation.path, fix=LOOK_FIRST)
        unknown.correlation_id, unknown.__cause__ = error.correlation_id, error
        return unknown
    error.may_have_happened, error.fix = True, LOOK_FIRST
    return error
