"""RetryPolicy, a pure decision, and the budget."""

import pytest
from clocks import FakeClock

from carecloud_async import CareCloudError, ConfigurationError, RetryPolicy
from carecloud_async._calls.call.retry import Failure, FailureKind, RetryBudget


def decide(kind, *, attempt=1, safe=True, retry_after=None, random=lambda: 1.0, **policy):
    failure = Failure(kind=kind, error=CareCloudError("x"), retry_after=retry_after)
    return RetryPolicy(**policy).decide(failure, attempt=attempt, safe_to_repeat=safe, random=random)


@pytest.mark.parametrize(
    ("kind", "safe", "unsafe"),
    [
        (FailureKind.NOT_SENT, True, True),
        (FailureKind.THROTTLED, True, True),
        (FailureKind.NO_RESPONSE, True, False),
        (FailureKind.SERVER_ERROR, True, False),
        (FailureKind.PERMANENT, False, False),
    ],
)
def test_which_requests_may_be_repeated(kind, safe, unsafe):
    """A request that did nothing may always be repeated; one that may have happened, only if it is safe to repeat."""
    assert (decide(kind, safe=True) is not None) is safe
    assert (decide(kind, safe=False) is not None) is unsafe


def test_waits_double_up_to_the_longest():
    """The upper bounds: half a second, one, two … and never more than `max_wait`."""
    waits = [decide(FailureKind.SERVER_ERROR, attempt=attempt, attempts=12, max_wait=10) for attempt in range(1, 12)]
    assert waits == [0.5, 1, 2, 4, 8, 10, 10, 10, 10, 10, 10]


def test_jitter_is_full():
    """A wait is anything from zero to its bound."""
    assert decide(FailureKind.SERVER_ERROR, attempt=3, random=lambda: 0.0) == 0
    assert decide(FailureKind.SERVER_ERROR, attempt=3, random=lambda: 0.25) == 0.5


def test_attempts_end():
    """The last attempt is not followed by another; 1 never repeats."""
    assert decide(FailureKind.SERVER_ERROR, attempt=7) is not None
    assert decide(FailureKind.SERVER_ERROR, attempt=8) is None
    assert decide(FailureKind.THROTTLED, attempts=1) is None


@pytest.mark.parametrize(
    ("asked", "wait"), [(0.0, 0.5), (0.1, 0.5), (7.0, 7.0), (30.0, 30.0), (30.1, None), (36e3, None)]
)
def test_retry_after_is_the_least_wait_and_gives_up_above_the_longest(asked, wait):
    """The server's time counts when it is longer than ours; beyond `max_wait` there is no waiting at all."""
    assert decide(FailureKind.THROTTLED, retry_after=asked) == wait


def test_attempts_beyond_all_measure_overflow_nothing():
    """The exponent of the backoff is bounded, so that no number of attempts overflows."""
    assert decide(FailureKind.SERVER_ERROR, attempt=10**6, attempts=10**9) == 30


@pytest.mark.parametrize(
    "setting",
    [
        {"attempts": 0},
        {"attempts": 1.5},
        {"attempts": True},
        {"base": 0},
        {"base": float("nan")},
        {"max_wait": -1},
        {"max_wait": float("inf")},
        {"budget_ratio": -0.1},
        {"budget_per_second": "1"},
        {"budget_reserve": -1},
    ],
    ids=str,
)
def test_settings_that_cannot_work(setting):
    """A setting that cannot work is refused with its name."""
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        RetryPolicy(**setting)


def spend_all(budget):
    spent = 0
    while budget.try_withdraw():
        spent += 1
    return spent


def test_the_budget_is_reserve_calls_and_time():
    """Fifty at the start, a fifth of a repeat for each call, one every two seconds; never more than the reserve."""
    clock = FakeClock()
    budget = RetryBudget(RetryPolicy(), clock=clock)
    assert spend_all(budget) == 50
    for _ in range(11):
        budget.deposit()
    assert spend_all(budget) == 2
    clock.now += 20
    assert spend_all(budget) == 10
    clock.now += 36_000
    assert spend_all(budget) == 50


def test_a_budget_of_nothing_repeats_nothing():
    """With all three at zero a client never repeats."""
    policy = RetryPolicy(budget_ratio=0, budget_per_second=0, budget_reserve=0)
    budget = RetryBudget(policy, clock=FakeClock())
    budget.deposit()
    assert spend_all(budget) == 0
