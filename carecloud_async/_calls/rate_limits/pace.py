"""When the next call of a process may leave: the law of a rate limit that is not known, or not to be exceeded.

1. After a 429 all calls pause: for as long as `Retry-After` says, and until one call, sent as a probe, is served.
2. They go on at 0.85 of the calls that were served in the second before the 429, are back at that rate after 2.4
   seconds, and grow ever faster from there, until the next 429 or the most that the user allows; after twelve seconds
   without a 429 the limit is forgotten.
3. A 429 of a call that was sent before the pause ended says nothing new, but its `Retry-After` is obeyed.

The law is said here and nowhere else. A process alone keeps a `Limit` (`Pace`); processes that share one keep its
numbers in Redis. Time without calls does not count.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import inf

from attrs import evolve, frozen

from carecloud_async._base.runtime.clock import Clock

#: Part of the calls served in the last second at which calls go on.
PART = 0.85
#: Seconds until the rate is back, and as many more for each second of `Retry-After`, up to one.
BACK_AFTER = 2.4
#: The limit is forgotten after this many times as long: it would be 33,000 times as high.
FORGOTTEN_AFTER = 5.0
#: Seconds until the first probe where no rate is known, the factor between two, and the longest.
FIRST_PAUSE = 0.05
BACKOFF = 1.5
LONGEST_PAUSE = 8.0
#: Lower bound of the rate (calls per second).
SLOWEST = 1.0
#: Timers fire this late in a busy process (seconds): shorter times are neither measured nor waited for.
TICK = 0.01
#: While no limit is known: the calls that may leave before the first answer, and by how many each answer raises that.
FIRST_CALLS = 10
#: From this number on no call is held back.
MANY_CALLS = 100
MORE_PER_ANSWER = 1.25
#: With a maximum rate, calls that are late by up to this many seconds may be made up: a late wake-up must not slow them
#: down.
CATCH_UP_SECONDS = 0.1
#: After this time without a call the first calls are few again, and the rate is what it was (seconds).
REST = 2.0


class ServedCalls:
    """Counts the calls that were served in the last second.

    Attributes:
        now: until when they were counted.
        second: when the second began in which calls are counted.
        count: calls served in it.
        before: calls served in the second before it; -1 if none were wanted then.
    """

    __slots__ = ("before", "count", "now", "second")

    def __init__(self, *, now: float = 0.0, second: float = -inf, count: float = 0.0, before: float = -1.0) -> None:
        self.now = now
        self.second = second
        self.count = count
        self.before = before

    def add(self, number: float, now: float) -> None:
        """Count calls."""
        passed = now - self.second
        if passed >= 2:
            self.second, self.count, self.before = now, 0.0, -1.0
        elif passed >= 1:
            self.second, self.count, self.before = self.second + 1, 0.0, self.count
        self.now = now
        self.count += number

    def per_second(self) -> float:
        """Return the calls served in the last second; per second, where calls have not been wanted for as long."""
        passed = max(self.now - self.second, FIRST_PAUSE)
        if self.before < 0:
            return self.count / min(passed, 1)
        return self.count + self.before * max(1 - passed, 0)


@frozen(kw_only=True)
class Limit:
    """What is known of a limit. Times are seconds of one clock.

    Attributes:
        most: calls per second that are never to be exceeded.
        served: calls that were served in the second before the last 429; 0 if there was none.
        began: when the rate began to grow: at the end of the last pause.
        refused: when the last pause began, after what the server asked for.
        asked: seconds that it asked for.
        pause: seconds between two probes; 0 unless calls pause.
    """

    most: float = inf
    served: float = 0.0
    began: float = -inf
    refused: float = 0.0
    asked: float = 0.0
    pause: float = 0.0

    def rate(self, now: float) -> float:
        """Return the calls per second that may leave now; infinity while no limit is known."""
        grown = (now - self.began) / (BACK_AFTER * (1 + min(self.asked, 1)))
        if not self.served or grown > FORGOTTEN_AFTER:
            return self.most
        return min(max(self.served * float(PART ** ((1 - max(grown, 0)) ** 3)), SLOWEST), self.most)

    def with_refusal(self, sent: float, now: float, *, asked: float, calls: ServedCalls) -> Limit:
        """Return the limit after a 429; the same one if it says nothing new.

        Args:
            sent: when the call was sent.
            now: the time.
            asked: seconds for which the server asks all to wait.
            calls: those that were served.
        """
        if self.pause or sent <= self.began:
            is_later = asked > 0 and now + asked > self.refused + TICK
            return evolve(self, refused=now + asked, asked=asked, pause=self.pause or TICK) if is_later else self
        rate = self.rate(now)
        least = rate / 2 if calls.before < 0 and rate < inf else 0.0  # a second was not measured yet
        served = max(min(calls.per_second(), rate), least, SLOWEST)
        pause = FIRST_PAUSE if rate == inf else min(max(1 / rate, TICK), 1.0)
        began = now if self.began == -inf else self.began
        return evolve(self, served=served, began=began, refused=now + asked, asked=asked, pause=pause)

    def with_rest(self, seconds: float) -> Limit:
        """Return the limit after no call was made for some time, in which the rate does not grow."""
        return evolve(self, began=self.began + seconds)

    def with_probe(self) -> Limit:
        """Return the limit after a probe was sent: the next one comes later."""
        return evolve(self, pause=min(self.pause * BACKOFF, LONGEST_PAUSE))

    def with_success(self, sent: float, now: float) -> Limit:
        """Return the limit after a call was served that was sent then: the same one unless that ends a pause."""
        return evolve(self, pause=0.0, began=now) if self.pause and sent > self.refused else self


class Pacer(ABC):
    """Decides when the next call may leave. Tickets grow from call to call: microseconds of the monotonic clock."""

    def start(self, *, origin: str, waiting: Callable[[], int], wake: Callable[[], None]) -> None:  # noqa: B027
        """Begin: `waiting` returns how many calls wait, and `wake` lets the first of them look at `delay` again."""

    @property
    @abstractmethod
    def rate(self) -> float | None:
        """Calls per second at this moment; `None` while unlimited."""

    @abstractmethod
    def delay(self) -> float:
        """Return the seconds until the next call may leave, or until it is worth asking again; zero or less is now."""

    @abstractmethod
    def take(self, ticket: int) -> None:
        """Note that a call leaves."""

    @abstractmethod
    def on_success(self, ticket: int) -> None:
        """Note that a call was answered, and not with 429."""

    @abstractmethod
    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """Note a 429, and the seconds for which the server asks all to wait, if it does."""

    async def aclose(self) -> None:  # noqa: B027  (the pace of one process holds nothing open)
        """End the work in the background; calls go on at a pace of this process."""


class Pace(Pacer):
    """The pace of one process.

    Args:
        most: calls per second that are never to be exceeded; none if left out.
        wait: seconds until the first call, if there is a most.
    """

    def __init__(self, *, clock: Clock, most: float = inf, wait: float = 0.0) -> None:
        self._clock = clock
        now = clock.monotonic()
        self._last_at = now  # when the last call left
        self._next_at = now + wait  # when the next one may leave, while there is a rate or a pause
        self._credit = float(FIRST_CALLS)  # calls that may leave while no limit is known
        # As if it had called at that rate: a 429 at the start must not look like a limit of nothing.
        self._calls = ServedCalls() if most == inf else ServedCalls(now=now, second=now, before=most)
        self.limit: Limit = Limit(most=most)

    @property
    def rate(self) -> float | None:
        """See `Pacer.rate`."""
        return finite(self.limit.rate(self._clock.monotonic()))

    def delay(self) -> float:
        """See `Pacer.delay`."""
        now = self._clock.monotonic()
        if now - self._last_at >= REST:
            self._rest(now)
        if self.limit.pause or self.limit.rate(now) < inf:
            return self._next_at - now
        # Answers that never come delay a call by a tenth of a second.
        return 0.0 if self._credit >= 1 else self._last_at + 1 / FIRST_CALLS - now

    def _rest(self, now: float) -> None:
        """Take note that no call has left for some time, which does not count."""
        self.limit = self.limit.with_rest(now - self._last_at)
        self._credit = FIRST_CALLS
        self._last_at = now

    def take(self, ticket: int) -> None:  # noqa: ARG002  (all calls are alike here)
        """See `Pacer.take`."""
        limit = self.limit
        now = self._last_at = self._clock.monotonic()
        if self._credit < MANY_CALLS:
            self._credit -= 1
        if limit.pause:
            self._next_at = now + limit.pause
            self.limit = limit.with_probe()
        elif (rate := limit.rate(now)) < inf:
            self._next_at = max(self._next_at, now - catch_up(limit)) + 1 / rate

    def on_success(self, ticket: int) -> None:
        """See `Pacer.on_success`."""
        now = self._clock.monotonic()
        self._credit += MORE_PER_ANSWER
        self._calls.add(1, now)
        if self.limit.pause:
            self.limit = self.limit.with_success(sent_at(ticket), now)
            if not self.limit.pause:
                self._next_at = now + 1 / self.limit.rate(now)

    def on_throttled(self, ticket: int, *, retry_after: float | None) -> None:
        """See `Pacer.on_throttled`."""
        now = self._clock.monotonic()
        asked = retry_after or 0.0
        before = self.limit
        self._calls.add(0, now)
        limit = before.with_refusal(sent_at(ticket), now, asked=asked, calls=self._calls)
        if limit is not before:
            resumes_at = now + max(limit.pause, asked)
            # A pause under way is never shortened.
            self._next_at = max(self._next_at, resumes_at) if before.pause else resumes_at
            self.limit = limit.with_probe()


def catch_up(limit: Limit) -> float:
    """Return the seconds by which late calls may be made up for."""
    return TICK if limit.most == inf else CATCH_UP_SECONDS


def finite(rate: float) -> float | None:
    """Return the rate, or `None` if it is unlimited."""
    return None if rate == inf else rate


def sent_at(ticket: int) -> float:
    """Return the time at which the call of a ticket left, by the monotonic clock."""
    return ticket / 1e6
