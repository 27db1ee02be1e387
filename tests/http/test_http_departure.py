"""Requests leave evenly spaced under a limit, and a write that got no connection in time was not sent."""

import asyncio
import time

import anyio
import httpx
import httpx2
import pytest
from clocks import FakeClock, ManualClock, passing_time
from kit import KnownUser
from thorough import variants
from wire_server import BODY, answer, outcome, serving

from carecloud_async import CareCloud, RateLimit, RateLimitError, RequestTimeoutError, Timeout
from carecloud_async._base.codec.answers import data
from carecloud_async._calls.call.operation import CallRequest, Operation
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
RATE = 20
#: CareCloud's own refusal of a token.
REFUSED = b'{"error": {"exception": "unauthorized_exception"}}'
#: The most requests in a quarter of a second: five by the rate, two that may be caught up, and what timers are late.
MOST = 11

CLIENTS = {"own": lambda: None, "httpx": httpx.AsyncClient, "httpx2": httpx2.AsyncClient}


@pytest.fixture(params=["own", "httpx2", *variants("httpx")])
async def http_client(request):
    made = CLIENTS[request.param]()
    yield made
    if made is not None:
        await made.aclose()


def connect(server, http_client=None, *, rate=RATE, **options):
    if http_client is not None:
        options["http_client"] = http_client
    limit = RateLimit(requests_per_second=rate)
    return CareCloud(server.url, auth=Sandbox(1).credentials(), rate_limit=limit, **options)


class Arrivals:
    """Answers requests, and notes when each came.

    Args:
        slow: how many of the first answers take 0.6 seconds.
    """

    def __init__(self, *, slow=0):
        self.times = []
        self._slow = slow

    def __call__(self, number, request):
        self.times.append(time.monotonic())
        return (0.6, answer(BODY)) if number <= self._slow else (answer(BODY),)

    @property
    def busiest(self):
        """The most requests that came within a quarter of a second."""
        return max(sum(begin <= at < begin + 0.25 for at in self.times) for begin in self.times)


async def call_at_once(client, number):
    async with anyio.create_task_group() as group:
        for _ in range(number):
            group.start_soon(client.customers.list(count=1).page)


async def test_calls_that_waited_for_a_login_leave_evenly_spaced(http_client, monkeypatch):
    """The slots are taken after the login, so that the calls are no burst after it."""
    arrivals = Arrivals()
    async with serving(arrivals) as server:
        quick = server.answer

        async def slow_login(stream, request):
            await anyio.sleep(0.8 if b"/actions/login" in request else 0)
            return await quick(stream, request)

        monkeypatch.setattr(server, "answer", slow_login)
        async with connect(server, http_client) as client:
            await call_at_once(client, 14)
    assert len(arrivals.times) == 14
    assert arrivals.busiest <= MOST


async def test_calls_that_waited_for_a_connection_leave_evenly_spaced(http_client):
    """Calls share few connections to a server that hangs for some time: none of their slots is old after that."""
    arrivals = Arrivals(slow=6)
    options = {"max_connections": 3} if http_client is None else {}
    async with serving(arrivals) as server, connect(server, http_client, **options) as client:
        await call_at_once(client, 20)
    assert len(arrivals.times) == 20
    assert arrivals.busiest <= MOST


async def test_the_replay_after_a_401_has_a_slot_of_its_own(http_client):
    """Each request on the wire counts at the limiter."""
    clock, times = FakeClock(), []

    def refuse_once(number, request):
        times.append(clock.now)
        return (answer(REFUSED, b"401 Unauthorized") if number == 2 else answer(BODY),)

    async with serving(refuse_once) as server, connect(server, http_client, rate=4, clock=clock) as client:
        await client.ping()
        await client.ping()
    assert len(times) == 3
    assert times[2] - times[1] == pytest.approx(0.5)  # the login and the replay, a quarter of a second each


async def test_calls_that_are_cancelled_give_back_slots_and_connections(http_client):
    """After a hundred calls that gave up in both queues, the next one is served at once, on the only connection."""
    clock = ManualClock()
    options = {"max_connections": 1} if http_client is None else {}
    async with serving(Arrivals()) as server, connect(server, http_client, rate=5, clock=clock, **options) as client:
        async with passing_time(clock):
            await client.ping()
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(client.ping)
            await clock.run(clock.now + 0.5)
            group.cancel_scope.cancel()
        began = clock.now
        async with passing_time(clock):
            await client.ping()
            await client.ping()
    assert clock.now - began < 10  # the slots of all would last 20 seconds


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_waits_for_a_connection_end_by_themselves():
    """Behind a slow call, one with less time than those before it ends in time, and the others are served in turn."""
    served, arrivals = [], Arrivals(slow=1)

    async def call(client, name):
        served.append((name, type(await outcome(client.ping())).__name__))

    async with serving(arrivals) as server, connect(server, rate=1000, max_connections=1) as client:
        await client.login()
        hasty = client.with_options(timeout=Timeout(total=0.2))
        async with anyio.create_task_group() as group:
            for name, view in (("slow", client), ("first", client), ("hasty", hasty), ("last", client)):
                group.start_soon(call, view, name)
                await anyio.sleep(0.02)
    assert served == [("hasty", "tuple"), ("slow", "NoneType"), ("first", "NoneType"), ("last", "NoneType")]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # on trio a task that is woken is not cancelled any more
