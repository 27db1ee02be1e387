"""No call without an end: the wait at the limiter, logins, logouts and pings are bounded."""

import anyio
import httpx
import pytest
from call_doors import default
from clocks import ManualClock, passing_time
from kit import KnownUser, connect, login_body, served
from wire_server import answer, serving

from carecloud_async import (
    CareCloud,
    ClientClosedError,
    EnterpriseCredentials,
    RateLimit,
    RateLimitError,
    RequestTimeoutError,
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
            outcomes.append((error.status, "Timeout(limiter=…)" in str(error)))
        else:
            outcomes.append("passed")

    client = CareCloud(
        "x.example.com",
        auth=sandbox.credentials(),
        transport=sandbox.transport(),
        clock=clock,
        rate_limit=RateLimit(requests_per_second=1),
    )
    async with client, passing_time(clock):
        await client.login()
        view = client.with_options(timeout=Timeout(total=1, limiter=4.5))
        with client.record_calls() as calls:
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(call, view)
    assert sorted(outcomes, key=str) == [(429, True)] * 6 + ["passed"] * 4
    assert sandbox.count("GET /customers") == 4
    assert sorted(call.attempts for call in calls) == [0] * 6 + [1] * 4


async def test_a_pause_that_is_too_long_is_reported_at_once():
    """After `Retry-After: 20` a probe with two seconds learns of it without waiting, and when to come back."""
    sandbox = Sandbox(5)
    clock = ManualClock()
    client = CareCloud("x.example.com", auth=sandbox.credentials(), transport=sandbox.transport(), clock=clock)
    async with client, passing_time(clock):
        await client.login()
        sandbox.faults.add("GET /customers", status=429, retry_after=20)
        probe = client.with_options(timeout=2)
        for _ in range(2):
            before = clock.now
            with pytest.raises(RateLimitError) as caught:
                await probe.ping()
            assert clock.now - before < 1
            assert 18 < caught.value.retry_after <= 20


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
