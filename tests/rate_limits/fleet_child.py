"""A process of a fleet that shares a rate limit: it calls a `LimitedServer` for as long as it lives."""

import asyncio
from random import Random

from carecloud_async import RedisRateLimit
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async._calls.rate_limits.rate_limit import RateLimiter


async def call(limiter, port, name, latency, random):
    """Call one after the other; a refused call waits a moment, as `RetryPolicy` has it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{name}\n".encode())
    failures = 0
    while True:
        ticket = limiter.try_acquire()
        if ticket is None:
            ticket = await limiter.acquire()
        await asyncio.sleep(latency / 2)
        writer.write(b"call\n")
        answer = await reader.readline()
        await asyncio.sleep(latency / 2)
        if answer == b"1\n":
            limiter.on_success(ticket)
            failures = 0
        elif answer == b"0\n":
            limiter.on_throttled(ticket, retry_after=None)
            await asyncio.sleep(random.random() * min(0.5 * 2**failures, 30))
            failures += 1
        else:
            return


async def main(port, redis_url, name, callers, configured, latency):
    limit = RedisRateLimit(redis_url, requests_per_second=float(configured) or None)
    limiter = RateLimiter(limit, origin="https://one.example", clock=SystemClock())
    await asyncio.gather(*(call(limiter, int(port), name, float(latency), Random()) for _ in range(int(callers))))


def run(*arguments):
    asyncio.run(main(*arguments))
