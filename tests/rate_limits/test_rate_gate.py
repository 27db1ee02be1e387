"""Calls of one client under a limit: fair, safe to cancel, with a pause of all calls after a 429."""

import time
from contextlib import suppress

import anyio
import anyio.lowlevel
import httpx
import pytest
from clocks import FakeClock, ManualClock
from kit import KnownUser, connect, data, served

from benchmarks.rate_servers import SlidingWindow
from carecloud_async import CareCloud, RateLimit, RateLimitError, RetryPolicy, Timeout
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


class Limited:
    """A client under a limit, and its server.

    Args:
        limit: the limit.
        clock: one that sleeps move, if not told otherwise.

    Attributes:
        left: when each request left, by the clock.
        release: the server holds requests whose path is `held` until this is set.
    """

    def __init__(self, limit, clock=None):
        self.clock = clock or FakeClock()
        self.left, self.release = [], anyio.Event()
        options = {"auth": KnownUser(), "rate_limit": limit, "clock": self.clock, "retry": RetryPolicy(attempts=1)}
        self.client = served(self.answer, **options)

    async def __aenter__(self):
        await self.client.login()
        return self

    async def __aexit__(self, *_):
        await self.client.aclose()

    async def answer(self, request):
        self.left.append(self.clock.monotonic())
        if "/held" in request.url.path:
            await self.release.wait()
        if "status" not in request.url.params:
            return data({})
        return httpx.Response(429, headers={"Retry-After": request.url.params["status"]})

    async def call(self, path="served", *, refused=None):
        """Make a call; return how long it waited at the limiter.

        Args:
            path: `held` for an answer that comes after the release.
            refused: what a 429 says in `Retry-After`; text that is no number says nothing.
        """
        with self.client.record_calls() as calls, suppress(RateLimitError):
            await self.client.request("GET", path, params={"status": refused})
        return calls[-1].limiter_seconds

    async def calls(self, number):
        """Make calls one after the other; return how long they waited in all."""
        return sum([await self.call() for _ in range(number)])


async def test_the_first_calls_are_few_and_after_many_answers_none_is_held_back():
    """Ten at once, each answer lets more leave, any number in the end; ten again after two seconds of rest."""
    async with Limited(RateLimit.adaptive(), ManualClock()) as limited, anyio.create_task_group() as group:

        async def at_once(number):
            limited.release, before = anyio.Event(), len(limited.left)
            for _ in range(number):
                group.start_soon(limited.call, "held")
            await anyio.wait_all_tasks_blocked()
            left = len(limited.left) - before
            limited.release.set()  # the others leave with the answers: the clock stands still
            await anyio.wait_all_tasks_blocked()
            assert len(limited.left) - before == number
            return left

        assert [await at_once(number) for number in (30, 30, 400, 500)] == [10, 17, 25, 500]
        limited.clock.now += 2
        assert await at_once(30) == 10


async def test_answers_that_never_come_delay_no_call():
    """Where no answer comes, because calls are cancelled or take long, ten calls a second leave."""
    async with Limited(RateLimit.adaptive()) as limited, anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(limited.call, "held")
        await anyio.wait_all_tasks_blocked()
        assert [moment - limited.left[0] for moment in limited.left[9:]] == pytest.approx([0, 0.1, 0.2], abs=0.02)
        limited.release.set()


async def test_a_fixed_pace_spreads_calls_evenly():
    """Ten calls at four a second take two and a quarter seconds; an hour without calls saves up no burst."""
    async with Limited(RateLimit(requests_per_second=4)) as limited:
        for _ in range(2):
            assert await limited.calls(10) == pytest.approx(2.25, abs=0.11)
            limited.clock.now += 3600


async def test_first_come_first_through():
    """Waiting calls leave in the order in which they came."""
    clock, order = ManualClock(), []

    def note(request):
        order.append(request.url.path.rpartition("/")[2])
        return data({})

    options = {"auth": KnownUser(), "rate_limit": RateLimit(requests_per_second=20), "clock": clock}
    async with served(note, **options) as client, anyio.create_task_group() as group:
        await client.login()
        for number in range(50):
            group.start_soon(client.request, "GET", f"things/{number:02}")
            await anyio.lowlevel.checkpoint()
        await clock.run(clock.now + 3)
    assert order == sorted(order)


async def test_a_login_leaves_before_the_calls_that_wait():
    """A login that comes last leaves first, because other calls may wait for it."""
    clock, sandbox = ManualClock(), Sandbox(1)
    limited = connect(sandbox, rate_limit=RateLimit(requests_per_second=1), clock=clock)
    async with limited as client, anyio.create_task_group() as group:
        await client.login()
        for _ in range(3):
            group.start_soon(client.ping)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(client.login)
        await clock.run(clock.now + 5)
    assert [request.path.rpartition("/")[2] for request in sandbox.requests] == ["login", "login", *["customers"] * 3]


async def test_a_call_that_cannot_leave_in_time_fails_at_once():
    """It does not use up its bound first, not even behind a call that may wait longer, and learns when to come back."""
    async with Limited(RateLimit.adaptive(), ManualClock()) as limited, anyio.create_task_group() as group:
        await limited.call(refused="20")
        group.start_soon(limited.call)
        await anyio.wait_all_tasks_blocked()
        hurried = limited.client.with_options(timeout=Timeout(limiter=5))
        for _ in range(2):
            with anyio.fail_after(2), pytest.raises(RateLimitError) as caught:
                await hurried.request("GET", "served")
            assert 18 < caught.value.retry_after <= 20
        group.cancel_scope.cancel()


