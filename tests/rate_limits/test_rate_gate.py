"""The limiter: fair, safe to cancel, cheap, with a pause of all callers after a 429."""

import anyio
import anyio.lowlevel
import pytest
from clocks import FakeClock, ManualClock

from carecloud_async import CareCloud, ConfigurationError, RateLimit
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async._calls.rate_limits.law import FIRST_CALLS, FIRST_PAUSE, LONGEST_PAUSE
from carecloud_async._calls.rate_limits.rate_limit import MAX_IMPOSED, RateLimiter
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


class SleepyClock(FakeClock):
    """A clock on which every sleep lasts forever."""

    async def sleep(self, seconds):
        await anyio.sleep_forever()


async def enter(gate):
    ticket = gate.try_acquire()
    return await gate.acquire() if ticket is None else ticket


def test_the_first_calls_are_few_and_after_many_answers_none_is_held_back():
    """Ten at once, one more with every fourth answer, any number in the end; ten again after two seconds of rest."""
    clock = FakeClock()
    gate = RateLimiter(RateLimit.adaptive(), clock=clock)
    for most, answers in ((FIRST_CALLS, FIRST_CALLS), (FIRST_CALLS * 5 // 4, 400)):
        tickets = [gate.try_acquire() for _ in range(30)]
        assert tickets.index(None) == most
        for _ in range(answers):
            gate.on_success(tickets[0])
    assert None not in [gate.try_acquire() for _ in range(1000)]
    clock.now += 2
    assert [gate.try_acquire() for _ in range(20)].index(None) == FIRST_CALLS


async def test_answers_that_never_come_delay_no_call():
    """Where no answer comes, because calls are cancelled or take long, ten calls a second leave."""
    clock = FakeClock()
    gate = RateLimiter(RateLimit.adaptive(), clock=clock)
    while gate.try_acquire() is not None:
        pass
    before = clock.now
    await enter(gate)
    assert clock.now - before == pytest.approx(1 / FIRST_CALLS, abs=0.02)


async def test_an_answer_wakes_the_next_waiting_call():
    """The next call leaves with the answer, not when the clock has been looked at again."""
    gate = RateLimiter(RateLimit.adaptive(), clock=SleepyClock())
    tickets = [gate.try_acquire() for _ in range(FIRST_CALLS)]
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(enter, gate)
            await anyio.wait_all_tasks_blocked()
            gate.on_success(tickets[0])


async def test_a_fixed_pace_spreads_calls_evenly():
    """Ten calls at four a second take two and a quarter seconds; an hour without calls saves up no burst."""
    clock = FakeClock()
    gate = RateLimiter(RateLimit(requests_per_second=4), clock=clock)
    for _ in range(2):
        start = clock.now
        for _ in range(10):
            await enter(gate)
        assert clock.now - start == pytest.approx(2.25, abs=0.11)
        clock.now += 3600


async def test_first_come_first_through():
    """Waiters have their tickets in the order in which they came."""
    gate = RateLimiter(RateLimit(requests_per_second=2000), clock=SystemClock())
    tickets = {}

    async def wait(number):
        tickets[await gate.acquire()] = number

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(wait, number)
            await anyio.lowlevel.checkpoint()
    assert [tickets[ticket] for ticket in sorted(tickets)] == list(range(50))


async def test_caller_that_gives_up_takes_no_slot_along():
    """Of 100 waiters 90 leave; the ten who stay are through in the time of ten."""
    clock = ManualClock()
    gate = RateLimiter(RateLimit(requests_per_second=5), clock=clock)
    gate.try_acquire()
    through, leaving = [], []

    async def wait(number):
        with anyio.CancelScope() as scope:
            if number % 10:
                leaving.append(scope)
            await enter(gate)
            through.append(number)

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(wait, number)
        await anyio.wait_all_tasks_blocked()
        for scope in leaving:
            scope.cancel()
        await clock.run(clock.now + 2.1)
        group.cancel_scope.cancel()
    assert sorted(through) == list(range(0, 100, 10))


async def test_a_configured_rate_is_back_within_ten_seconds_of_a_429():
    """A 429 that says nothing of a limit, at one call of a slow caller, lowers a configured rate for seconds only."""
    clock = FakeClock()
    gate = RateLimiter(RateLimit(requests_per_second=20), clock=clock)
    for _ in range(5):
        gate.on_success(await enter(gate))
        clock.now += 1
    gate.on_throttled(await enter(gate), retry_after=None)
    gate.on_success(await enter(gate))
    assert gate.rate < 20
    clock.now += 1
    for _ in range(9):
        gate.on_success(await enter(gate))
        clock.now += 1
    assert gate.rate == 20


@pytest.mark.parametrize("served", [0, 1, 5])
async def test_a_429_at_the_start_costs_a_sixth_of_a_configured_rate(served):
    """A client that has just begun goes on at 0.85 of the rate after one of its first calls is refused."""
    clock = FakeClock()
    gate = RateLimiter(RateLimit(requests_per_second=10), clock=clock)
    for _ in range(served):
        gate.on_success(await enter(gate))
    gate.on_throttled(await enter(gate), retry_after=None)
    gate.on_success(await enter(gate))
    assert gate.rate == pytest.approx(8.5, rel=0.1)


async def test_a_retry_after_pauses_all_even_if_its_call_left_before_the_last_pause():
    """A late 429 says nothing new of the limit, but what the server asks for is done."""
    clock = FakeClock()
    gate = RateLimiter(RateLimit.adaptive(), clock=clock)
    late, refused = await enter(gate), await enter(gate)
    gate.on_throttled(refused, retry_after=None)
    gate.on_success(await enter(gate))
    before, rate = clock.now, gate.rate
    gate.on_throttled(late, retry_after=5.0)
    gate.on_success(await enter(gate))
    assert clock.now - before == pytest.approx(5.0, abs=0.02)
    assert gate.rate == pytest.approx(rate, rel=0.01)


async def test_a_limit_that_is_searched_pauses_shortly_at_first():
    """Thirty 429s of one flight are one short pause; without Retry-After pauses grow while the server refuses."""
    clock = FakeClock()
    gate = RateLimiter(RateLimit.adaptive(), clock=clock)
    for ticket in [await enter(gate) for _ in range(30)]:
        gate.on_throttled(ticket, retry_after=None)
    before, probe = clock.now, await enter(gate)
    assert clock.now - before == pytest.approx(FIRST_PAUSE, abs=0.001)
    gate.on_success(probe)
    for _ in range(40):
        gate.on_success(await enter(gate))
    pauses = []
    for _ in range(20):
        before = clock.now
        gate.on_throttled(await enter(gate), retry_after=None)
        pauses.append(clock.now - before)
    assert sum(pauses[:5]) < 1
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE)


async def test_one_call_goes_ahead_after_a_pause():
    """The others wait for the answer to that call, and pass soon after it; without it another one goes ahead later."""
    clock = FakeClock()
    gate = RateLimiter(RateLimit.adaptive(), clock=clock)
    for _ in range(20):
        gate.on_success(await enter(gate))
    gate.on_throttled(await enter(gate), retry_after=None)
    probe = await enter(gate)
    assert gate.try_acquire() is None
    gate.on_success(probe)
    answered = clock.now
    await enter(gate)
    assert clock.now - answered < 0.2
    gate.on_throttled(await enter(gate), retry_after=None)
    await enter(gate)
    lost = clock.now
    await enter(gate)
    assert 0 < clock.now - lost < 0.2


@pytest.mark.parametrize("limit", [RateLimit(requests_per_second=1000), RateLimit.adaptive()])
@pytest.mark.parametrize(("asked", "pause"), [(0.2, 0.2), (3.0, 3.0), (MAX_IMPOSED, MAX_IMPOSED), (36_000.0, 1.0)])
async def test_retry_after_of_hours_pauses_the_refused_call_alone(asked, pause, limit):
    """A long `Retry-After`, of ten hours, holds up the refused call alone: the others go on within a second."""
    clock = FakeClock()
    gate = RateLimiter(limit, clock=clock)
    gate.on_throttled(await enter(gate), retry_after=asked)
    before = clock.now
    await enter(gate)
    waited = clock.now - before
    assert waited == pytest.approx(pause, abs=0.01) if asked <= MAX_IMPOSED else 0 < waited <= pause + 0.01


async def test_a_policy_of_the_users_own_paces_calls():
    """All it needs is `pace(clock)`; a pacer that names no rate shows none."""

    class EverySecond:
        def __init__(self):
            self.left = []

        def pace(self, clock):
            self.clock = clock
            return self

        def delay(self):
            return self.left[-1] + 1 - self.clock.monotonic() if self.left else 0.0

        def take(self, ticket):
            self.left.append(self.clock.monotonic())

        def on_success(self, ticket):
            self.answered = ticket

    limit = EverySecond()
    gate = RateLimiter(limit, clock=FakeClock(), origin="https://x.example")
    tickets = [await enter(gate) for _ in range(3)]
    gate.on_success(tickets[-1])
    await gate.aclose()
    assert limit.left == pytest.approx([1000, 1001, 1002])
    assert limit.answered == tickets[-1]
    assert gate.rate is None


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "20", True, None])
def test_rate_that_is_no_number_above_zero_is_refused(rate):
    """A rate must be a number above zero."""
    with pytest.raises(ConfigurationError, match="requests_per_second"):
        RateLimit(requests_per_second=rate)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "limit", [RateLimit(requests_per_second=38), RateLimit.adaptive()], ids=["configured", "found"]
)
async def test_server_of_forty_a_second_on_a_socket(limit):
    """Eight callers at once are served on and on, and most calls are not refused; the pace is the simulation's."""
    sandbox = Sandbox(50, rate_limit=40, rate_limit_retry_after=1)
    served = 0
    async with sandbox.serving() as url, CareCloud(url, auth=sandbox.credentials(), rate_limit=limit) as client:
        await client.login()
        sandbox.forget_requests()

        async def worker():
            nonlocal served
            while served < 60:
                await client.customers.list(count=1).page()
                served += 1

        with anyio.fail_after(120):
            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(worker)
    assert sandbox.statuses[429] < served / 2
