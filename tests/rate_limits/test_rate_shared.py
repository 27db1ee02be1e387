"""One rate limit for many processes: a real Redis, clocks to set, processes of their own."""

import asyncio
import logging
from collections import Counter

import anyio
import pytest

from carecloud_async import CareCloud, ConfigurationError, RedisRateLimit
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async._calls.rate_limits.rate_limit import MAX_IMPOSED, RateLimiter
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
    """Limiters that share a rate, each as a process of its own would have it."""

    def __init__(self, url, prefix, *, size, told=None, origin="https://one.example"):
        limit = RedisRateLimit(url, prefix=prefix, requests_per_second=told)
        self.members = [RateLimiter(limit, origin=origin, clock=QuickClock()) for _ in range(size)]

    async def __aenter__(self):
        return self.members

    async def __aexit__(self, *_):
        for member in self.members:
            await member.aclose()


async def enter(limiter):
    ticket = limiter.try_acquire()
    return await limiter.acquire() if ticket is None else ticket


@pytest.fixture
def prefix(request):
    """Keys of this test alone."""
    return f"{request.node.name}:"


async def test_all_members_share_a_configured_rate(redis_server, prefix):
    """Four at once get the calls of one rate, in turns, and none of them goes without."""
    taken = Counter()

    async def work(number, limiter):
        while sum(taken.values()) < 60:
            limiter.on_success(await enter(limiter))
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
    async with Fleet(redis_server.url, prefix, size=2, told=100) as (first, other):
        await enter(other)
        first.on_throttled(await enter(first), retry_after=MAX_IMPOSED)
        assert await first.acquire(seconds=1.0) is None
        with anyio.fail_after(20):  # it reports the pause, and the other uses up its slots
            while await other.acquire(seconds=1.0) is not None:
                pass
        late = Fleet(redis_server.url, prefix, size=1, told=100)
        async with late as (newcomer,):
            assert await newcomer.acquire(seconds=1.0) is None


async def test_a_429_lowers_the_rate_of_every_member(redis_server, prefix):
    """All processes use the estimate after a 429, and refusals of calls that left before it change nothing."""
    async with Fleet(redis_server.url, prefix, size=2) as (first, other):
        tickets = []
        for _ in range(12):
            tickets.append(await enter(first))
            first.on_success(tickets[-1])
        for ticket in tickets[-3:]:
            first.on_throttled(ticket, retry_after=None)
        with anyio.fail_after(60):
            while first.rate is None or other.rate is None:
                for member in (first, other):
                    member.on_success(await enter(member))
        assert other.rate > 0


async def test_projects_do_not_share(redis_server, prefix):
    """A pause of one project does not stop the calls of another project."""
    first = Fleet(redis_server.url, prefix, size=1, told=100)
    second = Fleet(redis_server.url, prefix, size=1, told=100, origin="https://two.example")
    async with first as (paused,), second as (free,):
        paused.on_throttled(await enter(paused), retry_after=MAX_IMPOSED)
        assert await paused.acquire(seconds=1.0) is None
        assert await free.acquire(seconds=MAX_IMPOSED / 2) is not None


async def call_until(caplog, words, limiter):
    """Make calls until something is logged."""
    with anyio.fail_after(60):
        while words not in caplog.text:
            limiter.on_success(await enter(limiter))
            await anyio.sleep(0.01)  # where no limit is known, nothing else lets others run


async def test_without_redis_calls_go_on(own_redis_server, prefix, caplog):
    """Redis dies: one warning, and calls go on alone until it is back."""
    caplog.set_level(logging.INFO)
    async with Fleet(own_redis_server.url, prefix, size=1, told=1000) as (limiter,):
        limiter.on_success(await enter(limiter))
        own_redis_server.kill()
        await call_until(caplog, "limit of its own", limiter)
        assert await limiter.acquire(seconds=20.0) is not None
        assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
        own_redis_server.start()
        await call_until(caplog, "is shared again", limiter)
        assert await limiter.acquire(seconds=20.0) is not None


async def test_closing_while_calls_wait_leaves_none_hanging(own_redis_server, prefix):
    """A call that waits for a Redis that does not answer goes on by itself when the limiter is closed."""
    own_redis_server.freeze()
    try:
        async with anyio.create_task_group() as group:
            async with Fleet(own_redis_server.url, prefix, size=1, told=1000) as (limiter,):
                group.start_soon(enter, limiter)
                await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(60):
                await enter(limiter)
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


async def test_closing_ends_the_background_even_if_its_cancellation_is_lost(tmp_path):
    """Redis is away and asked every second: not any more."""
    clock = LosingClock()
    limiter = RateLimiter(RedisRateLimit(f"unix://{tmp_path}/nobody.sock"), clock=clock)
    await enter(limiter)
    clock.loses = True
    with anyio.fail_after(60):
        await limiter.aclose()


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
        async with CareCloud(
            "https://x.example",
            auth=sandbox.credentials(),
            transport=sandbox.transport(),
            rate_limit=RedisRateLimit("redis://127.0.0.1:1"),
        ) as client:
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
