"""Records a second, measured at requests that overlap: delivery rate estimation, as TCP BBR does it.

Each request notes how many records had been delivered when it began. What was delivered until it ends, by it and by
those beside it, divided by its duration, is the throughput of all of them together: whether the server answers many
requests at once, one after the other, or more slowly the more it is asked, or whether this process is the slower side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from attrs import field, frozen

__all__ = ["DeliveryRate", "Flight", "Outcome", "Sample", "Trial"]

#: A page that takes more time a record than the slowest of the setting before, by this factor, is slower.
_SLOWER = 1.1
#: Pages that settle a trial before its end: slower ones, and ones that waited at the rate limiter.
_CERTAIN = 2
#: The requests of a trial at least.
_LEAST = 3
#: The pages behind the first flight of all.
_CLEAN = 3


@frozen(kw_only=True)
class Flight:
    """A request under way.

    Attributes:
        asked: the records asked for.
        trial: the number of the trial that it belongs to.
        began: when it began, before it waited at the rate limiter.
        delivered: the records delivered until then.
    """

    asked: int
    trial: int
    began: float
    delivered: int


@frozen(kw_only=True)
class Sample:
    """The measurement of one request.

    Attributes:
        rate: records a second, of all requests together.
        pace: its own seconds a record, without waits at the rate limiter and before repeats.
        held: whether it spent most of its time so waiting.
    """

    rate: float
    pace: float
    held: bool


class DeliveryRate:
    """Measures requests that overlap."""

    def __init__(self) -> None:
        self._delivered = 0

    def begin(self, asked: int, *, trial: int, now: float) -> Flight:
        """Note that a request begins."""
        return Flight(asked=asked, trial=trial, began=now, delivered=self._delivered)

    def end(self, flight: Flight, received: int, *, now: float, sent_at: float | None) -> Sample | None:
        """Note that a request brought a page; return its measurement, `None` if nothing can be measured by it."""
        self._delivered += received
        seconds = now - flight.began
        if seconds <= 0 or not received:
            return None
        held = 0.0 if sent_at is None else min(max(sent_at - flight.began, 0.0), seconds)
        return Sample(
            rate=(self._delivered - flight.delivered) / seconds,
            pace=(seconds - held) / received,
            held=held > seconds / 2,
        )


@frozen(kw_only=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        rate: records a second.
        pace: seconds a record of the median page.
        slowest: seconds a record of the slowest page.
        held: whether the rate limiter is what bounds.
        slower: whether it ended early, its pages being slower than all of the setting before.
    """

    rate: float
    pace: float
    slowest: float
    held: bool = False
    slower: bool = False


@frozen
class Trial:
    """The requests that one setting is judged by, one flight: as many as are under way at once.

    Args:
        width: the number of requests at once.
        slowest: the seconds a record of the slowest page of the setting before; infinite for any.
        clean: whether only the pages behind the first flight count. The first of all sets out at once, and each of its
            pages is slower than others will be; and one that follows larger pages seems fast beside them.
        scarce: whether the rate limiter is known to be what bounds: one page shows all there is to see.
    """

    width: int
    slowest: float = math.inf
    clean: bool = False
    scarce: bool = False
    samples: list[Sample] = field(factory=list, init=False)

    def add(self, sample: Sample) -> Outcome | None:
        """Note the measurement of a request of this trial; return the outcome once it is certain."""
        samples = self.samples
        samples.append(sample)
        held = self.scarce or sum(one.held for one in samples) >= _CERTAIN
        slower = sum(one.pace > self.slowest * _SLOWER for one in samples) >= _CERTAIN
        if not held and not slower and len(samples) < max(self.width, _LEAST) + (_CLEAN if self.clean else 0):
            return None
        if self.clean and not held:
            samples = samples[-_CLEAN:]
        paces = sorted(one.pace for one in samples)
        return Outcome(
            rate=_rate(samples), pace=paces[len(paces) // 2], slowest=paces[-1], held=held, slower=slower and not held
        )


def _rate(samples: Sequence[Sample]) -> float:
    # The first requests of a flight still share their time with those of the setting before.
    return max(one.rate for one in samples[len(samples) // 2 :])
