"""`LookUpTries`: how often the server failed on the look-ups of writes, although it answered others."""

from __future__ import annotations

from typing import Final

from carecloud_async.bulk.machine import TryLimits, after_a_loss
from carecloud_async.bulk.outcome import RowResult, refused
from carecloud_async.bulk.rows import Write
from carecloud_async.errors import CareCloudError, ServerError

__all__ = ["LookUpTries"]

#: The longest wait before the next look-up (seconds).
_LONGEST_WAIT: Final = 30.0


class LookUpTries:
    """Counts the failed look-ups of each write of one run.

    Args:
        limits: how often a write is looked up before it is refused.
    """

    def __init__(self, limits: TryLimits) -> None:
        self._limits = limits
        self._failures: dict[int, int] = {}

    @property
    def waiting(self) -> int:
        """How many writes are to be looked up again."""
        return len(self._failures)

    def note(self, write: Write, error: CareCloudError) -> float | RowResult:
        """Note a failure; return the seconds until the next look-up, or the outcome of a write without another one."""
        times = self._failures.pop(write.id, 0) + 1
        fault = f"{error.status} {error.exception or ''}".rstrip() if isinstance(error, ServerError) else error.problem
        if times >= self._limits.of(fault):
            result = after_a_loss(write, refused(f"the server failed {times} times on its look-up: {fault}"))
            assert isinstance(result, RowResult)  # noqa: S101  (no plan was given)
            return result
        self._failures[write.id] = times
        return float(min(2.0**times, _LONGEST_WAIT))

    def forget(self, write: Write) -> None:
        """Forget the failures of a write that was looked up."""
        self._failures.pop(write.id, None)