async def test_caller_that_gives_up_takes_no_slot_along():
    """Of 100 waiting calls 90 are cancelled, the first too; the ten that stay are through in the time of ten."""
    clock = ManualClock()
    async with Limited(RateLimit(requests_per_second=5), clock) as limited, anyio.create_task_group() as group:
        await limited.call()
        through, leaving = [], []

        async def wait(number):
            with anyio.CancelScope() as scope:
                if number % 10 != 9:
                    leaving.append(scope)
                await limited.call()
                through.append(number)

        for number in range(100):
            group.start_soon(wait, number)
        await anyio.wait_all_tasks_blocked()
        for scope in leaving:
            scope.cancel()
        await clock.run(clock.now + 2.1)
        group.cancel_scope.cancel()
    assert sorted(through) == list(range(9, 100, 10))


async def test_a_configured_rate_is_back_within_ten_seconds_of_a_429():
    """A 429 that says nothing of a limit, at one call of a slow caller, lowers a configured rate for seconds only."""
    async with Limited(RateLimit(requests_per_second=20)) as limited:
        for _ in range(5):
            await limited.call()
            limited.clock.now += 1
        await limited.call(refused="no")
        await limited.call()
        assert await limited.calls(10) > 1.5 * 10 / 20
        for _ in range(10):
            limited.clock.now += 1
            await limited.call()
        assert await limited.calls(10) <= 10 / 20


@pytest.mark.parametrize("served", [0, 1, 5])
async def test_a_429_at_the_start_costs_a_sixth_of_a_configured_rate(served):
    """A client that has just begun goes on at 0.85 of the rate after one of its first calls is refused."""
    async with Limited(RateLimit(requests_per_second=10)) as limited:
        await limited.calls(served)
        await limited.call(refused="no")
        await limited.call()
        assert await limited.call() == pytest.approx(1 / 8.5, rel=0.1)


async def test_a_retry_after_pauses_all_even_if_its_call_left_before_the_last_pause():
    """A late 429 says nothing new of the limit, but what the server asks for is done."""
    async with Limited(RateLimit.adaptive()) as limited, anyio.create_task_group() as group:
        group.start_soon(lambda: limited.call("held", refused="5"))
        await anyio.wait_all_tasks_blocked()
        await limited.call(refused="no")
        await limited.call()
        limited.release.set()
        await anyio.wait_all_tasks_blocked()
        assert await limited.call() == pytest.approx(5.0, abs=0.02)


async def test_a_limit_that_is_searched_pauses_shortly_at_first():
    """The 429s of one flight are one short pause; without Retry-After pauses grow while the server refuses."""
    async with Limited(RateLimit.adaptive()) as limited:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(lambda: limited.call("held", refused="no"))
            await anyio.wait_all_tasks_blocked()
            limited.release.set()
        assert await limited.call() == pytest.approx(0.05, abs=0.001)
        await limited.calls(40)
        pauses = [await limited.call(refused="no") for _ in range(20)]
    assert sum(pauses[:6]) < 1
    assert pauses[-1] == pytest.approx(8)


async def test_one_call_goes_ahead_after_a_pause():
    """The others wait for the answer to that call; without it another one goes ahead later."""
    clock = ManualClock()
    async with Limited(RateLimit.adaptive(), clock) as limited, anyio.create_task_group() as group:
        await limited.calls(20)
        await limited.call(refused="no")
        before = len(limited.left)
        for _ in range(2):
            group.start_soon(limited.call, "held")
        await clock.run(clock.now + 0.06)
        assert len(limited.left) - before == 1
        await clock.run(clock.now + 0.2)
        assert len(limited.left) - before == 2
        limited.release.set()


@pytest.mark.parametrize("limit", [RateLimit(requests_per_second=1000), RateLimit.adaptive()])
@pytest.mark.parametrize("asked", [0.2, 3.0, 30.0, 36_000.0])
async def test_retry_after_of_hours_pauses_the_refused_call_alone(asked, limit):
    """A long `Retry-After`, of ten hours, holds up the refused call alone: the others go on within a second."""
    async with Limited(limit) as limited:
        await limited.call(refused=str(asked))
        waited = await limited.call()
    assert waited == pytest.approx(asked, abs=0.01) if asked <= 30 else 0 < waited <= 1.01


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "limit", [RateLimit(requests_per_second=38), RateLimit.adaptive()], ids=["configured", "found"]
)
async def test_server_of_forty_a_second_on_a_socket(limit):
    """Eight callers at once are served on and on, and most calls are not refused; the pace is the simulation's."""
    sandbox, window = Sandbox(50), SlidingWindow(40)

    def admit(_):
        if not window.admit(time.monotonic()):
            sandbox.faults.add("*", status=429, retry_after=1)

    sandbox.on_request = admit
    answered = 0
    async with sandbox.serving() as url, CareCloud(url, auth=sandbox.credentials(), rate_limit=limit) as client:
        await client.login()
        sandbox.forget_requests()

        async def worker():
            nonlocal answered
            while answered < 60:
                await client.customers.list(count=1).page()
                answered += 1

        with anyio.fail_after(120):
            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(worker)
    assert sandbox.statuses[429] < answered / 2
