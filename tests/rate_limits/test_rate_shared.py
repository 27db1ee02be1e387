"""One rate limit for many processes: a real Redis, clocks to set, clients that know nothing of each other."""

import asyncio
import logging
from collections import Counter

import anyio
import httpx
import pytest
from kit import KnownUser, connect, data, served
from telemetry import Telemetry

from carecloud_async import (
    CareCloud,
    ClientClosedError,
    ConfigurationError,
    RateLimitError,
    RedisRateLimit,
    RetryPolicy,
    Timeout,
)
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """redis-py works on asyncio alone."""
    return "asyncio"


class QuickClock(SystemClock):
    """The real clock, with short sleeps, so that Redis is soon found to be back."""

    async def sleep(self, seconds):
        await anyio.sleep(min(seconds, 0.2))


class Fleet:
    """Clients that share a rate, each as a process of its own would have it, and their server.

    Attributes:
        refusals: what the server says in `Retry-After` when it refuses the next calls; "" says nothing.
    """

    def __init__(self, url, prefix, *, size=1, told=None, host="one.example", clock=None, telemetry=()):
        self.refusals = []
        options = {
            "host": host,
            "auth": KnownUser(),
            "rate_limit": RedisRateLimit(url, prefix=prefix, requests_per_second=told),
            "retry": RetryPolicy(attempts=1),
            "clock": clock or QuickClock(),
        }
        self.members = [served(self.answer, **options, telemetry=observer) for observer in telemetry or [None] * size]

    def answer(self, request):
        if not self.refusals:
            return data({})
        asked = self.refusals.pop()
        return httpx.Response(429, headers={"Retry-After": asked} if asked else {})

    async def __aenter__(self):
        return self.members

    async def __aexit__(self, *_):
        for member in self.members:
            await member.aclose()


async def call(member, *, seconds=60):
    """Make a call that waits no longer than this at the limiter."""
    await member.with_options(timeout=Timeout(limiter=seconds)).request("GET", "things")


async def is_refused(member, *, seconds=1):
    """Whether a call cannot leave in time."""
    try:
        await call(member, seconds=seconds)
    except RateLimitError:
        return True
    return False


@pytest.fixture
def prefix(request):
    """Keys of this test alone."""
    return f"{request.node.name}:"


async def test_all_members_share_a_configured_rate(redis_server, prefix):
    """Four at once get the calls of one rate, in turns, and none of them goes without."""
    taken = Counter()

    async def work(number, member):
        while sum(taken.values()) < 60:
            await call(member)
            taken[number] += 1

    async with Fleet(redis_server.url, prefix, size=4, told=60) as members:
        start = asyncio.get_running_loop().time()
        async with anyio.create_task_group() as group:
            for number, member in enumerate(members):
                for _ in range(1 + 3 * (number == 0)):
                    group.start_soon(work, number, member)
        assert asyncio.get_running_loop().time() - start > 0.7  # at least as long as sixty calls take at the rate
    assert set(taken) == {0, 1, 2, 3}
    assert max(taken.values()) <= 12 * min(taken.values())


async def test_a_429_pauses_every_member(redis_server, prefix):
    """A 429 of one process stops that process, another one that still holds slots, and a new one."""
    fleet = Fleet(redis_server.url, prefix, size=2, told=100)
    async with fleet as (first, other):
        await call(other)
        fleet.refusals.append("30")
        assert await is_refused(first)
        assert await is_refused(first)
        with anyio.fail_after(20):  # it reports the pause, and the other uses up its slots
            while not await is_refused(other):
                pass
        async with Fleet(redis_server.url, prefix, told=100) as (newcomer,):
            assert await is_refused(newcomer)


async def test_a_429_lowers_the_rate_of_every_member(redis_server, prefix):
    """After a 429 all processes keep to the rate that the refused one estimates, and show it as their pace."""
    telemetry = [Telemetry(), Telemetry()]
    fleet = Fleet(redis_server.url, prefix, telemetry=[each.make() for each in telemetry])
    async with fleet as members:
        for _ in range(12):
            await call(members[0])
        assert not telemetry[0].points("carecloud.client.pace")
        fleet.refusals.append("")
        assert await is_refused(members[0])
        with anyio.fail_after(60):
            while not all(member.points("carecloud.client.pace") for member in telemetry):
                for member in members:
                    await call(member)
        assert telemetry[1].points("carecloud.client.pace")[0].value > 0


