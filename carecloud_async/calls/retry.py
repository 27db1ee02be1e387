"""RetryPolicy: whether and when a failed call is sent again. A pure decision, and a budget that bounds an outage."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from attrs import field, frozen

from carecloud_async.errors import CareCloudError, ConfigurationError
from carecloud_async.runtime.clock import Clock


class FailureKind(Enum):
    """What went wrong with one attempt, as far as repeating is concerned."""

    NOT_SENT = auto()  #: no connection was made: the server has not seen the request
    LOST = auto()  #: the request may have been read, and no answer came
    SERVER = auto()  #: 500, 502, 503 or 504: something was done, or not
    REFUSED = auto()  #: 429: the server did nothing
    FINAL = auto()  #: any other answer: asking again would give the same


@frozen(kw_only=True)
class Failure:
    """One failed attempt.

    Attributes:
        trouble: its kind.
        error: what the caller gets if nobody tries again.
        retry_after: seconds the server asked to wait, if it did.
    """

    trouble: FailureKind
    error: CareCloudError
    retry_after: float | None = None


def _at_least_one(_: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"RetryPolicy: {attribute.name} must be a whole number from 1 up, not {value!r}")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _positive(_: Any, attribute: Any, value: Any) -> None:
    if not _number(value) or value <= 0:
        raise ConfigurationError(f"RetryPolicy: {attribute.name} must be a number greater than 0, not {value!r}")


def _not_negative(_: Any, attribute: Any, value: Any) -> None:
    if not _number(value) or value < 0:
        raise ConfigurationError(f"RetryPolicy: {attribute.name} must be a number from 0 up, not {value!r}")


@frozen(kw_only=True)
class RetryPolicy:
    """How calls are repeated: exponential waits with full jitter, a bound on each, and a budget over all.

    Reads, PUT, DELETE and logins are repeated after a lost connection, a timeout, 429, 500, 502, 503 and 504; another
    POST only when nothing was sent or the answer was 429.

    The budget bounds what an outage of `T` seconds costs the server: `n` calls send at most
    `n + budget_reserve + budget_ratio * n + budget_per_second * T` requests.

    Attributes:
        attempts: how often one call is sent at most; 1 never repeats.
        base: the upper bound of the first wait, in seconds; it doubles each time.
        max_wait: the longest wait, in seconds. A `Retry-After` above it raises at once.
        budget_ratio: how many repeats each call earns the whole client.
        budget_per_second: how many repeats each second earns it.
        budget_reserve: how many repeats may be saved up; the client starts with so many.
    """

    attempts: int = field(default=8, validator=_at_least_one)
    base: float = field(default=0.5, validator=_positive)
    max_wait: float = field(default=30.0, validator=_positive)
    budget_ratio: float = field(default=0.2, validator=_not_negative)
    budget_per_second: float = field(default=0.5, validator=_not_negative)
    budget_reserve: float = field(default=50.0, validator=_not_negative)

    def decide(
        self, failure: Failure, *, attempt: int, safe_to_repeat: bool, random: Callable[[], float]
    ) -> float | None:
        """Return the seconds to wait before the next attempt, or `None` to give up.

        Args:
            failure: what went wrong.
            attempt: how often the call was sent so far, from 1.
            safe_to_repeat: whether sending it twice is the same as once.
            random: returns a number from 0 up to 1.
        """
        if attempt >= self.attempts or not _may_repeat(failure.trouble, safe_to_repeat=safe_to_repeat):
            return None
        wait = random() * min(self.base * 2.0 ** min(attempt - 1, 32), self.max_wait)
        if failure.retry_after is None:
            return wait
        return None if failure.retry_after > self.max_wait else max(failure.retry_after, wait)


def _may_repeat(trouble: FailureKind, *, safe_to_repeat: bool) -> bool:
    if trouble in {FailureKind.NOT_SENT, FailureKind.REFUSED}:
        return True
    return safe_to_repeat and trouble in {FailureKind.LOST, FailureKind.SERVER}


def check_policy(value: Any) -> RetryPolicy:
    """Return a policy if it is one.

    Raises:
        ConfigurationError: it is something else.
    """
    if not isinstance(value, RetryPolicy):
        raise ConfigurationError(f"retry must be a RetryPolicy such as RetryPolicy(attempts=5), not {value!r}")
    return value


class RetryBudget:
    """The repeats that a client may still spend; shared by its views.

    Args:
        policy: how repeats are earned.
        clock: the clock.
    """

    def __init__(self, policy: RetryPolicy, *, clock: Clock) -> None:
        self._policy = check_policy(policy)
        self._clock = clock
        self._left = policy.budget_reserve
        self._counted_at = clock.monotonic()

    def earn(self) -> None:
        """Count a new call."""
        self._left = min(self._left + self._policy.budget_ratio, self._policy.budget_reserve)

    def spend(self) -> bool:
        """Take one repeat, if there is one."""
        now = self._clock.monotonic()
        self._left += (now - self._counted_at) * self._policy.budget_per_second
        self._left = min(self._left, self._policy.budget_reserve)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
