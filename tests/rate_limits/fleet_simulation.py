"""Processes that share a rate limit, in virtual time: the limiters, the scripts and the Redis are real."""

import asyncio
import math
from random import Random

from redis import Redis

from benchmarks.rate_simulation import Outcome
from benchmarks.virtual_time import VirtualLoop
from carecloud_async._calls.call.retry import Failure, FailureKind, RetryPolicy
from carecloud_async._calls.rate_limits.rate_limit import RateLimiter
from carecloud_async._calls.rate_limits.shared_pace import SCRIPT, SharedPace
from carecloud_async.errors import RateLimitError

#: Seconds by which a timer is late at most, and those of a round trip to Redis.
LATE = 0.001
ROUND_TRIP = 0.0006
#: What Redis's clock shows when the virtual one is at zero (seconds).
EPOCH = 1.7e9


class LateClock:
    """The clock of a virtual loop, whose timers are a little late, as those of busy processes are."""

    def __init__(self, loop, random):
        self._loop = loop
        self._random = random

    def monotonic(self):
        return self._loop.now

    time = monotonic

    async def sleep(self, seconds):
        await asyncio.sleep(seconds + self._random.random() * LATE)


class VirtualPace(SharedPace):
    """The pace of a process; Redis gets the virtual time as a last argument, and can be slow, or away."""

    def __init__(self, redis, loop, *arguments, round_trip=ROUND_TRIP, **options):
        super().__init__(*arguments, **options)
        self._script = redis.register_script(SCRIPT.replace("redis.call('TIME')", "{table.remove(ARGV), '0'}"))
        self._loop = loop
        self.round_trip = round_trip
        self.step = 0.0
        self.away = False

    def pace(self, clock):
        """See `RateLimitPolicy.pace`: it is its own setting."""
        return self

    async def _run(self, arguments):
        await asyncio.sleep(self.round_trip / 2)
        if self.away:
            raise ConnectionError
        answer = self._script(self._keys, [*arguments, f"{EPOCH + self._loop.now + self.step:.6f}"])
        await asyncio.sleep(self.round_trip / 2)
        return answer


def simulate_fleet(
    url,
    prefix,
    server,
    *,
    callers,
    requests,
    latency=0.03,
    seed=1,
    configured=None,
    round_trip=ROUND_TRIP,
    seconds=1e9,
    events=None,
    later=0.0,
):
    """Let processes with these numbers of callers call until `requests` calls were served.

    Args:
        url: the Redis.
        prefix: of the keys; they must be new.
        server: what admits calls, see `benchmarks.rate_servers`.
        callers: how many each process has.
        requests: the number of served calls.
        latency: seconds from sending a call to its answer.
        seed: of everything that is random.
        configured: calls per second, if they are configured.
        round_trip: seconds from asking Redis to its answer.
        seconds: the simulation ends after this time at the latest.
        events: what happens, by the time at which: functions of the Redis, the limiters, and those that are gone.
        later: what Redis's clock shows at the start, in seconds after `EPOCH`.
    """
    loop = VirtualLoop()
    start = loop.now
    outcome = Outcome()
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

    async def work(limiter, clock, random, gone):
        attempts = 0
        while len(outcome.served) < requests and loop.now - start < seconds:
            attempts = await call(limiter, clock, random, attempts)
            if limiter in gone:
                return
        done.set()

    async def main(redis):
        limiters, tasks, gone = [], [], []
        for number, size in enumerate(callers):
            random = Random(100 * seed + number)
            clock = LateClock(loop, random)
            pace = VirtualPace(
                redis, loop, url, prefix=prefix, most=configured or math.inf, clock=clock, round_trip=round_trip
            )
            pace.step = later
            limiters.append(RateLimiter(pace, clock=clock, origin="https://x.example"))
            tasks += [asyncio.ensure_future(work(limiters[-1], clock, random, gone)) for _ in range(size)]
        for moment, event in (events or {}).items():
            loop.call_at(start + moment, event, redis, limiters, gone)
        loop.call_at(start + seconds, done.set)
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