async def test_projects_do_not_share(redis_server, prefix):
    """A pause of one project does not stop the calls of another project."""
    first = Fleet(redis_server.url, prefix, told=100)
    second = Fleet(redis_server.url, prefix, told=100, host="two.example")
    async with first as (paused,), second as (free,):
        first.refusals.append("30")
        assert await is_refused(paused)
        assert await is_refused(paused)
        await call(free, seconds=15)


async def call_until(caplog, words, member):
    """Make calls until something is logged."""
    with anyio.fail_after(60):
        while words not in caplog.text:
            await call(member)
            await anyio.sleep(0.01)  # where no limit is known, nothing else lets others run


async def test_without_redis_calls_go_on(own_redis_server, prefix, caplog):
    """Redis dies: one warning, and calls go on alone until it is back."""
    caplog.set_level(logging.INFO)
    async with Fleet(own_redis_server.url, prefix, told=1000) as (member,):
        await call(member)
        own_redis_server.kill()
        await call_until(caplog, "limit of its own", member)
        await call(member, seconds=20)
        assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
        own_redis_server.start()
        await call_until(caplog, "is shared again", member)
        await call(member, seconds=20)


async def test_closing_while_calls_wait_leaves_none_hanging(own_redis_server, prefix):
    """A call that waits for a Redis that does not answer ends when the client is closed, which waits for neither."""
    own_redis_server.freeze()
    try:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:

                async def wait():
                    with pytest.raises(ClientClosedError):
                        await call(member)

                async with Fleet(own_redis_server.url, prefix, told=1000) as (member,):
                    group.start_soon(wait)
                    await anyio.wait_all_tasks_blocked()
    finally:
        own_redis_server.thaw()


class LosingClock(SystemClock):
    """Loses one cancellation, as a scope of anyio before 4.16 does that is cancelled at the same moment."""

    loses = False

    async def sleep(self, seconds):
        try:
            await anyio.sleep(seconds)
        except asyncio.CancelledError:
            if not self.loses:
                raise
            self.loses = False


async def test_closing_ends_the_background_even_if_its_cancellation_is_lost(tmp_path, prefix):
    """Redis is away and asked every second: not any more."""
    clock = LosingClock()
    async with Fleet(f"unix://{tmp_path}/nobody.sock", prefix, clock=clock) as (member,):
        await call(member)
        clock.loses = True
        with anyio.fail_after(60):
            await member.aclose()
        assert not clock.loses


async def test_closing_the_client_closes_its_connections(own_redis_server):
    """After `async with CareCloud(…)` no connection to Redis is left."""
    from redis.asyncio import Redis

    sandbox = Sandbox(5)
    limit = RedisRateLimit(own_redis_server.url)
    async with (
        sandbox.serving() as url,
        Redis.from_url(own_redis_server.url) as watcher,
    ):
        async with CareCloud(url, auth=sandbox.credentials(), rate_limit=limit) as client:
            await client.customers.list(count=1).page()
            assert len(await watcher.client_list()) > 1
        with anyio.fail_after(60):  # the server lists a closed connection until it has noticed
            while len(await watcher.client_list()) > 1:  # noqa: ASYNC110  (no event: the server's own list)
                await anyio.sleep(0.01)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_it_says_what_to_use():
    """The error names the limits that work there, and closing the client still works."""
    sandbox = Sandbox(5)
    with pytest.raises(ConfigurationError, match=r"asyncio only.*RateLimit"):
        async with connect(sandbox, rate_limit=RedisRateLimit("redis://127.0.0.1:1")) as client:
            await client.customers.list(count=1).page()


@pytest.mark.parametrize(
    ("url", "told", "words"), [("http://x", None, "cannot read"), ("redis://x", 0, "requests_per_second")]
)
def test_settings_that_cannot_work_are_refused_at_once(url, told, words):
    """A URL of another kind, and a rate of nothing."""
    with pytest.raises(ConfigurationError, match=words):
        RedisRateLimit(url, requests_per_second=told)


def test_the_password_stays_out_of_reprs():
    """The URL of a Redis may hold one."""
    assert "secret" not in repr(RedisRateLimit("redis://:secret@127.0.0.1/0"))
