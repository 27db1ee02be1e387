"""Records a second, measured at requests that overlap: delivery rate estimation, as TCP BBR does it.

Each request notes how many records had been delivered when it began. What was delivered until it ends, by it and by
those beside it, divided by its duration, is the throughput of all of them together: whether the server answers many
requests at once, one after the other, or more slowly the more it is asked, or whether this process is the slower side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import field, frozen

__all__ = ["DeliveryRate", "Outcome", "PendingRequest", "Sample", "Trial"]

#: A page that takes more time a record than the slowest of the setting before, by this factor, is slower.
_SLOWER = 1.1
#: Pages that settle a trial before its end: slower ones, and ones that waited at the rate limiter.
_CERTAIN = 2
#: The requests of a trial at least.
_LEAST = 3
#: The pages behind the first flight of all.
_CLEAN = 3
#: The seconds of a page at least: a clock that a test moves may stand still while one comes.
_SHORTEST = 1e-6


@frozen(kw_only=True)
class PendingRequest:
    """A request under way, and what was delivered before it.

    Attributes:
        asked: the records asked for.
        trial: the trial that it belongs to.
        began: when it began, before it waited at the rate limiter.
        delivered: the records delivered until then.
    """

    asked: int
    trial: Trial
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

    def begin(self, asked: int, *, trial: Trial, now: float) -> PendingRequest:
        """Note that a request begins."""
        return PendingRequest(asked=asked, trial=trial, began=now, delivered=self._delivered)

    def end(self, request: PendingRequest, received: int, *, now: float, sent_at: float | None) -> Sample | None:
        """Note that a request brought a page; return its measurement, `None` if nothing can be measured by it."""
        self._delivered += received
        seconds = now - request.began
        if seconds <= 0 or not received:
            return None
        held = 0.0 if sent_at is None else min(max(sent_at - request.began, 0.0), seconds)
        return Sample(
            rate=(self._delivered - request.delivered) / seconds,
            pace=max(seconds - held, _SHORTEST) / received,
            held=held > seconds / 2,
        )


@frozen(kw_only=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        rate: records a second.
        pace: seconds a record of the median page.
        slowest, fastest: seconds a record of the slowest page, and of the fastest.
        held: whether the rate limiter is what bounds.
        slower: whether its pages are slower than all of the setting before.
        faster: whether a page of it was faster than what was to be beaten.
        apart: whether most of them are: they do not wait for each other.
    """

    rate: float
    pace: float
    slowest: float
    fastest: float
    held: bool = False
    slower: bool = False
    faster: bool = False
    apart: bool = False


@frozen(eq=False)
class Trial:
    """The requests that one setting is judged by, one flight: as many as are under way at once.

    A trial that shows early where to go is over, but its figures sharpen while the rest of the flight comes in.

    Args:
        width: the number of requests at once.
        count: the records of a page.
        before: returns what the setting before brings; `None` for any.
        beats: the seconds a record that pages must beat to be faster; 0 for none.
        clean: whether only the pages behind the first flight count: one that follows larger pages seems fast beside
            them.
        scarce: whether the rate limiter is known to be what bounds: one page shows all there is to see.
    """

    width: int
    count: int = 0
    before: Callable[[], Outcome] | None = None
    beats: float = 0.0
    clean: bool = False
    scarce: bool = False
    _samples: list[Sample] = field(factory=list, init=False)

    def add(self, sample: Sample) -> bool:
        """Note the measurement of a request of this trial; return whether its outcome is certain."""
        whole = max(self.width, _LEAST) + (_CLEAN if self.clean else 0)
        if len(self._samples) < whole:
            self._samples.append(sample)
        return len(self._samples) == whole or self._held or self._slower or self._apart

    def outcome(self) -> Outcome:
        """Return the outcome, as far as it is known."""
        samples = self._samples[-_CLEAN:] if self.clean and not self._held else self._samples
        paces = sorted(one.pace for one in samples)
        return Outcome(
            rate=_rate(samples),
            pace=paces[len(paces) // 2],
            slowest=paces[-1],
            fastest=paces[0],
            held=self._held,
            slower=self._slower and not self._held,
            faster=self._faster > 0 and not self._held,
            apart=self._apart and not self._held,
        )

    @property
    def _held(self) -> bool:
        return self.scarce or sum(one.held for one in self._samples) >= _CERTAIN

    @property
    def _slower(self) -> bool:
        if self.before is None:
            return False
        slowest = self.before().slowest * _SLOWER
        return sum(one.pace > slowest for one in self._samples) >= _CERTAIN

    @property
    def _faster(self) -> int:
        return sum(one.pace * _SLOWER < self.beats for one in self._samples)

    @property
    def _apart(self) -> bool:
        return self._faster > self.width / 2


def _rate(samples: Sequence[Sample]) -> float:
    # The first requests of a flight still share their time with those of the setting before.
    return max(one.rate for one in samples[len(samples) // 2 :])
