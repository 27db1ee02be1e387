"""From outcomes to figures: medians over rounds, and comparisons pair by pair."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from benchmarks.runner import Result
from benchmarks.task import Failed, Measured
from benchmarks.work import Comparison, Measure


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median of some pairs, and how far they lie apart.

    Attributes:
        middle: the median.
        low: the least.
        high: the most.
    """

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Sum values up."""
        ordered = sorted(values)
        return cls(middle=median(ordered), low=ordered[0], high=ordered[-1])


def measured(result: Result, label: str) -> list[Measured]:
    """Return a contestant's good outcomes."""
    return [outcome for outcome in result.outcomes[label] if isinstance(outcome, Measured)]


def failure(result: Result, label: str) -> str | None:
    """Return why a contestant failed, if it did."""
    return next((outcome.reason for outcome in result.outcomes[label] if isinstance(outcome, Failed)), None)


def rate(result: Result, label: str) -> float:
    """Return a contestant's median of records or calls a second."""
    return median(outcome.done / outcome.seconds for outcome in measured(result, label))


def compared(result: Result, comparison: Comparison) -> Spread | None:
    """Compare two contestants, round by round; `None` if one of them failed."""
    pairs = list(zip(measured(result, comparison.who), measured(result, comparison.against), strict=False))
    if not pairs or failure(result, comparison.who) or failure(result, comparison.against):
        return None
    return Spread.of(_compare(who, against, comparison.measure) for who, against in pairs)


def _compare(who: Measured, against: Measured, measure: Measure) -> float:
    if measure is Measure.DELAY_P99_MS:
        return required_delay(who.delay_p99_ms)
    who_each, against_each = who.seconds / who.done, against.seconds / against.done
    match measure:
        case Measure.TIMES_FASTER:
            return against_each / who_each
        case Measure.EXTRA_MS:
            return (who_each - against_each) * 1e3
        case Measure.EXTRA_US_EACH:
            return (who_each - against_each) * 1e6
        case Measure.EXTRA_MB:
            return who.peak_mb - against.peak_mb


def delay(result: Result, label: str) -> float:
    """Return how late a contestant's neighbour woke up: the median over the rounds of its median, in ms."""
    return median(required_delay(outcome.delay_ms) for outcome in measured(result, label))


def required_delay(delay: float | None) -> float:
    """Return a delay that must have been measured.

    Raises:
        ValueError: it was not.
    """
    if delay is None:
        raise ValueError("a delay is compared that was not measured: the task needs neighbour=True")
    return delay


def verdict(comparison: Comparison, spread: Spread) -> str:
    """Say in a word how the median stands to what was promised; nothing where nothing was."""
    if comparison.target is None:
        return ""
    better = spread.middle >= comparison.target
    if not comparison.measure.higher_is_better:
        better = spread.middle <= comparison.target
    return "yes" if better else "no"
