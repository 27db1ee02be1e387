"""Clients that go through a gate on a loop of virtual time. `benchmarks.rate_simulation` is faster."""

import asyncio
import random

import anyio

from benchmarks.virtual_time import VirtualLoop
from carecloud_async._calls.rate_limits.rate_limit import RateLimiter


class LoopClock:
    def __init__(self, loop):
        self._loop = loop

    def monotonic(self):
        return self._loop.now

    def time(self):
        return self._loop.now

    async def sleep(self, seconds):
        await anyio.sleep(seconds)


class Result:
    def __init__(self):
        self.times = []
        self.refused = 0

    def pace(self, since=0.0, until=60.0):
        return sum(since <= moment < until for moment in self.times) / (until - since)

    def share_of(self, rate):
        """The part of a limit that the calls had, from the start to the last of them."""
        return len(self.times) / self.times[-1] / rate

    @property
    def share_refused(self):
        return self.refused / (self.refused + len(self.times))


def simulate(
    server, limit, *, workers=8, latency=0.05, seconds=60.0, retry_after=None, change=None, requests=None, seed=1
):
    """Let workers call as fast as the gate lets them; `change` maps moments to new rates of the server.

    It ends after `seconds` or `requests` served calls; the seed also moves the start within a second.
    """
    loop = VirtualLoop()
    loop.now += (seed - 1) * 0.27
    chance = random.Random(seed)
    result = Result()

    def done():
        return requests is not None and len(result.times) >= requests

    async def worker(gate, clock, start):
        failures = 0
        while (now := clock.monotonic() - start) < seconds and not done():
            for moment, rate in (change or {}).items():
                if now >= moment:
                    server.rate = rate
            ticket = gate.try_acquire()
            if ticket is None:
                ticket = await gate.acquire()
            if done():
                return
            half = latency * chance.uniform(0.3, 0.7)
            await asyncio.sleep(half)
            admitted = server.admit(clock.monotonic())
            await asyncio.sleep(half)
            if admitted:
                gate.on_success(ticket)
                failures = 0
                result.times.append(clock.monotonic() - start)
            else:
                result.refused += 1
                gate.on_throttled(ticket, retry_after=retry_after)
                await clock.sleep(max(retry_after or 0, chance.random() * min(0.5 * 2**failures, 30)))
                failures += 1

    async def main():
        clock = LoopClock(loop)
        gate = RateLimiter(limit, clock=clock)
        await asyncio.gather(*[worker(gate, clock, clock.monotonic()) for _ in range(workers)])

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    return result
