"""Processes of their own that share a limit in a real Redis, in real time. How fast they are, simulations test."""

import asyncio
import os
import signal
from collections import Counter

import pytest
from limited_server import LimitedServer, fleet

from benchmarks.rate_servers import Bucket

LIMIT = 40


async def calls_served(server, number, *, to):
    """Wait until each of these processes was served this many calls; return the part that was refused meanwhile."""
    begun = len(server.calls)
    async with asyncio.timeout(240):
        while True:
            calls = server.calls[begun:]
            served = Counter(name for name, admitted in calls if admitted)
            if min(served[str(name)] for name in to) >= number:
                return 1 - served.total() / len(calls)
            await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_four_processes_share_a_limit_that_none_of_them_knows(own_redis_server):
    """All are served on and on, and few calls are refused."""
    server = LimitedServer(Bucket(LIMIT, 10))
    async with fleet(server, own_redis_server.url, size=4):
        assert await calls_served(server, 20, to=range(4)) < 0.25


def end_one_stop_one(_redis, processes):
    os.kill(processes[0].pid, signal.SIGSTOP)
    processes[1].kill()


def go_on(_redis, processes):
    os.kill(processes[0].pid, signal.SIGCONT)


#: What happens, step by step, and which processes make no calls after it.
CHANGES = {
    "Redis restarted": [(lambda redis, _: redis.kill(), ()), (lambda redis, _: redis.start(), ())],
    "Redis paused": [(lambda redis, _: redis.freeze(), ()), (lambda redis, _: redis.thaw(), ())],
    "Redis away": [(lambda redis, _: redis.kill(), ())],
    "one stopped, one killed": [(end_one_stop_one, (0, 1)), (go_on, (1,))],
}


@pytest.mark.thorough
@pytest.mark.parametrize("size", [4, 20])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.asyncio
async def test_after_a_change_calls_go_on(own_redis_server, change, size):
    """Whatever happens to Redis or to a process, all others are served, and in the end most calls are not refused."""
    server = LimitedServer(Bucket(LIMIT, 10))
    async with fleet(server, own_redis_server.url, size=size) as processes:
        await calls_served(server, 5, to=range(size))
        for event, away in CHANGES[change]:
            event(own_redis_server, processes)
            there = sorted({*range(size)}.difference(away))
            await calls_served(server, 5, to=there)
        assert await calls_served(server, 10, to=there) < 0.5
