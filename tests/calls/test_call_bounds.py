"""No call without an end: waits and logins are bounded, and a cancellation at any await loses nothing."""

import asyncio
import random

import anyio
import httpx
import pytest
from call_doors import default
from clocks import ManualClock, passing_time
from kit import KnownUser, connect, login_body, served
from thorough import examples
from wire_server import answer, serving

from carecloud_async import (
    CareCloud,
    ClientClosedError,
    EnterpriseCredentials,
    RateLimit,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    Timeout,
)
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_calls_on_a_server_that_always_throttles_end_in_time():
    """Fifty calls with `total=3` on nothing but 429s: each ends within total and limiter, as RateLimitError."""
    clock = ManualClock()
    seconds = []
    client = served(lambda _: httpx.Response(429), clock=clock)

    async def call(view):
        before = clock.now
        with pytest.raises(RateLimitError) as caught:
            await view.customers.list().total()
        assert caught.value.is_retryable
        seconds.append(clock.now - before)

    async with client, passing_time(clock):
        await client.login()
        view = client.with_options(timeout=Timeout(total=3))
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(call, view)
    assert len(seconds) == 50
    assert max(seconds) <= 3 + 3


@pytest.mark.parametrize("closes", [False, True], ids=["time", "client"])
async def test_a_response_that_drips_ends_with_the_calls_time_and_with_the_client(closes):
    """On a connection that was used before: bytes keep coming, the response does not end, and the call does."""
    dripping = anyio.Event()

    async def behave(stream, head):
        if b"/customers" not in head:
            await stream.send(answer(login_body()))
            return True
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            await stream.send(b" ")
            dripping.set()
            await anyio.sleep(0.01)

    async def drip(client):
        wanted, text = (
            (ClientClosedError, "was under way") if closes else (RequestTimeoutError, r"no answer in time \(total")
        )
        with pytest.raises(wanted, match=text):
            await client.with_options(timeout=60 if closes else 0.3).customers.get("1")

    async with serving(behave) as server, default(server.url) as client:
        await client.login()
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(drip, client)
                await dripping.wait()
                if closes:
                    await client.aclose()
        assert server.connections == 1


async def test_the_bound_of_the_limiter_is_its_own():
    """At one call a second, `limiter=4.5` lets four pass; the rest fail, unsent, with a time to come back."""
    sandbox = Sandbox(5)
    clock = ManualClock()
    outcomes = []

    async def call(view):
        try:
            await view.ping()
        except RateLimitError as error:
            says_how = "Timeout(limiter=…)" in str(error) and "requests_per_second" not in error.fix.settings
            outcomes.append((error.status, says_how))
        else:
            outcomes.append("passed")

    limited = connect(sandbox, clock=clock, rate_limit=RateLimit(requests_per_second=1))
    async with limited as client, passing_time(clock):
        await client.login()
        view = client.with_options(timeout=Timeout(total=1, limiter=4.5))
        with client.record_calls() as calls:
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(call, view)
    assert sorted(outcomes, key=str) == [(429, True)] * 6 + ["passed"] * 4
    assert sandbox.count("GET /customers") == 4
    assert sorted(call.attempts for call in calls) == [0] * 6 + [1] * 4


@pytest.mark.parametrize("what", ["login", "logout", "ping"])
async def test_a_views_timeout_bounds_login_logout_and_ping(what):
    """On a server that is silent from then on, each ends after the view's own time."""
    silent = False

    async def behave(stream, head):
        if silent:
            await anyio.sleep(30)
        await stream.send(answer(login_body()))
        return True

    async with serving(behave) as server:
        server.answer = behave
        client = CareCloud(server.url, auth=EnterpriseCredentials(external_application_id="a", login="b", password="c"))
        async with client:
            await client.login()
            silent = True
            view = client.with_options(timeout=0.1)
            with anyio.fail_after(60), pytest.raises(RequestTimeoutError):
                await getattr(view, what)()


@pytest.mark.parametrize("what", ["login", "logout"])
@pytest.mark.parametrize("limiter", [30, 0.1])
async def test_the_limiters_wait_is_not_part_of_the_time_of_a_login(what, limiter):
    """A login and a logout behind a pause of the limiter wait as long as `limiter` says, whatever `total` is."""
    sandbox = Sandbox(5)
    options = {"rate_limit": RateLimit(requests_per_second=1), "timeout": Timeout(total=0.5, limiter=limiter)}
    async with connect(sandbox, **options) as client:
        await client.login()
        if limiter == 30:
            await getattr(client, what)()
        else:
            with pytest.raises(RateLimitError, match=r"Timeout\(limiter=…\)"):
                await getattr(client, what)()
    assert sandbox.count("POST /users/actions/" + what) == {"login": 2, "logout": 1}[what] - (limiter != 30)


