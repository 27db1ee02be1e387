"""Search for the rate that a server allows, from when its calls were answered and when they were refused.

Unlimited until the first 429. Between two moments at which nothing was left, a server serves what it allows: their
distance and the calls served in between give the rate (exactly for a token bucket, on the average for windows). After
each refusal the rate starts at the estimate and grows until the next one, more slowly each time. Once the estimate
covers a second it is trusted: then the rate starts a little below it, is back within twenty seconds, and grows slowly
(the shape is that of CUBIC, RFC 9438); if there is no 429 then either, the limit was raised, and the rate doubles.

After a pause, one call goes ahead as a probe, and the rest wait for its answer: a server whose window is not over costs
one refusal and not a refusal for each call. Where the server asks for a long pause (`Retry-After`), a token bucket
fills meanwhile and refusals are expensive: there the throughput since the pause is the estimate, and the growth begins
after a second.
"""

from __future__ import annotations

from attrs import define, field

#: Pauses of all calls after 429s without Retry-After, in a row (seconds): short while it can be the rest of a window of
#: a second, then doubling.
PAUSES = (0.03, 0.06, 0.12, 0.24, 0.24, 0.24, 0.24, 0.5, 1.0, 2.0, 4.0, 8.0)
#: A pause longer than this lets a token bucket fill (seconds).
LONG_PAUSE_SECONDS = 0.5
#: The longest wait for the answer to a probe (seconds).
PROBE_SECONDS = 0.25
#: Part by which a trusted rate restarts below the limit, and the time it takes to be back (seconds).
DROP = 0.05
RECOVERY_SECONDS = 20.0
#: Window in which the limit is measured, and the shortest part of it, and fewest calls, that can be trusted.
WINDOW_SECONDS = 1.5
TRUSTED_SECONDS = 1.0
TRUSTED_CALLS = 8
#: A rate that is not trusted doubles within this time, but not within fewer answered calls; both are stretched by two
#: with each refusal. It is trusted when it was stretched by more than MAX_STRETCH, or is hardly above the estimate.
DOUBLING_SECONDS = 0.15
DOUBLING_CALLS = 8
MAX_STRETCH = 4
SURE_FACTOR = 1.3
#: After a long pause the rate is held this long, and then doubles in this time (seconds).
HOLD_SECONDS = 1.0
PATIENT_DOUBLING_SECONDS = 1.0
#: Part of an untrusted measurement that is taken: its 429s come in groups.
UNSURE_FACTOR = 0.9
#: A server that refuses for as long as this number of calls takes has windows, and the first burst was what they hold.
WINDOW_CALLS = 4.0
#: Calls for each interval that it took to be served again after the first burst; nothing is known then but this.
FIRST_FACTOR = 1.5
#: A refusal after fewer calls than this shows that the rate is too high by far: it drops to between these parts of it.
FEW_CALLS = 4
FEW_FACTOR = 0.8
FEW_LEAST = 0.25
#: After this long without a 429 the limit must have been raised: then the rate doubles in this time (seconds).
PATIENCE_SECONDS = 20.0
REDOUBLING_SECONDS = 4.0
#: A 429 this soon after the last one shows that the measurement included a burst (seconds): less is taken, but not less
#: than this part of what was taken before.
SOON_SECONDS = 8.0
SOON_FACTOR = 0.95
SOON_LEAST = 0.6
#: The slowest rate, in calls per second.
SLOWEST = 0.5


