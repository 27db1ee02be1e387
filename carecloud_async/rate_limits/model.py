"""The model of a limit that no one has configured: what is believed of it, and how fast calls may leave.

It is CUBIC (RFC 9438) for a rate in place of a window. A refusal, and all refusals of calls that were under way with
it, lower the rate once. Then it grows back: fast, slowly near the limit that is believed, faster beyond it. Where no
refusal comes for `HOLD` seconds, the limit was raised or the belief is wrong: the rate doubles (slow start, RFC 5681).

The limit is believed to be the number of calls served between two refusals, divided by their time. That is right for
buckets and for windows, as long as callers want more than is served; so time in which they do not is forgotten within a
second, and after a growth that doubled the limit is halfway between the rate that was accepted and the one that was
refused (binary search, as in BIC). The growth tries every estimate again, so that a wrong one lasts for seconds.

`shared_script` says the same in Lua, for a limit that processes share.
"""

from __future__ import annotations

from math import exp, inf

from attrs import define

#: Part of the believed limit at which calls go on after a refusal. RFC 9438 (4.6) takes 0.7 of a window; a limit of
#: calls varies less than the capacity of a network.
BETA = 0.85
#: Seconds in which the rate is back at the believed limit: K of RFC 9438 (4.2), one number for all limits, since growth
#: by C calls per cubic second would be too fast for 10 a second and too slow for 1,000.
K = 2.5
#: Seconds without a refusal after which the rate doubles, and the seconds of each doubling (slow start, RFC 5681, 3.1):
#: a hundredth of the limit is left behind in `HOLD` and seven doublings, which is under ten seconds.
HOLD = 6.0
DOUBLING = 0.45
#: Calls under way before anything is known (the initial window, RFC 6928), and the answers for one more (RFC 3742).
FIRST_CALLS = 10
#: The most common window, for which a measurement holds and in which idle time is forgotten (seconds); a longer silence
#: is a longer window. It is also the least timeout of a call (RFC 6298, 2.4).
SECOND = 1.0
#: A shorter measurement is of a few calls, and counts one more for those refused (seconds).
SHORT = 0.75
#: Factor between pauses while all is refused (exponential backoff, RFC 6298, 5.5, which doubles), and the longest
#: (seconds), which is the vendor's advice.
BACKOFF = 1.5
LONGEST_PAUSE = 8.0
#: Factor by which growth is slower for each second that the server asked to pause: each refusal costs that pause.
PATIENCE = 1.5
#: The slowest rate (calls per second): of a slower one nothing is learnt within ten seconds.
SLOWEST = 1.0

#: The shortest pause after a refusal: what timers of a busy process are late (seconds).
SHORTEST_PAUSE = 0.01


