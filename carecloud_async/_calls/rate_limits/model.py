"""The model of a limit that is not configured: what it is believed to be, and how fast calls may leave.

**The rate** follows CUBIC (RFC 9438), with a rate in place of a window. After a refusal it starts below the believed
limit, is back at it after `K` seconds, stays near it, and then grows ever faster, because the limit may be higher now.
Growth is relative, so that it suits five calls a second and a thousand.

**The limit** is the number of calls served in the second before a refusal. Token buckets refuse when they are empty and
windows when they are full, so that this number is never below the limit, whatever was believed before; where it is
above (a full bucket was emptied), the next refusals come within that second and correct it.

**Longer windows** serve more in ten seconds than in the last second before a refusal; the larger number counts. Where
calls are refused for more than a second, or twice after the same number of calls in ten seconds and few in the last,
only the ten seconds count for a while: growth is slower, and probes are fewer.

**Refusals at random**, which say nothing of a limit, come as often at a lower rate. After `MOST_EARLY` refusals in a
row that came below the believed limit, and were few of all calls, the limit is again what it was before the first of
them: lowering it did not help. A limit that fell is found by fewer refusals, or refuses more of the calls.

Growth stands still while callers want less than they may have.
`shared_script` says the same in Lua, for a limit that processes share.
"""

from __future__ import annotations

from math import floor, inf

#: Part of the believed limit at which calls go on after a refusal. RFC 9438 (4.6) takes 0.7 of a window; a limit of
#: calls varies less than the capacity of a network.
BETA = 0.85
#: Seconds until the rate is back at the believed limit: K of RFC 9438 (4.2). A hundredth of the limit is left after
#: four times that, which is under ten seconds; a shorter one would be refused more often than every twentieth call at
#: ten a second.
K = 2.4
#: Calls under way before anything is known (the initial window, RFC 6928), and the answers for one more (RFC 3742).
FIRST_CALLS = 10
#: The most common window, and the longest that is looked for (seconds).
SECOND = 1.0
LONG_WINDOW = 10.0
#: Factor between pauses while all calls are refused (exponential backoff, RFC 6298, 5.5, which doubles), the first
#: pause while no limit is known and the longest, which is the vendor's advice (seconds).
BACKOFF = 1.5
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 8.0
#: Lower bound of the rate (calls per second): below it, ten seconds hold too few calls to learn from.
SLOWEST = 1.0
#: Timers fire this late in a busy process (seconds): shorter times are neither measured nor waited for.
TICK = 0.01
#: The part of a limit below which a rate is clearly below it, and how many refusals in a row at such a rate lower the
#: limit. After more, the limit is restored if at most this part of the calls since the first of them was refused.
BELOW = 0.99
MOST_EARLY = 6
RANDOM_PART = 0.12

#: The length of the steps in which served calls are counted (seconds).
STEP = 0.05


class ServedCalls:
    """Counts of the calls that were served in each `STEP` of the last ten seconds and more."""

    def __init__(self) -> None:
        self._steps: dict[int, float] = {}

    def add(self, now: float, number: float = 1) -> None:
        """Count calls that were served now."""
        step = int(now / STEP)
        self._steps[step] = self._steps.get(step, 0) + number
        if len(self._steps) > LONG_WINDOW / STEP + 1:
            del self._steps[next(iter(self._steps))]

    def count(self, now: float, seconds: float) -> float:
        """Return the calls of the last seconds; of a step that begins before them, only the part within them."""
        first = (now - seconds) / STEP
        return sum(number * min(step + 1 - first, 1) for step, number in self._steps.items() if step >= floor(first))