async def test_a_refused_call_that_gets_no_slot_again_has_the_servers_error():
    """Where the pause after a 429 is longer than the call may wait, its error is the 429 itself."""
    refused = httpx.Response(429, headers={"X-Request-Id": "r-1"})
    options = {"auth": KnownUser(), "timeout": Timeout(limiter=0.001), "clock": ManualClock()}
    async with served(lambda _: refused, **options) as client, passing_time(options["clock"]):
        with pytest.raises(RateLimitError) as caught:
            await client.ping()
    assert caught.value.request_id == "r-1"


async def storm(client, *, rounds):
    """Start 40 calls on five connections, and cancel four of five at random moments; again and again."""
    chance = random.Random(1)

    async def call(patience):
        with anyio.move_on_after(patience):
            await client.customers.list(count=1).page()

    for _ in range(rounds):
        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(call, chance.uniform(0, 0.02) if number % 5 else 30)


async def check_the_pool(client, sandbox):
    """Make 40 calls at once: all succeed, and five are under way at once, so that no connection of the pool is lost."""
    results, arrived = [], 0
    once = client.with_options(retry=RetryPolicy(attempts=1))  # a second attempt would count as another request

    async def meet(request):
        nonlocal arrived
        if request.template == "/customers/{customer_id}":
            arrived += 1
            while arrived < 5:  # noqa: ASYNC110  (in the server's thread)
                await anyio.sleep(0.001)

    async def call():
        results.append((await once.customers.get(sandbox.customers.id_at(1))).customer_id)

    sandbox.on_request = meet
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(call)
    assert results == [sandbox.customers.id_at(1)] * 40


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_the_default_pool_survives_a_storm_of_cancellations(sandbox):
    """After rounds of 40 calls on five connections, 80 % of them cancelled, 40 of 40 calls succeed, on trio too."""
    async with (
        sandbox.serving() as url,
        CareCloud(url, auth=sandbox.credentials(), max_connections=5, rate_limit=None) as client,
    ):
        await storm(client, rounds=examples(100))
        await check_the_pool(client, sandbox)
        with anyio.fail_after(60):  # the server notices later that connections are closed
            while sandbox.connections.now > 5:  # noqa: ASYNC110  (another thread's count)
                await anyio.sleep(0.001)


async def test_the_users_own_timeouts_come_out_as_theirs():
    """`fail_after` raises TimeoutError of its own, `move_on_after` moves on; neither becomes an error of ours."""
    async with serving(30.0) as server, default(server.url) as client:
        await client.login()
        with pytest.raises(TimeoutError) as caught, anyio.fail_after(0.05):
            await client.ping()
        assert type(caught.value) is TimeoutError
        with anyio.move_on_after(0.05) as scope:
            await client.ping()
        assert scope.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncios_own_timeouts_and_cancel_work():
    """`asyncio.timeout`, `wait_for` and a bare `task.cancel()` end a call, and free the only connection of the pool."""
    silent_for = 30

    async def behave(stream, head):
        await anyio.sleep(silent_for)
        await stream.send(answer(b'{"data":{"customers":[],"total_items":7}}'))

    async with serving(behave) as server, default(server.url, max_connections=1) as client:
        await client.login()
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await client.ping()
        assert type(caught.value) is TimeoutError
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.ping(), 0.05)
        task = asyncio.create_task(client.ping())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        silent_for = 0
        with anyio.fail_after(60):
            assert await client.customers.list().total() == 7


async def test_a_prefetch_may_be_left_at_any_moment(sandbox):
    """By `break`, by a timeout around it, by a timeout on one record: pages come in order, and nothing hangs."""
    async with sandbox.serving() as url, default(url) as client:
        async with client.customers.list(count=10).prefetch(8) as records:
            async for _ in records:
                break
        sandbox.latency = 0.05
        with anyio.move_on_after(0.08):
            async with client.customers.list(count=10).prefetch(8) as records:
                async for _ in records:
                    await anyio.sleep(0.01)
        ids = []
        async with client.customers.list(count=50).prefetch(3) as records:
            while len(ids) < 200:
                with anyio.move_on_after(0.02):
                    ids.append((await anext(records)).customer_id)
            with pytest.raises(StopAsyncIteration):
                await anext(records)
        assert ids == [sandbox.customers.id_at(index) for index in range(200)]
