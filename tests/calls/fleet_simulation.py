"""Processes that share a rate limit, in virtual time: the limiters, the scripts and the Redis are real."""

import asyncio
from random import Random

from rate_simulation import LoopClock
from redis import Redis

from benchmarks.rate_simulation import Outcome
from benchmarks.virtual_time import VirtualLoop
from carecloud_async import RedisRateLimit
from carecloud_async.calls.redis_rate_limit import SharedRateLimiter
from carecloud_async.calls.retry import Failure, FailureKind, RetryPolicy
from carecloud_async.errors import RateLimitError

#: Seconds by which a timer is late at most, and those of a round trip to Redis.
LATE = 0.001
ROUND_TRIP = 0.0006


class LateClock(LoopClock):
    """Its timers are a little late, as those of busy processes are."""

    def __init__(self, loop, random):
        super().__init__(loop)
        self._random = random

    async def sleep(self, seconds):
        await super().sleep(seconds + self._random.random() * LATE)


class VirtualRedis:
    """What a limiter needs of redis-py's asyncio client; Redis is told the virtual time as a last key."""

    def __init__(self, redis, loop):
        self._redis = redis
        self._loop = loop
        self._pipeline = None

    def register_script(self, script):
        run = self._redis.register_script(script.replace("redis.call('TIME')", "{KEYS[#KEYS], '0'}"))

        async def call(keys, arguments):
            await asyncio.sleep(ROUND_TRIP / 2)
            result = run([*keys, f"{self._loop.now:.6f}"], arguments)
            await asyncio.sleep(ROUND_TRIP / 2)
            return result

        return call

    def pipeline(self, *, transaction):
        self._pipeline = self._redis.pipeline(transaction=transaction)
        return self

    def hgetall(self, key):
        self._pipeline.hgetall(key)
        return self

    def zrange(self, *arguments, **options):
        self._pipeline.zrange(*arguments, **options)
        return self

    def time(self):
        return self

    async def execute(self):
        pipeline = self._pipeline
        await asyncio.sleep(ROUND_TRIP / 2)
        now = self._loop.now
        result = [*pipeline.execute(), (int(now), int(now % 1 * 1e6))]
        await asyncio.sleep(ROUND_TRIP / 2)
        return result


class VirtualLimiter(SharedRateLimiter):
    """The limiter of a process, with a Redis of virtual time."""

    def __init__(self, redis, *arguments, **options):
        super().__init__(*arguments, **options)
        self._redis = redis

    async def _run(self, work):
        return await work(self._redis)


def simulate_fleet(url, prefix, server, *, callers, requests, latency=0.03, seed=1):
    """Let processes with so many callers each call until so many calls were served.

    Args:
        url: the Redis.
        prefix: of the keys; they must be new.
        server: what admits calls, see `benchmarks.rate_servers`.
        callers: how many each process has.
        requests: the number of served calls.
        latency: seconds from sending a call to its answer.
        seed: of everything that is random.
    """
    loop = VirtualLoop()
    start = loop.now
    outcome = Outcome()
    limit = RedisRateLimit(url, prefix=prefix)
    retry = RetryPolicy()

    async def call(limiter, clock, random, attempts):
        """Send one call; return the number of refusals in a row."""
        ticket = limiter.try_acquire()
        if ticket is None:
            ticket = await limiter.acquire()
        await asyncio.sleep(latency / 2)
        admitted = server.admit(loop.now)
        await asyncio.sleep(latency / 2)
        if admitted:
            limiter.on_success(ticket)
            outcome.served.append(loop.now - start)
            return 0
        limiter.on_throttled(ticket, retry_after=None)
        outcome.refused.append(loop.now - start)
        failure = Failure(kind=FailureKind.THROTTLED, error=RateLimitError(status=429, method="GET", path="/"))
        wait = retry.decide(failure, attempt=attempts + 1, safe_to_repeat=True, random=random.random)
        outcome.lost += wait is None
        await clock.sleep(wait or 0.0)
        return 0 if wait is None else attempts + 1

    async def work(limiter, clock, random):
        attempts = 0
        while len(outcome.served) < requests:
            attempts = await call(limiter, clock, random, attempts)
        done.set()

    async def main(redis):
        limiters, tasks = [], []
        for number, size in enumerate(callers):
            random = Random(100 * seed + number)
            clock = LateClock(loop, random)
            virtual = VirtualRedis(redis, loop)
            limiters.append(VirtualLimiter(virtual, limit, origin="https://x.example", clock=clock, random=random))
            tasks += [asyncio.ensure_future(work(limiters[-1], clock, random)) for _ in range(size)]
        await done.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for limiter in limiters:
            await limiter.aclose()

    done = asyncio.Event()
    try:
        with Redis.from_url(url) as redis:
            loop.run_until_complete(main(redis))
    finally:
        loop.close()
    return outcome
