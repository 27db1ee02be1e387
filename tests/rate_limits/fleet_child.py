"""A process of a fleet that shares a rate limit: it calls a `LimitedServer` for as long as it lives."""

import asyncio
from random import Random

from carecloud_async import RedisRateLimit
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async._calls.rate_limits.rate_limit import RateLimiter


async def call(limiter, port, name, random):
    """Call one after the other; a refused call waits a moment, as `RetryPolicy` has it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{name}\n".encode())
    failures = 0
    while True:
        ticket = limiter.try_acquire()
        if ticket is None:
            ticket = await limiter.acquire()
        writer.write(b"call\n")
        answer = await reader.readline()
        if answer == b"1\n":
            limiter.on_success(ticket)
            failures = 0
        elif answer == b"0\n":
            limiter.on_throttled(ticket, retry_after=None)
            await asyncio.sleep(random.random() * min(0.5 * 2**failures, 30))
            failures += 1
        else:
            return


async def main(port, redis_url, name):
    limiter = RateLimiter(RedisRateLimit(redis_url), origin="https://one.example", clock=SystemClock())
    await asyncio.gather(*(call(limiter, int(port), name, Random()) for _ in range(2)))


def run(*arguments):
    asyncio.run(main(*arguments))
