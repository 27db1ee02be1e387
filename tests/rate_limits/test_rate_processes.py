"""Processes of their own that share a limit in a real Redis, in real time."""

import asyncio
import signal

import pytest
from limited_server import LimitedServer, fleet

from benchmarks.rate_servers import Bucket

LIMIT = 40


class Unlimited:
    """Admits all."""

    def admit(self, now):
        return True


async def run(redis, *, size, seconds, events=None, limit=None, **options):
    """Let a fleet call for so many seconds after all are there; do things on the way."""
    server = LimitedServer(limit or Bucket(LIMIT, 10))
    async with fleet(server, redis.url, size=size, **options) as processes:
        async with asyncio.timeout(120):
            while len(server.names(0, 1e9)) < size:  # noqa: ASYNC110  (the server has no event for it)
                await asyncio.sleep(0.05)
        began = server.now()
        for moment, event in (events or {}).items():
            await asyncio.sleep(max(began + moment - server.now(), 0))
            event(redis, processes)
        await asyncio.sleep(max(began + seconds - server.now(), 0))
        server.began = began
        return server


@pytest.mark.asyncio
async def test_four_processes_share_a_limit_that_none_of_them_knows(own_redis_server):
    """All are served on and on, with few refusals, however slow the machine is."""
    server = LimitedServer(Bucket(LIMIT, 10))
    async with fleet(server, own_redis_server.url, size=4), asyncio.timeout(120):
        while len(served := server.names(0, 1e9)) < 4 or min(served.values()) < 20:  # noqa: ASYNC110  (as above)
            await asyncio.sleep(0.05)
    assert server.refused(0, 1e9) < 0.25


CHANGES = {
    "from cold": {},
    "Redis restarted": {12: lambda redis, _: redis.kill(), 13: lambda redis, _: redis.start()},
    "Redis paused": {12: lambda redis, _: redis.freeze(), 22: lambda redis, _: redis.thaw()},
    "Redis away": {12: lambda redis, _: redis.kill()},
    "one stopped, one killed": {
        12: lambda _, processes: (processes[0].send_signal(signal.SIGSTOP), processes[1].kill()),
        22: lambda _, processes: processes[0].send_signal(signal.SIGCONT),
    },
}


@pytest.mark.thorough
@pytest.mark.parametrize("size", [4, 20])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.asyncio
async def test_ten_seconds_after_a_change_the_rate_is_back(own_redis_server, change, size):
    """Whatever becomes of Redis or of a process, calls go on, and not at more than the limit."""
    server = await run(own_redis_server, size=size, seconds=45, events=CHANGES[change])
    since, until = server.began + 32, server.began + 45
    assert server.share(since, until, LIMIT) > 0.7
    assert server.refused(since, until) < 0.15


@pytest.mark.thorough
@pytest.mark.asyncio
async def test_no_process_waits_longer_than_twice_its_turn(own_redis_server):
    """Twenty processes at two calls a second: a turn is ten seconds."""
    server = await run(own_redis_server, size=20, callers=1, configured=2, seconds=45, limit=Unlimited())
    assert server.longest_wait(server.began, server.began + 45) < 20
    assert server.share(server.began, server.began + 45, 2) > 0.8


@pytest.mark.thorough
@pytest.mark.asyncio
async def test_a_short_lived_process_slows_none_that_come_after_it(own_redis_server):
    """After 35 calls of a process that is gone, four fresh ones serve most of the limit from the start, busy or not."""
    server = LimitedServer(Bucket(LIMIT, 10))
    async with asyncio.timeout(120):
        async with fleet(server, own_redis_server.url, size=1, callers=1, latency=0.025):
            while server.names(0, 1e9).total() < 35:  # noqa: ASYNC110  (as above)
                await asyncio.sleep(0.02)
        gone = server.now()
        async with fleet(server, own_redis_server.url, size=4, callers=5, latency=0.02):
            while len(server.names(gone, 1e9)) < 4:  # noqa: ASYNC110  (as above)
                await asyncio.sleep(0.02)
            began = server.now()
            await asyncio.sleep(13)
    assert server.share(began, began + 3, LIMIT) > 0.4
    assert server.share(began + 3, began + 13, LIMIT) > 0.6