@define(kw_only=True)
class RateModel:
    """What is believed of a limit. All times are readings of one clock, in seconds.

    Attributes:
        limit: calls per second; `None` until the first refusal.
        grown_from: when growth began, moved on by idle time.
        hold: seconds of growth after which the rate doubles; more where windows are long.
        since: start of the measurement.
        served: calls served since then.
        waiting: whether calls are refused: single calls probe whether they are still.
        refused: when the call was sent whose refusal began that.
        refused_rate: the rate at that moment.
        doubled: whether it had doubled by then.
        learnt: end of the last wait; refusals of calls sent before it are part of it.
        trusted_until: until when shorter measurements do not lower the limit.
        floor: calls per second that were served in a growth which doubled: the limit is no less.
        floor_until: for as long as that growth took.
        pause: seconds of the last pause.
        asked: seconds that the server asked to pause, at the last refusals.
    """

    limit: float | None = None
    grown_from: float = 0.0
    hold: float = HOLD
    since: float = -inf
    served: float = 0.0
    waiting: bool = False
    refused: float = -inf
    refused_rate: float = 0.0
    doubled: bool = False
    learnt: float = -inf
    trusted_until: float = -inf
    floor: float = 0.0
    floor_until: float = -inf
    pause: float = 0.0
    asked: float = 0.0

    def rate(self, now: float) -> float:
        """Return the calls per second at this moment; infinity while no limit is known."""
        if self.limit is None:
            return inf
        grown = self._grown(now)
        near = self.limit * (1 + (1 - BETA) * min(grown / K - 1, 1.0) ** 3)
        doublings = min(max(grown - self.hold, 0.0) / DOUBLING, 60.0)
        return float(max(near * 2**doublings, SLOWEST))

    def on_idle(self, seconds: float, now: float) -> None:
        """Note that callers wanted nothing for so long, until now: growth stands still, the measurement fades."""
        self.grown_from += seconds
        measured = max(now - seconds - self.since, 0.0) if self.since > -inf else 0.0
        left = exp(-seconds / SECOND)
        self.since = now - (measured + (1 - left) * SECOND) * left  # a long time counts for nothing, a short one fully
        self.served *= left

    def on_success(self, sent: float, now: float, *, latency: float) -> None:
        """Count a call that was answered, and not with 429; it ends a wait if it was sent after the refused one.

        Args:
            sent: when it was sent.
            now: the time.
            latency: seconds that answers take: calls may overtake each other by a part of it.
        """
        self.served += 1
        if self.waiting and sent > self.refused + latency / 4:
            self._recover(now)

    def on_throttled(self, sent: float, now: float, *, asked: float = 0.0) -> bool:
        """Note a 429; return whether a wait begins with it. `next_pause` tells how long it is.

        Args:
            sent: when the call was sent.
            now: the time.
            asked: seconds that the server asks to pause.
        """
        if self.waiting or sent <= self.learnt:
            self.asked = max(self.asked, asked) if self.waiting else self.asked
            return False
        self.refused_rate = self.rate(now)
        self.doubled = self.limit is not None and self._grown(sent) > self.hold
        self.asked = asked
        self.waiting = True
        self.refused = sent
        self.pause = 0.0
        return True

    def next_pause(self) -> float:
        """Return the seconds until the next probe."""
        first = min(max(1 / self.refused_rate, SHORTEST_PAUSE), SECOND)
        self.pause = min(self.pause * BACKOFF, LONGEST_PAUSE) if self.pause else first
        return self.pause

    def _grown(self, now: float) -> float:
        return max(now - self.grown_from, 0.0) / (1 + PATIENCE * self.asked)

    def _recover(self, now: float) -> None:
        """End a wait, and take over what was measured until now."""
        self.waiting = False
        if now >= self.trusted_until:
            measured = self._measured(now)
            least = self.floor if now < self.floor_until else SLOWEST
            self.limit = max(min(measured, self.refused_rate), least, SLOWEST)
        self.grown_from = self.since = self.learnt = now
        self.served = 0.0

    def _measured(self, now: float) -> float:
        # A pause that the server asked for says nothing, but most of it was the rest of a window.
        whole = now - self.since - self.asked
        # The server took calls again at some time in the last pause.
        seconds = max(whole - self.pause / 2, SECOND if self.asked else SHORTEST_PAUSE)
        measured = (self.served + (seconds < SHORT)) / seconds
        if now - self.refused - self.asked > SECOND + 1 / self.refused_rate:
            # A window: all of it was measured, and less than it says nothing.
            self.trusted_until = now + min(whole, 10 * SECOND)
            self.hold = min(max(BACKOFF * whole, HOLD), BACKOFF * 10 * SECOND)
            return measured
        if self.doubled and self.limit is not None:
            self.hold = HOLD
            # No more than was refused: counters may be stale.
            self.floor, self.floor_until = min(measured, self.refused_rate), now + min(whole, 10 * SECOND)
            measured = max(measured, (self.refused_rate + self.limit * (2 - BETA)) / 2)
        if seconds >= SHORT:
            self.trusted_until = now + SECOND
        return measured