class RateModel:
    """The estimate of a limit. Times are seconds of one clock; busy times are seconds since `origin`.

    Args:
        limit: calls per second; `None` until the first refusal.
        origin: the start of the busy time: each idle time moves it on by its length.

    Attributes:
        began: when growth began (busy time).
        served: calls served since growth began.
        history: calls served in the last seconds.
        waiting: whether calls are refused: single calls probe whether they still are.
        refused: when the call was sent whose refusal began the wait.
        least: the least limit that the end of the wait may set, if the growth was too short to measure; else `None`.
        learnt: end of the last wait; refusals of calls sent before it are part of it.
        pause: seconds of the next pause.
        asked: seconds that the server asked to pause, at the last refusals.
        window: the seconds over which served calls are counted.
        long_until: until when the window is the long one (busy time).
        average: calls per second of the ten seconds before the last refusal.
        early: refusals in a row that came below the believed limit.
        early_limit: the limit that was believed before them.
        early_served, early_refused: calls served and refused since the first of them.
    """

    def __init__(self, *, limit: float | None = None, origin: float = 0.0) -> None:
        self.limit = limit
        self.origin = origin
        self.began = 0.0
        self.served = 0
        self.history = ServedCalls()
        self.waiting = False
        self.refused = -inf
        self.least: float | None = None
        self.learnt = -inf
        self.pause = 0.0
        self.asked = 0.0
        self.window = SECOND
        self.long_until = -inf
        self.average = 0.0
        self.early = 0
        self.early_limit = 0.0
        self.early_served = 0
        self.early_refused = 0

    def rate(self, now: float) -> float:
        """Return the calls per second at this moment; infinity while no limit is known."""
        if self.limit is None:
            return inf
        # Each refusal costs the pause that the server asks for, and what is left of a window: they come less often.
        back_after = K * (self.window / SECOND) ** (1 / 3) * (1 + BACKOFF * self.asked / SECOND)
        grown = min((now - self.origin - self.began) / back_after, 8.0)
        return float(max(self.limit * BETA ** ((1 - grown) ** 3), SLOWEST))

    def on_idle(self, seconds: float, now: float) -> None:
        """Note that callers wanted nothing for some time, until now.

        While no limit is known, a second of it begins everything again: the first refusal is measured over the time of
        calling since then. Over the whole last second, most of it idle, a full limit would look like a small one.
        """
        self.origin += seconds
        if self.limit is None and seconds >= SECOND:
            self.origin, self.began, self.served = now, 0.0, 0

    def on_success(self, sent: float, now: float, *, latency: float) -> None:
        """Count a call that was answered, and not with 429; it ends a wait if it was sent after the refused one.

        Args:
            sent: when it was sent.
            now: seconds on the clock of the model.
            latency: seconds that answers take: calls may overtake each other by a part of it.
        """
        self.served += 1
        self.early_served += 1
        self.history.add(now)
        if self.waiting and sent > self.refused + latency / 4:
            self._recover(now)

    def on_throttled(self, sent: float, now: float, *, asked: float = 0.0) -> bool:
        """Note a 429; return whether a wait begins with it. `next_pause` tells how long it is.

        Args:
            sent: when the call was sent.
            now: seconds on the clock of the model.
            asked: seconds that the server asks to pause.
        """
        busy = now - self.origin
        self.early_refused += 1
        if self.waiting:
            self.asked = max(self.asked, asked)
            if sent - self.refused > BACKOFF * SECOND + self.asked:
                whole = self.history.count(now, LONG_WINDOW + now - self.refused) / LONG_WINDOW
                self.limit, self.least = max(whole, SLOWEST), None
                self.window, self.long_until = LONG_WINDOW, busy + 3 * LONG_WINDOW
            return False
        if sent <= self.learnt:
            return False
        rate = self.rate(now)
        self.pause = FIRST_PAUSE if rate == inf else min(max(1 / rate, TICK), SECOND)
        self.waiting, self.refused, self.asked, self.least = True, sent, asked, None
        self._count_early(rate)
        self._measure(now, rate)
        if self.early > MOST_EARLY and self.early_refused <= RANDOM_PART * (self.early_served + self.early_refused):
            self.limit, self.least = self.early_limit, None
        if self.window == LONG_WINDOW:
            self.pause = SECOND
        return True

    def next_pause(self) -> float:
        """Return the seconds until the next probe."""
        pause = self.pause
        self.pause = min(pause * BACKOFF, LONGEST_PAUSE)
        return pause

    def _count_early(self, rate: float) -> None:
        if self.limit is None or rate >= self.limit * BELOW:
            self.early = 0
            return
        if not self.early:
            self.early_limit, self.early_served, self.early_refused = self.limit, 0, 1
        self.early += 1

    def _measure(self, now: float, rate: float) -> None:
        busy, believed = now - self.origin, self.limit or 0.0
        seconds = max(min(SECOND, busy), TICK)
        measured = self.history.count(now, seconds) / seconds
        whole = self.history.count(now, LONG_WINDOW) / LONG_WINDOW
        if measured < whole * BETA and abs(whole - self.average) < whole / 20:
            self.long_until = max(self.long_until, busy + LONG_WINDOW)
        self.average = whole
        self.window = LONG_WINDOW if busy < self.long_until else SECOND
        if self.window == LONG_WINDOW or whole > measured:
            measured = whole
        elif busy - self.began < SECOND:
            # Halved at most (RFC 5681, 3.1): within a second of a refusal, a sliding window frees what was used then.
            self.least = max(believed / 2 if busy >= SECOND else 0.0, SLOWEST)
        self.limit = max(min(measured, max(rate, believed)), SLOWEST)

    def _recover(self, now: float) -> None:
        """End a wait."""
        busy = now - self.origin
        if self.least is not None and self.limit is not None:
            measured = (self.served + 1) / max(busy - self.began, TICK)
            self.limit = max(min(self.limit, measured), min(self.limit, self.least))
        self.waiting, self.began, self.served, self.learnt = False, busy, 0, now