async def test_a_connection_that_comes_to_a_cancelled_call_goes_to_the_next():
    """A call that is cancelled in the moment in which it gets the only connection leaves it to the next call."""

    async def call(client, number):
        await client.ping()
        if number == 0:
            tasks[1].cancel()

    async with serving(answer(BODY)) as server, connect(server, rate=1000, max_connections=1) as client:
        await client.login()
        tasks = [asyncio.create_task(call(client, number)) for number in range(3)]
        ended, _ = await asyncio.wait(tasks, timeout=5)
    assert ended == {*tasks}
    assert [task.cancelled() for task in tasks] == [False, True, False]


async def test_waiting_behind_calls_that_wait_for_their_slots_is_waiting_for_the_limiter():
    """Of five calls that share a connection, at one a minute, the last waits five minutes for the limiter."""
    clock = ManualClock()
    async with (
        serving(Arrivals()) as server,
        connect(server, rate=1 / 60, clock=clock, timeout=Timeout(total=60, limiter=600), max_connections=1) as client,
        passing_time(clock),
    ):
        await client.login()
        with client.record_calls() as calls:
            await call_at_once(client, 5)
    assert sorted(call.limiter_seconds for call in calls) == pytest.approx([60, 120, 180, 240, 300], abs=5)


async def test_a_login_waits_for_none_of_the_calls_that_wait_for_slots():
    """A login that comes while eight calls share the permits, or wait for one, is one of the next requests."""
    clock, logins = ManualClock(), []

    def note_logins(number, request):
        logins.append(server.logins)
        return (answer(BODY),)

    async with serving(note_logins) as server, connect(server, rate=1, clock=clock, max_connections=2) as client:
        async with passing_time(clock):
            await client.ping()
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(client.ping)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(client.login)
            await anyio.wait_all_tasks_blocked()
            async with passing_time(clock):
                while len(logins) < 9:  # noqa: ASYNC110  (the server has no event for it)
                    await anyio.sleep(0.01)
    assert set(logins[4:]) == {2}


async def test_a_write_that_waited_too_long_at_the_limiter_was_not_sent(http_client):
    """A write with a connection and no slot in time ends with the limiter's error, which says that nothing was sent."""
    arrivals = Arrivals()
    async with serving(arrivals) as server, connect(server, http_client, rate=0.2) as client:
        await client.login()
        view = client.with_options(timeout=Timeout(total=5, limiter=0.5))
        with pytest.raises(RateLimitError, match="not sent") as caught:
            await view.request("POST", "/customers", json={"a": 1})
    assert arrivals.times == []
    assert not getattr(caught.value, "may_have_happened", False)


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(http_client):
    """A write whose connection ends while it waits for its slot is sent once, on another connection."""
    requests = []

    def answer_and_hang_up(number, request):
        requests.append(request)
        return (answer(BODY), 0.2, b"")  # the server closes it, while the next call waits

    async with serving(answer_and_hang_up) as server, connect(server, http_client, rate=1.5) as client:
        await client.login()
        await client.ping()
        await client.request("POST", "/customers", json={"a": 1})
    assert len(requests) == 2


CREATE = Operation(operation_id="x", method="POST", path="/customers", call="customers.create")


#: The pool of trio's transport does not tell whether a request has its connection.
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


def one_connection(server, **options):
    return CareCloud(server.url, auth=KnownUser(), max_connections=1, **options)


@on_asyncio
@pytest.mark.parametrize("rate_limit", [RateLimit.adaptive(), None], ids=["adaptive", "none"])
async def test_a_write_that_got_no_connection_was_not_sent(rate_limit):
    """A write that waits for the only connection until its time is over is a timeout, and not an unknown outcome."""
    async with (
        serving(60.0) as server,
        one_connection(server, rate_limit=rate_limit) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(client.ping)
        await server.asked.wait()
        with pytest.raises(RequestTimeoutError, match="no connection in time") as caught:
            await client.with_options(timeout=Timeout(total=0.2)).request("POST", "/customers", json={"a": 1})
        tasks.cancel_scope.cancel()
    assert not caught.value.may_have_happened
    assert len(server.requests) == 1


@on_asyncio
@pytest.mark.parametrize("way", ["in use", "slow look-up"])
async def test_a_write_whose_connection_came_too_late_was_not_sent(way, monkeypatch):
    """A write that is too old when its connection is free, or open, is a timeout, and leaves no request."""
    loop = asyncio.get_running_loop()
    look_up = loop.getaddrinfo

    async def slow(*args, **options):
        await asyncio.sleep(0.3)
        return await look_up(*args, **options)

    async with (
        serving(0.5, answer(BODY)) as server,
        one_connection(server) as client,
        anyio.create_task_group() as tasks,
    ):
        if way == "in use":
            tasks.start_soon(client.ping)
            await server.asked.wait()
        else:
            monkeypatch.setattr(loop, "getaddrinfo", slow)
        request = CallRequest(CREATE, decode=data, json={"a": 1}, within=0.1)
        with pytest.raises(RequestTimeoutError, match="not sent: its connection or its token came too late") as caught:
            await client._caller.call(request)
    assert not caught.value.may_have_happened
    assert not any(request.startswith(b"POST") for request in server.requests)
