"""Closing while calls are under way: each gets ClientClosedError at once, whatever it was doing."""

import asyncio
import gc
import importlib
import random
import time
from functools import partial

import anyio
import anyio.lowlevel
import httpx
import pytest
from call_doors import DOORS, create
from clocks import ManualClock
from kit import connect, login_body
from thorough import variants
from wire_server import answer, new_client, serving

from carecloud_async import CareCloud, ClientClosedError, OutcomeUnknownError, RateLimit, ResponseCache, RetryPolicy
from carecloud_async._calls.call import context
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

BODY = b'{"data":{"customers":[],"total_items":0}}'


def slow(chance):
    """A server whose answers trickle: heads, bodies and logins are cut at random moments."""

    async def behave(stream, head):
        whole = answer(login_body() if b"/login" in head else BODY)
        for start in range(0, len(whole), 40):
            await anyio.sleep(chance.uniform(0, 0.004))
            await stream.send(whole[start : start + 40])
        return True

    return behave


async def outcome(call, outcomes):
    try:
        await call()
    except ClientClosedError:
        outcomes.append("closed")
    except BaseException as error:
        outcomes.append(repr(error))
        raise
    else:
        outcomes.append("answered")


@pytest.mark.parametrize(
    ("kind", "whose"), [*((kind, "ours") for kind in DOORS), *((kind, "users") for kind in ("httpx", "httpx2"))]
)
@pytest.mark.parametrize("seed", [0, *variants(1, 2, 3)])
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a pool of httpx that is closed in use forgets connections
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_closing_at_any_moment_ends_every_call_with_an_error(kind, whose, seed, anyio_backend):
    """The client, or the user's one under it, is closed in forty calls: each has an answer or an error of its own."""
    if kind == "httpx-aiohttp" and anyio_backend != "asyncio":
        pytest.skip("aiohttp runs on asyncio alone")
    if kind == "httpx" and anyio_backend == "trio":
        pytest.skip("httpx's pool does not close its own generator here")
    chance = random.Random(seed)
    outcomes = []
    async with serving(slow(chance)) as server:
        server.answer = slow(chance)
        async with DOORS[kind](server.url, retry=RetryPolicy(base=0.001)) as client:
            with anyio.fail_after(60):
                async with anyio.create_task_group() as group:
                    for _ in range(40):
                        group.start_soon(outcome, client.ping, outcomes)
                    await anyio.sleep(chance.uniform(0, 0.15))
                    await (client if whose == "ours" else client.http).aclose()
    assert len(outcomes) == 40
    assert set(outcomes) <= {"closed", "answered"}
    gc.collect()  # not in the middle of another test


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_calls_that_begin_while_the_client_closes_do_not_hold_it_up():
    """Calls that find the pool full after `aclose()` began end at once, as those do that waited for it."""
    for _ in range(3):
        outcomes = []
        async with serving(30.0) as server:
            client = new_client(server.url, max_connections=1, cache=ResponseCache())
            await client.login()
            async with anyio.create_task_group() as group:
                group.start_soon(outcome, partial(client.customers.get, "first"), outcomes)
                await server.asked.wait()
                for number in range(20):
                    group.start_soon(outcome, partial(client.customers.get, f"{number}"), outcomes)
                await anyio.lowlevel.checkpoint()  # they are under way, and have not asked for a connection yet
                began = time.monotonic()
                await client.aclose()
                assert time.monotonic() - began < 1
        assert outcomes == ["closed"] * 21


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_closing_a_client_on_aiohttp_cancels_no_task():
    """The user's own httpx client over aiohttp, with a full pool: calls in its queue get the error too."""
    aiohttp = importlib.import_module("aiohttp")
    transport = pytest.importorskip("httpx_aiohttp").AiohttpTransport(
        client=lambda: aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2))
    )
    outcomes = []

    async with serving(30.0) as server:
        http = httpx.AsyncClient(transport=transport)
        client = CareCloud(server.url, auth=Sandbox(1).credentials(), http_client=http)
        await client.login()
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(outcome, client.ping, outcomes)
                while sum(b"GET" in head for head in server.requests) < 2:  # noqa: ASYNC110  (a count, no event)
                    await anyio.sleep(0.001)
                await http.aclose()
    assert outcomes == ["closed"] * 10


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_users_client_closed_while_a_body_is_read_ends_the_call():
    """Closing a session of aiohttp leaves a reader of a body waiting: the call gets the error all the same."""
    transport = pytest.importorskip("httpx_aiohttp").AiohttpTransport()
    reading, outcomes = asyncio.Event(), []

    async def on_response(response):
        if response.request.method == "GET":
            reading.set()

    async with serving(answer(BODY)[:-5], 30.0) as server:
        http = httpx.AsyncClient(transport=transport, event_hooks={"response": [on_response]})
        client = CareCloud(server.url, auth=Sandbox(1).credentials(), http_client=http)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(outcome, client.ping, outcomes)
                await reading.wait()
                await http.aclose()
    assert outcomes == ["closed"]


