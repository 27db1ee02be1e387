"""RetryPolicy and its budget: how often a call is sent, and how long it waits in between."""

import anyio
import httpx
import pytest
from kit import KnownUser, data, served

from carecloud_async import CareCloudError, RetryPolicy
from carecloud_async.pytest_plugin.clock import FakeClock

pytestmark = pytest.mark.anyio


class Longest:
    """A source of randomness that always gives the same."""

    def __init__(self, value=1.0):
        self.random = lambda: value
        self.getrandbits = lambda bits: 7


async def waits(failure, *, method="GET", value=1.0, **policy):
    """Return how long a call waits between the attempts that a server fails."""
    clock = FakeClock()
    answered = iter([data({"customer_id": "x"})])  # until CareCloud has answered, a wrong address is assumed

    def answer(request):
        if request.method == "GET" and (first := next(answered, None)):
            return first
        if isinstance(failure, Exception):
            raise failure
        return httpx.Response(failure.status_code, headers=failure.headers)

    policy = {"attempts": 4, **policy}
    options = {"auth": KnownUser(), "rate_limit": None, "clock": clock, "random": Longest(value)}
    async with served(answer, timeout=10_000, retry=RetryPolicy(**policy), **options) as client:
        await client.customers.get("x")
        with pytest.raises(CareCloudError):
            await client.request(method, "customers", json=None if method == "GET" else {})
    return clock.sleeps


@pytest.mark.parametrize(
    ("failure", "safe", "unsafe"),
    [
        (httpx.ConnectError("refused"), 3, 3),
        (httpx.Response(429), 3, 3),
        (httpx.ReadError("reset"), 3, 0),
        (httpx.Response(503), 3, 0),
        (httpx.Response(501), 0, 0),
    ],
)
async def test_which_requests_may_be_repeated(failure, safe, unsafe):
    """A request that did nothing may always be repeated; one that may have happened, only if it is safe to repeat."""
    assert len(await waits(failure)) == len(await waits(failure, method="PUT")) == safe
    assert len(await waits(failure, method="POST")) == unsafe


async def test_waits_double_up_to_the_longest_with_full_jitter():
    """Half a second, one, two … and never more than `max_wait`: a wait is anything from zero to its bound."""
    bounds = [0.5, 1, 2, 4, 8, 10, 10, 10, 10, 10, 10]
    assert await waits(httpx.Response(503), attempts=12, max_wait=10) == bounds
    assert await waits(httpx.Response(503), attempts=12, max_wait=10, value=0.25) == [bound / 4 for bound in bounds]
    assert await waits(httpx.Response(503), attempts=1) == []
    assert max(await waits(httpx.Response(503), attempts=1100, budget_reserve=2000)) == 30


@pytest.mark.parametrize(
    ("asked", "wait"), [("0", 0.5), ("0.1", 0.5), ("7", 7.0), ("30", 30.0), ("30.1", None), ("36000", None)]
)
async def test_retry_after_is_the_least_wait_and_gives_up_above_the_longest(asked, wait):
    """The server's time counts when it is longer than ours; beyond `max_wait` there is no waiting at all."""
    assert await waits(httpx.Response(429, headers={"Retry-After": asked}), attempts=2) == (
        [] if wait is None else [wait]
    )


@pytest.mark.parametrize("reserve", [50, 0])
async def test_the_budget_is_reserve_calls_and_time(reserve):
    """Fifty repeats at the start, a fifth of one for each call, one every two seconds; never more than the reserve."""
    clock, sent = FakeClock(), []

    def answer(request):
        sent.append(request)
        return httpx.Response(503)

    async def spend(calls, *, attempts=1000):
        sent.clear()
        view = client.with_options(retry=RetryPolicy(attempts=attempts, base=1e-9, max_wait=1e-9))
        for _ in range(calls):
            with pytest.raises(CareCloudError):
                await view.customers.get("x")
        return len(sent) - calls

    ratios = {"budget_ratio": 0.2, "budget_per_second": 0.5} if reserve else {"budget_ratio": 0, "budget_per_second": 0}
    policy = RetryPolicy(budget_reserve=reserve, **ratios)
    async with served(answer, auth=KnownUser(), rate_limit=None, clock=clock, retry=policy) as client:
        assert await spend(1) == reserve
        if reserve:
            await spend(9, attempts=1)
            assert await spend(1) == 2
            await clock.sleep(20)
            assert await spend(1) == 10
            await clock.sleep(36_000)
            assert await spend(1) == reserve


async def test_calls_that_begin_together_add_their_shares():
    """Of 200 calls at once, every tenth is answered by a 503 first: all succeed, though the reserve is five repeats."""
    sent = 0

    def answer(request):
        nonlocal sent
        sent += 1
        return httpx.Response(503) if sent % 10 == 0 else data({"customer_id": "x"})

    policy = RetryPolicy(budget_reserve=5, budget_ratio=0.2, budget_per_second=0)
    connected = served(answer, auth=KnownUser(), rate_limit=None, clock=FakeClock(), retry=policy)
    async with connected as client, anyio.create_task_group() as group:
        for _ in range(200):
            group.start_soon(client.customers.get, "x")
    assert sent == 222
