"""The error of a failed write: whether its outcome is unknown."""

from __future__ import annotations

from carecloud_async.calls.operation import Operation
from carecloud_async.errors import CareCloudError, OutcomeUnknownError
from carecloud_async.fixes import LOOK_FIRST


def with_unknown_outcome(error: CareCloudError, operation: Operation) -> CareCloudError:
    """Return the error of a call whose request may have been carried out, in its last attempt or in an earlier one.

    Args:
        error: the error of its last attempt.
        operation: what was called.

    Returns:
        For a write that must not be repeated, an `OutcomeUnknownError` with the error as its cause; otherwise the same
        error, marked as a write that may have happened.
    """
    if not operation.writes or isinstance(error, OutcomeUnknownError):
        return error
    if not operation.safe_to_repeat:
        text = error.problem
        unknown = OutcomeUnknownError(text, method=operation.method, path=operation.path, fix=LOOK_FIRST)
        unknown.correlation_id, unknown.__cause__ = error.correlation_id, error
        return unknown
    error.may_have_happened, error.fix = True, LOOK_FIRST
    return error
