"""Simulated servers: how long each takes for a page, in virtual time, with the link and this process behind it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from carecloud_async._calls.rate_limits.rate_limit import RateLimit, RateLimiter

#: A customer as JSON, in bytes.
RECORD_BYTES = 1300
#: Seconds that a customer takes on a link of 1 Gbit/s.
LINK_SECONDS = RECORD_BYTES * 8 / 1e9
#: Seconds that this process takes to make an object of a customer.
DECODE_SECONDS = 7e-6


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server of a list, and the way to it.

    Attributes:
        title: what the table says.
        seconds: returns the seconds that a worker takes for a page, by its number of records.
        workers: how many pages it makes at a time.
        round_trip: the seconds to the server and back.
        cap: the largest page.
        decode: seconds that this process takes for a record.
        rate: requests a second that the client's rate limiter lets pass; `None` for all.
        records: how long the list is.
    """

    title: str
    seconds: Callable[[int], float]
    workers: int = 1000
    round_trip: float = 0.0
    cap: int = 1_000_000
    decode: float = DECODE_SECONDS
    rate: float | None = None
    records: int = 100_000


@dataclass
class Answered:
    """A simulated answer.

    Attributes:
        first: the number of its first record.
        received: how many records it holds.
        sent_at: when the request left.
    """

    first: int
    received: int
    sent_at: float


class LoopClock:
    """The clock of the loop that runs; see `carecloud_async._base.runtime.clock.Clock`."""

    def monotonic(self) -> float:
        """Return the loop's time."""
        return anyio.current_time()

    def time(self) -> float:
        """Return the loop's time."""
        return anyio.current_time()

    async def sleep(self, seconds: float) -> None:
        """Sleep in the loop."""
        await anyio.sleep(seconds)


@dataclass
class Simulation:
    """A server that runs; to be made inside the loop.

    Attributes:
        server: the server.
        requests: the requests that were made: offset and count.
        most_at_once: the most requests that were under way at once.
    """

    server: Server
    requests: list[tuple[int, int]] = field(default_factory=list)
    most_at_once: int = 0
    _under_way: int = 0

    def __post_init__(self) -> None:
        """Make the queues."""
        rate = self.server.rate
        self.clock = LoopClock()
        self.limiter = RateLimiter(None if rate is None else RateLimit(requests_per_second=rate), clock=self.clock)
        self._workers = anyio.Semaphore(self.server.workers)
        self._link = anyio.Lock()
        self._processor = anyio.Lock()

    async def ask(self, offset: int, count: int) -> Answered:
        """Ask for a page, and come back when it is decoded."""
        server = self.server
        self.requests.append((offset, count))
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            ticket = self.limiter.try_acquire()
            if ticket is None:
                ticket = await self.limiter.acquire() or 0
            sent_at = anyio.current_time()
            received = max(min(count, server.cap, server.records - offset), 0)
            await anyio.sleep(server.round_trip / 2)
            async with self._workers:
                await anyio.sleep(server.seconds(received))
            async with self._link:
                await anyio.sleep(received * LINK_SECONDS)
            await anyio.sleep(server.round_trip / 2)
            async with self._processor:
                await anyio.sleep(received * server.decode)
            self.limiter.on_success(ticket)
            return Answered(first=offset, received=received, sent_at=sent_at)
        finally:
            self._under_way -= 1


def _steep(records: int) -> float:
    return 0.02 + 1e-4 * records * max(records / 200, 1.0)


SERVERS = (
    Server(title="far: 50 ms whatever the size", seconds=lambda _: 0.05),
    Server(title="serial: one worker, 10 ms + 0.1 ms a record", seconds=lambda n: 0.01 + 1e-4 * n, workers=1),
    Server(title="four workers, 20 ms + 0.05 ms a record", seconds=lambda n: 0.02 + 5e-5 * n, workers=4),
    Server(title="capped at 100 a page, 50 ms", seconds=lambda _: 0.05, cap=100),
    Server(title="steep: 20 ms + 0.1 ms a record, slower beyond 200", seconds=_steep),
    Server(title="client-bound: 5 ms, and 0.06 ms a record here", seconds=lambda _: 0.005, workers=8, decode=6e-5),
    Server(title="20 requests a second, 50 ms", seconds=lambda _: 0.05, rate=20.0),
)