@define(kw_only=True)
class RateSearch:
    """What is known of the limit. All times are readings of one monotonic clock, in seconds.

    Attributes:
        limit: estimated calls per second; `None` until the first 429.
        sure: whether the estimate is trusted.
        patient: whether the last pause was a long one.
        burst: whether calls were unlimited before the first 429.
        refusals: the number of 429s that began a pause.
        calls: calls answered since the last pause.
        stretch: the factor by which the growth of an untrusted rate is slowed.
        probing: whether a probe, or the pause before it, is under way.
        refused_at: time of the last 429 that began a pause.
        last_refused_at: time of the last 429 of all, probes included.
        measured_at: time of the last 429 that told the rate.
        resumed_at: time at which the last pause ended.
        probed_at: time at which the last probe left.
        served: times of the answers that were not 429.
        emptied: times of the 429s.
    """

    limit: float | None = None
    sure: bool = False
    patient: bool = False
    burst: bool = True
    refusals: int = 0
    calls: int = 0
    stretch: int = 1
    probing: bool = False
    refused_at: float = 0.0
    last_refused_at: float = 0.0
    measured_at: float = 0.0
    resumed_at: float = 0.0
    probed_at: float = 0.0
    served: list[float] = field(factory=list)
    emptied: list[float] = field(factory=list)

    @classmethod
    def starting_at(cls, rate: float, now: float) -> RateSearch:
        """Return a search that begins at this rate (calls per second), not unlimited, and doubles each second."""
        return cls(limit=max(rate, SLOWEST), patient=True, burst=False, resumed_at=now)

    def rate(self, now: float) -> float | None:
        """Return the calls per second at this moment; `None` while unlimited."""
        if self.limit is None:
            return None
        since = max(now - self.resumed_at, 0.0)
        if self.sure:
            near = self.limit * (1 + DROP * (since / RECOVERY_SECONDS - 1) ** 3)
            return near * _doubled(max(since - PATIENCE_SECONDS, 0.0) / REDOUBLING_SECONDS)
        if self.patient:
            return self.limit * _doubled(max(since - HOLD_SECONDS, 0.0) / PATIENT_DOUBLING_SECONDS)
        return self.limit * _doubled(min(since / DOUBLING_SECONDS, self.calls / DOUBLING_CALLS) / self.stretch)

    def on_success(self, now: float) -> None:
        """Count a call that was answered, and not with 429."""
        if self.patient and now < self.resumed_at:
            return
        self.calls += 1
        self.served.append(now)
        if len(self.served) > 2 * TRUSTED_CALLS and self.served[len(self.served) // 2] <= now - WINDOW_SECONDS:
            self._forget(now)

    def on_throttled(self, now: float, *, pause: float) -> None:
        """Note the first 429 of calls that were under way together.

        Args:
            now: the time.
            pause: seconds for which all calls will pause.
        """
        self.last_refused_at = now
        if self.probing and pause <= LONG_PAUSE_SECONDS:
            self.emptied.append(now)
            self.resumed_at = now + pause
            return
        patient = pause > LONG_PAUSE_SECONDS or (self.patient and self.refusals > 0)
        limit = self._estimate_after_burst(now) if patient else self._estimate(now)
        self.limit = max(limit, SLOWEST)
        self.refusals += 1
        self.refused_at = now
        self.calls = 0
        self.resumed_at = now + pause
        self.patient = pause > LONG_PAUSE_SECONDS
        self.probing = not self.patient
        if self.patient:
            self.served.clear()
            self.emptied.clear()
        else:
            self.emptied.append(now)

    def on_recovered(self, now: float) -> None:
        """Note the first call after a pause that was answered, and not with 429."""
        if not self.probing or self.limit is None:
            return
        self.probing = False
        if self.refusals == 1:
            if self.limit * (self.last_refused_at - self.refused_at) >= WINDOW_CALLS:
                self.sure = True
                self.limit = max(self.limit, float(self._served_around(self.refused_at)))
            elif self.burst:
                self.limit = max(self.limit, FIRST_FACTOR / max(self.probed_at - self.refused_at, 0.001))
        self.resumed_at = now
        self.calls = 0

    def _estimate(self, now: float) -> float:
        """Return the estimate after a 429 that is followed by a short pause."""
        measured, seconds = self._measure(now)
        rate = self.rate(now)
        if rate is None:
            self.sure = seconds >= TRUSTED_SECONDS
            return measured if self.sure else measured * UNSURE_FACTOR
        measured = max(measured, self._measure_since_pause(now, rate))
        if self.calls < FEW_CALLS and not self.burst and self.sure and now - self.measured_at < TRUSTED_SECONDS:
            return self.limit or rate  # a window empties at the pace at which it was filled: nothing is learned here
        if self.calls < FEW_CALLS:
            self.sure = self.sure and measured > FEW_FACTOR * rate
            return max(min(measured, FEW_FACTOR * rate), FEW_LEAST * rate)
        self.measured_at = now
        if self.sure:
            soon = now - self.resumed_at < SOON_SECONDS
            return max(measured * SOON_FACTOR, rate * SOON_LEAST) if soon else measured
        self.stretch *= 2
        self.sure = seconds >= TRUSTED_SECONDS and (rate < SURE_FACTOR * measured or self.stretch > MAX_STRETCH)
        if not self.emptied or self.emptied[-1] <= now - TRUSTED_SECONDS:
            # A window of a second holds what it allows; the growth before it is not in the measurement's way.
            self.sure = self.sure or not self.burst
            return max(measured, self._last_second(now))
        # The limit is above the measurement (a bucket that was full at times has let tokens go) and below the rate.
        return float((measured**2 * min(rate, 6 * measured)) ** (1 / 3))

    def _estimate_after_burst(self, now: float) -> float:
        """Return the estimate after a 429 where pauses are long: a bucket was full before."""
        self._forget(now)
        seconds = now - self.served[0] if self.served else 0.0
        measured = len(self.served) / max(seconds, TRUSTED_SECONDS)
        if not self.burst and not self.refusals:
            measured = max(measured, self._last_second(now))
        if self.sure and self.limit is not None and now - self.resumed_at < SOON_SECONDS:
            return max(measured * SOON_FACTOR, self.limit * SOON_LEAST)
        self.sure = seconds >= TRUSTED_SECONDS
        return measured if self.sure else measured * UNSURE_FACTOR

    def _measure(self, now: float) -> tuple[float, float]:
        """Return the calls per second since the first 429 in the window, and the seconds since then."""
        self._forget(now)
        if not self.served:
            return 0.0, 0.0
        if self.emptied and self.emptied[0] < now:
            start = self.emptied[0]
            return sum(moment >= start for moment in self.served) / (now - start), now - start
        seconds = now - self.served[0]
        return len(self.served) / max(seconds, TRUSTED_SECONDS), seconds

    def _measure_since_pause(self, now: float, rate: float) -> float:
        """Return the calls per second since the last 429 or pause, or zero if that tells nothing."""
        if not self.sure:
            return self.calls / (now - self.refused_at) if self.calls >= TRUSTED_CALLS else 0.0
        seconds = now - self.resumed_at
        return min(rate, self.calls / seconds) if seconds >= TRUSTED_SECONDS else 0.0

    def _last_second(self, now: float) -> float:
        """Return the number of calls answered in the last second."""
        return float(sum(time > now - TRUSTED_SECONDS for time in self.served))

    def _served_around(self, moment: float) -> int:
        """Return the number of calls answered in about a second before this moment."""
        until = moment + PAUSES[0] + PAUSES[1] + PAUSES[2]
        return sum(until - TRUSTED_SECONDS <= time <= until for time in self.served)

    def _forget(self, now: float) -> None:
        for times in (self.served, self.emptied):
            times[:] = [time for time in times if time > now - WINDOW_SECONDS]


def _doubled(times: float) -> float:
    return float(2 ** min(times, 30.0))
