"""Search for the rate that a server allows, from which calls it served and which it refused.

A call counts at the moment at which it was sent: apart from a constant that is the server's own time, whatever answers
take. Three things hold whatever kind of limiter the server has, and the search is built on them:

- Between two refusals there is nothing left at the first and nothing at the second: the calls served in between, by
  their time, are the limit, or less if a bucket was full in between and let tokens go.
- A bucket that holds `n` tokens serves no more than `n` above its rate: the calls served less `n`, by their time, are
  the limit or less. What was served before the first refusal is the most that the bucket holds.
- A server that refuses everything for as long as several calls take has windows. Then the calls of the last second
  that it served are its limit.

Calls that were under way when a refusal came tell more about the same moment; they are no refusals of their own.

A search goes through these states:

- **open**: no refusal yet, no limit (`SlowStart` keeps the number of calls under way small in the beginning).
- **waiting**: after a refusal one call at a time goes ahead, at growing intervals, until one is served.
- **climbing**: the limit is not known, or hardly: the pace doubles, but lets the calls under way grow by a few in each
  round trip only, because that many will be refused together. After each refusal it climbs at a fifth of the speed.
- **trusted**: the limit is known: the pace starts a little below it, is back within twenty seconds and goes on slowly
  (the shape is that of CUBIC, RFC 9438). Without a refusal then the limit was raised, and the pace doubles.
- **patient**: the server said in `Retry-After` how long to pause. A bucket fills in a long pause and a refusal is
  expensive: the limit is the throughput since the last pause, and the pace doubles only once in a second.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from math import inf, log, log2

from attrs import define, field

#: Pauses before a call goes ahead after a refusal (seconds): the first, and the factor from one to the next.
SHORTEST_PAUSE = 0.01
PAUSE_FACTOR = 2.5
#: The longest such pause while it can be the rest of a window of a second, for how long that can be, and the longest
#: after that (seconds).
WINDOW_PAUSE = 0.24
WINDOW_PATIENCE = 1.2
LONGEST_PAUSE = 8.0
#: The longest wait for the answer to the call that went ahead (seconds).
PROBE_SECONDS = 0.25
#: A `Retry-After` above this makes the search patient (seconds).
LONG_PAUSE_SECONDS = 0.5
#: The length of the windows that are looked for, and how far back calls are remembered (seconds).
WINDOW_SECONDS = 1.0
REMEMBERED_SECONDS = 2.0
#: Refusing everything for as long as this number of calls takes, or for this time (seconds), shows windows.
WINDOW_CALLS = 4.0
WINDOW_SILENCE = 0.5
#: Calls in the time that it took to be served again after the first refusal: the pace at which climbing begins.
FIRST_CALLS = 6.0
#: The pace doubles no faster than in this number of calls, and the calls under way grow by no more than this in a round
#: trip; after each refusal both take longer by the factor.
DOUBLING_CALLS = 4.0
STEP_CALLS = 5.0
STRETCH = 5.0
#: The same step where the pace is above that before the first refusal, if that lasted so many round trips.
CAREFUL_STEP_CALLS = 1.0
CEILING_ROUND_TRIPS = 4.0
#: So many calls between two refusals tell the limit; it is trusted if the pace was no more than the factor above it.
TRUSTED_CALLS = 8
TRUSTED_FACTOR = 1.25
#: A pace within this of what was measured is itself the better measure: it was just too fast.
NEAR_FACTOR = 1.1
JUST_BELOW = 0.99
#: A new limit is no less than this part of the pace that was refused: after fewer calls than FEW_CALLS, and after more.
FEW_CALLS = 4
FEW_LEAST = 0.3
LEAST = 0.5
#: The same for a trusted limit within a second of a refusal: windows remember calls from before it.
SOON_LEAST = 0.8
SOON_CALLS = 2
#: Part by which a trusted pace begins below the limit, and the time in which it is back (seconds).
DROP = 0.03
RECOVERY_SECONDS = 20.0
#: After this long without a refusal the limit must have been raised: then the pace doubles in this time (seconds).
PATIENCE_SECONDS = 20.0
REDOUBLING_SECONDS = 4.0
#: A patient pace is held for so long, and then doubles in this time (seconds).
HOLD_SECONDS = 1.0
PATIENT_DOUBLING_SECONDS = 1.0
#: How far back a patient search looks (seconds), and at how many calls. A refusal this soon after a pause (seconds)
#: shows that it saw a burst: then less is taken, by the factor, but no less than this part of what was taken before. So
#: is less after less than a second.
PATIENT_WINDOW_SECONDS = 1.5
PATIENT_CALLS = 16
PATIENT_SOON_SECONDS = 8.0
PATIENT_SOON_FACTOR = 0.95
PATIENT_LEAST = 0.6
PATIENT_UNSURE_FACTOR = 0.9
#: The slowest pace, in calls per second.
SLOWEST = 0.5
#: Calls that are looked through for what a bucket served above its rate.
_MOST_CALLS = 512


@define(kw_only=True)
class RateSearch:
    """What is known of the limit. All times are readings of one monotonic clock, in seconds.

    Attributes:
        limit: estimated calls per second; `None` until the first refusal.
        trusted: whether the estimate is trusted.
        patient: whether the last pause was a long one that the server asked for.
        waiting: whether nothing but single calls may leave until one of them is served.
        refusals: the number of refusals so far, those of calls under way together counted once.
        stretch: the factor by which climbing is slowed down.
        latency: seconds from sending a call to its answer, on the average.
        capacity: the most calls that a bucket holds.
        ceiling: calls per second before the first refusal, where that lasted long enough to tell.
        pause: seconds of the last pause that the server did not ask for.
        calls: calls served since `last_refused`.
        first_refused: when the refused call was sent that began the last wait.
        last_refused: when the last refused call was sent.
        refused_before: `first_refused` of the wait before.
        served_again: when the call was sent that ended the last wait.
        throttled_at: when the last refusal came that began or prolonged a wait, or the wait ended: calls sent before
            that belong to it.
        resumed_at: when the last wait or pause ended.
        served: when the calls were sent that were served, in order.
    """

    limit: float | None = None
    trusted: bool = False
    patient: bool = False
    waiting: bool = False
    refusals: int = 0
    stretch: float = 1.0
    latency: float = 0.0
    capacity: float = 1e9
    ceiling: float = 1e9
    pause: float = 0.0
    calls: int = 0
    first_refused: float = -1e9
    last_refused: float = -1e9
    refused_before: float = -1e9
    served_again: float = -1e9
    throttled_at: float = -1e9
    resumed_at: float = -1e9
    served: list[float] = field(factory=list)

    @classmethod
    def starting_at(cls, rate: float, now: float) -> RateSearch:
        """Return a search that trusts this rate (calls per second) until it is refused."""
        return cls(limit=max(rate, SLOWEST), trusted=True, refusals=1, resumed_at=now)

    def rate(self, now: float) -> float | None:
        """Return the calls per second at this moment; `None` while open."""
        if self.limit is None:
            return None
        since = max(now - self.resumed_at, 0.0)
        if self.trusted:
            near = self.limit * (1 + DROP * (since / RECOVERY_SECONDS - 1) ** 3)
            return near * _doubled(max(since - PATIENCE_SECONDS, 0.0) / REDOUBLING_SECONDS)
        if self.patient:
            return self.limit * _doubled(max(since - HOLD_SECONDS, 0.0) / PATIENT_DOUBLING_SECONDS)
        return self._climbing(self.limit, since)

    def on_success(self, sent: float, now: float) -> None:
        """Count a call that was answered, and not with 429.

        Args:
            sent: when it was sent.
            now: the time.
        """
        self.latency += (now - sent - self.latency) / (8 if self.latency else 1)
        insort(self.served, sent)
        if sent > self.last_refused:
            self.calls += 1
        elif self.patient and self.refusals == 1:
            self.capacity += 1
        if len(self.served) > 2 * TRUSTED_CALLS and self.served[len(self.served) // 2] < sent - REMEMBERED_SECONDS:
            del self.served[: len(self.served) // 2]
        if self.ends_wait(sent):
            self.on_recovered(sent, now)

    def on_throttled(self, sent: float, now: float, *, retry_after: float | None = None) -> float | None:
        """Note a 429.

        Args:
            sent: when the call was sent.
            now: the time.
            retry_after: seconds that the server asks to wait, if it does.

        Returns:
            Seconds for which nothing may leave; `None` if this 429 changes nothing about that.
        """
        is_new = sent > self.throttled_at
        if retry_after is not None and retry_after > LONG_PAUSE_SECONDS:
            self._pause_as_told(sent, now + retry_after, is_new=is_new)
            return retry_after
        if is_new and not self.waiting:
            self._begin_wait(sent)
        else:
            self._note_refused(sent)
        if not is_new:
            return retry_after
        self.throttled_at = now
        self.pause = self._next_pause(now)
        return self.pause if retry_after is None else retry_after

    def ends_wait(self, sent: float) -> bool:
        """Return whether a call sent at this time, now that it was served, ends a wait.

        Calls sent together may overtake each other on their way, so that only one sent clearly later tells.
        """
        return self.waiting and sent > self.first_refused + self.latency / 4

    def on_recovered(self, sent: float, now: float) -> None:
        """End a wait: a call that was sent at this time was served."""
        self.waiting = False
        self.resumed_at = self.throttled_at = now
        self.served_again = sent
        last = bisect_right(self.served, self.last_refused)
        start = max(self.refused_before, self.last_refused - WINDOW_SECONDS - self.latency / 4)
        window = last - bisect_right(self.served, start)
        # The time for which everything was refused: since the first refusal or, if later, the last call served.
        silence = self.last_refused - max(self.first_refused, self.served[last - 1] if last else -inf)
        is_window = window * silence >= WINDOW_CALLS or silence >= WINDOW_SILENCE
        if self.refusals > 1:
            if is_window and not self.trusted:
                self._trust(window)
            return
        self.capacity = float(max(last, 1))
        seconds = self.first_refused - self.served[0] if self.served else 0.0
        if seconds > CEILING_ROUND_TRIPS * self.latency:
            self.ceiling = window / seconds
        if is_window or seconds >= WINDOW_SECONDS:
            self._trust(window)
        else:
            most = 1 / silence if silence > 0 else inf
            self.limit = max(min(FIRST_CALLS / (sent - self.first_refused), most), SLOWEST)

    def on_idle(self, seconds: float) -> None:
        """Note that nothing was wanted for so long: the pace does not grow by time in which nobody tries it."""
        self.resumed_at += seconds

    def _trust(self, limit: float) -> None:
        self.trusted = True
        self.limit = max(float(limit), 1.0)

    def _begin_wait(self, sent: float) -> None:
        """Estimate the limit from a refusal that is not of calls already known to be too many."""
        self.limit = max(self._estimate(sent), SLOWEST)
        self.refused_before = self.first_refused
        self.first_refused = self.last_refused = sent
        self.refusals += 1
        self.calls = 0
        self.pause = 0.0
        self.patient = False
        self.waiting = True

    def _note_refused(self, sent: float) -> None:
        """Note another refusal of the calls that were under way, or of a call that went ahead."""
        if sent > self.last_refused:
            self.last_refused = sent
            self.calls = len(self.served) - bisect_right(self.served, sent)
        if self.waiting or self.limit is None or self.trusted or self.refusals != 1 or sent <= self.first_refused:
            return
        # Nothing was left at the first refusal, and nothing here: unless a bucket was full in between, so many came.
        calls = self._count(self.first_refused, sent)
        if calls < self.capacity:
            self.limit = max(min(self.limit, (calls + 1) / (sent - self.first_refused)), SLOWEST)

    def _estimate(self, sent: float) -> float:
        """Return the limit as far as it is known from a refusal, and decide whether to trust it."""
        pace = self.rate(sent)
        if pace is None:
            return SLOWEST  # the end of the wait will tell
        calls, since = self.calls, self.last_refused
        if sent - self.served_again >= WINDOW_SECONDS:
            # A window serves nothing until it is over: it is fair to leave out half of that time.
            since = (self.served_again + self.last_refused) / 2
        if self.refusals == 1 and self.patient:
            since = max(self.resumed_at, sent - WINDOW_SECONDS)
            calls = self._count(since, sent)
            self.trusted = calls >= TRUSTED_CALLS
        best = max(calls / (sent - since), self._surely_served(sent))
        is_enough = calls >= TRUSTED_CALLS
        if pace <= NEAR_FACTOR * best:
            self.trusted = self.trusted or is_enough
            return JUST_BELOW * pace
        if self.trusted:
            if sent - self.resumed_at > 0.9 * PATIENCE_SECONDS:
                # A full bucket, or a limit raised on the way: it is between what was measured and what was too fast.
                return max(float((best * pace) ** 0.5), LEAST * pace)
            # Within a round trip of the wait's end there were no answers yet that could tell.
            is_told = self.calls >= SOON_CALLS or sent - self.resumed_at < self.latency
            if sent - self.last_refused < WINDOW_SECONDS and is_told:
                return max(best, SOON_LEAST * pace)
        elif is_enough and pace < TRUSTED_FACTOR * best:
            self.trusted = True
        else:
            self.stretch *= STRETCH
        return max(best, (FEW_LEAST if calls < FEW_CALLS else LEAST) * pace)

    def _surely_served(self, sent: float) -> float:
        """Return the calls per second by which the last calls were more than a full bucket allows."""
        last = bisect_left(self.served, sent)
        starts = range(max(last - _MOST_CALLS, 0), max(int(last - self.capacity) - FEW_CALLS + 1, 0))
        return max(((last - i - self.capacity) / (self.served[last - 1] - self.served[i]) for i in starts), default=0.0)

    def _next_pause(self, now: float) -> float:
        if not self.pause:
            known = self.limit is not None and self.refusals > 1
            return min(max(0.5 / self.limit, SHORTEST_PAUSE), WINDOW_PAUSE) if known and self.limit else SHORTEST_PAUSE
        longest = WINDOW_PAUSE if now - self.first_refused < WINDOW_PATIENCE else LONGEST_PAUSE
        return min(self.pause * PAUSE_FACTOR, longest)

    def _climbing(self, limit: float, since: float) -> float:
        """Return the pace so long after climbing began: exponential, and linear as soon as that is slower."""
        round_trip = max(self.latency, 1e-4)
        doubling = max(round_trip, DOUBLING_CALLS / limit) * self.stretch
        call = 1 / round_trip**2 / self.stretch  # in each round trip one call more under way
        bend = max(STEP_CALLS * call * doubling / log(2), limit)
        bend_at = doubling * log2(bend / limit)
        pace = limit * _doubled(since / doubling) if since < bend_at else bend + STEP_CALLS * call * (since - bend_at)
        above = max(pace - max(self.ceiling, limit), 0.0)
        return pace - above * (1 - CAREFUL_STEP_CALLS / STEP_CALLS)

    def _pause_as_told(self, sent: float, until: float, *, is_new: bool) -> None:
        if is_new:
            self.limit = max(self._estimate_patiently(sent), SLOWEST)
            if not self.refusals:
                self.capacity = float(max(self.calls, 1))
            self.refusals += 1
            self.patient, self.waiting = True, False
            self.first_refused = sent
        self.last_refused = max(self.last_refused, sent)
        self.throttled_at = max(self.throttled_at, until)
        self.resumed_at = max(self.resumed_at, until)
        self.calls = 0

    def _estimate_patiently(self, sent: float) -> float:
        """Return the throughput since the last pause, in which a bucket became full."""
        window = max(PATIENT_WINDOW_SECONDS, PATIENT_CALLS / self.limit if self.trusted and self.limit else 0.0)
        start = max(self.resumed_at, sent - window, self.served[0] if self.served else sent)
        seconds = sent - start
        calls = bisect_left(self.served, sent) - bisect_left(self.served, start)
        measured = max(calls / max(seconds, WINDOW_SECONDS), self._surely_served(sent))
        if self.trusted and self.limit is not None and sent - self.resumed_at < PATIENT_SOON_SECONDS:
            measured = max(measured, (calls + 1) / max(seconds, WINDOW_SECONDS))  # of so few calls one more matters
            return max(measured * PATIENT_SOON_FACTOR, self.limit * PATIENT_LEAST)
        self.trusted = seconds >= WINDOW_SECONDS
        return measured if self.trusted else measured * PATIENT_UNSURE_FACTOR

    def _count(self, start: float, end: float) -> int:
        """Return the number of calls that were served of those sent after `start` and not after `end`."""
        return bisect_right(self.served, end) - bisect_right(self.served, start)


def _doubled(times: float) -> float:
    return float(2 ** min(times, 30.0))
