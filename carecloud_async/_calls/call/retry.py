"""Decide whether and when a failed call is retried, within a budget that limits the load during an outage."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from attrs import field, frozen

from carecloud_async._base.runtime.clock import Clock, doubled
from carecloud_async._base.runtime.validators import number, quoted, whole_number
from carecloud_async.errors import CareCloudError, ConfigurationError

__all__ = ["RetryPolicy"]


class FailureKind(Enum):
    """Kind of a failed attempt, which decides whether it is retried."""

    NOT_SENT = auto()  #: no connection was made: the server did not see the request
    NO_RESPONSE = auto()  #: the request may have been read, and no response came
    INVALID_RESPONSE = auto()  #: a success status with a body that is cut off or damaged
    SERVER_ERROR = auto()  #: 500, 502, 503 or 504: something was done, or not
    FOREIGN = auto()  #: another status, or no `data` for a read: CareCloud did not write it, something in front did
    THROTTLED = auto()  #: 429: the server did nothing
    PERMANENT = auto()  #: anything else: asking again would give the same


#: Kinds after which the request certainly had no effect.
_WITHOUT_EFFECT = {FailureKind.NOT_SENT, FailureKind.THROTTLED}
#: Kinds after which the request may have had its effect.
_MAYBE_DONE = {
    FailureKind.NO_RESPONSE, FailureKind.INVALID_RESPONSE, FailureKind.SERVER_ERROR, FailureKind.FOREIGN
}  # fmt: skip


@frozen(kw_only=True)
class Failure:
    """One failed attempt.

    Attributes:
        kind: the reason why it failed.
        error: the error for the caller if it is not retried.
        may_have_happened: whether the server may have carried out the request.
        retry_after: seconds the server asked to wait, if it did.
    """

    kind: FailureKind
    error: CareCloudError
    may_have_happened: bool = False
    retry_after: float | None = None

    @property
    def doubts_address(self) -> bool:
        """Whether no server listens at the address, its name is unknown, or another server answered."""
        refused = self.kind is FailureKind.NOT_SENT and not isinstance(self.error, TimeoutError)
        return refused or self.kind is FailureKind.FOREIGN


@frozen(kw_only=True)
class RetryPolicy:
    """Repetition of failed calls: exponential waits with full jitter, a bound on each, and a budget over all.

    Reads, PUT, DELETE and logins are repeated after a lost connection, a timeout, 429, 500, 502, 503 and 504, and after
    a 4xx that CareCloud did not write; another POST only when nothing was sent or the answer was 429. An answer to a
    read that is cut off or damaged counts as a lost one, and once CareCloud has answered the client, so does a page or
    an answer without data.

    The budget bounds what an outage of `T` seconds costs the server: `n` calls send at most
    `n + budget_reserve + budget_ratio * n + budget_per_second * T` requests.

    Attributes:
        attempts: the largest number of times one call is sent; 1 never repeats.
        base: the upper bound of the first wait, in seconds; it doubles each time.
        max_wait: the longest wait, in seconds. A `Retry-After` above it raises at once.
        budget_ratio: repeats that each call adds to the client's budget.
        budget_per_second: repeats that each second adds to it.
        budget_reserve: the most repeats that can be saved up, and the number that the client starts with.
    """

    attempts: int = field(default=8, validator=whole_number(least=1))
    base: float = field(default=0.5, validator=number())
    max_wait: float = field(default=30.0, validator=number())
    budget_ratio: float = field(default=0.2, validator=number(least=0))
    budget_per_second: float = field(default=0.5, validator=number(least=0))
    budget_reserve: float = field(default=50.0, validator=number(least=0))

    def decide(
        self, failure: Failure, *, attempt: int, safe_to_repeat: bool, random: Callable[[], float]
    ) -> float | None:
        """Return the seconds to wait before the next attempt, or `None` to give up.

        Args:
            failure: the failed attempt.
            attempt: the number of attempts so far, from 1.
            safe_to_repeat: whether sending it twice is the same as once.
            random: returns a number from 0 up to 1.
        """
        if attempt >= self.attempts or not _may_repeat(failure.kind, safe_to_repeat=safe_to_repeat):
            return None
        wait = random() * doubled(self.base, attempt - 1, longest=self.max_wait)
        if failure.retry_after is None:
            return wait
        return None if failure.retry_after > self.max_wait else max(failure.retry_after, wait)


def _may_repeat(kind: FailureKind, *, safe_to_repeat: bool) -> bool:
    return kind in _WITHOUT_EFFECT or (safe_to_repeat and kind in _MAYBE_DONE)


def check_policy(value: Any) -> RetryPolicy:
    """Return `value` if it is a policy.

    Raises:
        ConfigurationError: it is something else.
    """
    if not isinstance(value, RetryPolicy):
        raise ConfigurationError(f"retry must be a RetryPolicy such as RetryPolicy(attempts=5), not {quoted(value)}")
    return value


class RetryBudget:
    """Repeats that a client may still make; shared by its views.

    Args:
        policy: how the budget grows.
    """

    def __init__(self, policy: RetryPolicy, *, clock: Clock) -> None:
        self._policy = check_policy(policy)
        self._clock = clock
        self._left = policy.budget_reserve
        self._counted_at = clock.monotonic()

    def deposit(self) -> None:
        """Add the share of a call whose first attempt has ended."""
        if self._left < self._policy.budget_reserve:
            self._left = min(self._left + self._policy.budget_ratio, self._policy.budget_reserve)

    def try_withdraw(self) -> bool:
        """Take one repeat out of the budget; return whether there was one."""
        now = self._clock.monotonic()
        self._left += (now - self._counted_at) * self._policy.budget_per_second
        self._left = min(self._left, self._policy.budget_reserve)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
