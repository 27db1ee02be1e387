"""Simulated callers of a server that limits: discrete events on a virtual clock, with the SDK's own rate limiter.

Nothing sleeps and nothing is random but what the seed says: a run of a minute takes milliseconds, and is the same each
time.
A number of callers make one call after the other. Each waits, in the order in which they came, until the limiter lets
it leave; it reaches the server after about half of the latency, and its answer is there after all of it. A refused call
is sent again after the wait that `RetryPolicy` decides, through the limiter as any other.
"""

import heapq
import math
from collections import deque
from collections.abc import Callable
from itertools import count
from random import Random

from attrs import define, field, frozen

from benchmarks.rate_servers import Server
from carecloud_async._calls.call.retry import Failure, FailureKind, RetryPolicy
from carecloud_async._calls.rate_limits.rate_limit import RateLimiter, RateLimitPolicy
from carecloud_async.errors import RateLimitError


class VirtualClock:
    """A clock that stands still until it is set."""

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.now

    def time(self) -> float:
        """See `Clock.time`."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Set the clock, which only the caller uses."""
        self.now += seconds


@frozen(kw_only=True)
class Callers:
    """Who calls, and over which network.

    Attributes:
        number: calls that are wanted at a time.
        latency: seconds from sending a call to its answer.
        jitter: part by which each way's half of the latency varies, evenly to both sides.
        retry_after: seconds that a refusal asks to wait; `None` if it says nothing.
    """

    number: int = 8
    latency: float = 0.03
    jitter: float = 0.0
    retry_after: float | None = None


@define
class Outcome:
    """What became of the calls; times are seconds since the first was sent.

    Attributes:
        served: times of the answers that were not 429.
        refused: times of the 429s.
        lost: calls that were given up after too many attempts.
    """

    served: list[float] = field(factory=list)
    refused: list[float] = field(factory=list)
    lost: int = 0

    def pace(self, since: float, until: float) -> float:
        """Return the calls served per second between two times."""
        return sum(since <= moment < until for moment in self.served) / (until - since)

    @property
    def rate(self) -> float:
        """Calls served per second, from the first that was sent to the last answer."""
        return len(self.served) / max(self.served, default=math.inf)

    @property
    def share_refused(self) -> float:
        """The part of all requests that was refused."""
        return len(self.refused) / max(len(self.refused) + len(self.served), 1)


class Simulation:
    """One run of callers against a server.

    Args:
        server: the server.
        policy: the limit that the client is given; `None` for none.
        callers: who calls.
        seed: of everything that is random. It also decides where in the server's second the first call is sent.
        make: makes the limiter, if it is not the one of one client.
        clock: the clock of the run, if it goes on after another run.
        idle: seconds between the client's beginning and its first call.
    """

    def __init__(
        self,
        server: Server,
        policy: RateLimitPolicy | None,
        callers: Callers,
        *,
        seed: int = 1,
        make: Callable[[VirtualClock], RateLimiter] | None = None,
        clock: VirtualClock | None = None,
        idle: float = 0.0,
    ) -> None:
        self._random = Random(seed)
        self.clock = VirtualClock(1000.0 + (seed - 1) * 0.27 % 1) if clock is None else clock
        self.limiter: RateLimiter = RateLimiter(policy, clock=self.clock) if make is None else make(self.clock)
        self.clock.now += idle
        self._start = self.clock.now
        self.outcome = Outcome()
        self._server = server
        self._callers = callers
        self._retry = RetryPolicy()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._waiting: deque[int] = deque((0,) * callers.number)
        self._wake_at = math.inf

    def run(
        self, *, requests: float = math.inf, seconds: float = math.inf, change: dict[float, float] | None = None
    ) -> Outcome:
        """Run until enough calls were served, or until the time is over.

        Args:
            requests: number of served calls.
            seconds: the time.
            change: new limits of the server, by the time at which they come.
        """
        for moment, rate in (change or {}).items():
            self._at(self._start + moment, lambda rate=rate: setattr(self._server, "rate", rate))  # type: ignore[misc]
        self._let_leave()
        while self._events and len(self.outcome.served) < requests:
            self.clock.now, _, event = heapq.heappop(self._events)
            if self.clock.now > self._start + seconds:
                break
            event()
            self._let_leave()
        return self.outcome

    def _at(self, moment: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._order), event))

    def _let_leave(self) -> None:
        while self._waiting and (ticket := self.limiter.try_acquire()) is not None:
            self._send(ticket, self._waiting.popleft())
        if not self._waiting:
            return
        wake_at = self.clock.now + max(self.limiter.delay(), 1e-6)
        if wake_at < self._wake_at or self._wake_at <= self.clock.now:
            self._wake_at = wake_at
            self._at(wake_at, lambda: None)

    def _send(self, ticket: int, attempts: int) -> None:
        half, jitter = self._callers.latency / 2, self._callers.jitter
        there, back = (half * (1 + self._random.uniform(-jitter, jitter)) for _ in range(2))

        def arrive() -> None:
            admitted = self._server.admit(self.clock.now)
            self._at(self.clock.now + back, answer if admitted else refusal)

        def answer() -> None:
            self.limiter.on_success(ticket)
            self.outcome.served.append(self.clock.now - self._start)
            self._waiting.append(0)

        def refusal() -> None:
            self.limiter.on_throttled(ticket, retry_after=self._callers.retry_after)
            self.outcome.refused.append(self.clock.now - self._start)
            error = RateLimitError(status=429, method="GET", path="/", retry_after=self._callers.retry_after)
            failure = Failure(kind=FailureKind.THROTTLED, error=error, retry_after=self._callers.retry_after)
            wait = self._retry.decide(failure, attempt=attempts + 1, safe_to_repeat=True, random=self._random.random)
            self.outcome.lost += wait is None
            self._at(self.clock.now + (wait or 0.0), lambda: self._waiting.append(0 if wait is None else attempts + 1))

        self._at(self.clock.now + there, arrive)