class Stuck(httpx.AsyncBaseTransport):
    """Passes on to a sandbox, but for requests and closings that do not end, though they are cancelled, until told."""

    def __init__(self, sandbox, *, holds):
        self.inner, self.holds, self.end = sandbox.transport(), holds, anyio.Event()

    async def handle_async_request(self, request):
        if self.holds == "requests" and request.method == "GET":
            with anyio.CancelScope(shield=True):
                await self.end.wait()
        return await self.inner.handle_async_request(request)

    async def aclose(self):
        if self.holds == "closing":
            await self.end.wait()


async def test_the_users_client_closed_ends_calls_that_wait_for_their_slots():
    """A call that ends finds the user's client closed: those at the limiter end too, and no clock has to move."""
    sandbox, outcomes = Sandbox(5), []
    stuck = Stuck(sandbox, holds="requests")
    http = httpx.AsyncClient(transport=stuck)
    limit, clock = RateLimit(requests_per_second=0.5), ManualClock()
    client = connect(sandbox, http_client=http, rate_limit=limit, clock=clock)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            await client.login()
            clock.now += 2.5  # the next slot is there
            for _ in range(5):
                group.start_soon(outcome, client.ping, outcomes)
            await anyio.wait_all_tasks_blocked()
            await http.aclose()
            stuck.end.set()
    assert outcomes == ["answered", *["closed"] * 4]


@pytest.mark.parametrize("holds", ["requests", "closing"])
async def test_closing_ends_though_the_users_transport_does_not(holds, monkeypatch, caplog):
    """A transport that hangs when it is closed is left with a warning, and so are requests that cannot be cancelled."""
    monkeypatch.setattr(context, "CLOSING_SECONDS", 0.05)
    sandbox, outcomes = Sandbox(5), []
    stuck = Stuck(sandbox, holds=holds)
    client = connect(sandbox, transport=stuck)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            await client.login()
            if holds == "requests":
                group.start_soon(outcome, client.ping, outcomes)
                await anyio.wait_all_tasks_blocked()
            await client.aclose()
            assert outcomes == []
            stuck.end.set()
    assert outcomes == (["answered"] if holds == "requests" else [])
    assert [record.name for record in caplog.records] == (["carecloud_async.client"] if holds == "closing" else [])
    assert client.http.is_closed


async def test_closing_ends_waits_at_the_limiter_and_between_repeats():
    """Calls that queue, or sleep before the next attempt, fail at once: no clock has to move."""
    sandbox = Sandbox(5)
    outcomes = []
    client = connect(sandbox, rate_limit=RateLimit(requests_per_second=0.5), clock=ManualClock())
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            sandbox.faults.add("POST /users/actions/login", status=503, times=None)
            for _ in range(5):
                group.start_soon(outcome, client.ping, outcomes)
            group.start_soon(outcome, client.login, outcomes)
            await anyio.wait_all_tasks_blocked()
            await client.aclose()
    assert outcomes == ["closed"] * 6


async def test_a_write_that_was_sent_says_that_it_may_have_happened():
    """Closing cannot call a POST back: the error says so."""
    async with serving(30.0) as server:
        client = CareCloud(server.url, auth=Sandbox(1).credentials())
        await client.login()

        async def write():
            with pytest.raises(OutcomeUnknownError, match="may have happened") as caught:
                await create(client)
            assert isinstance(caught.value.__cause__, ClientClosedError)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(write)
                await server.asked.wait()
                await client.aclose()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancelled_task_stays_cancelled_while_the_client_closes():
    """A cancelled task ends as cancelled, though the client is closed in the same moment."""
    async with serving(30.0) as server:
        client = CareCloud(server.url, auth=Sandbox(1).credentials())
        await client.login()
        task = asyncio.create_task(client.ping())
        await asyncio.sleep(0.05)
        task.cancel()
        await client.aclose()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
