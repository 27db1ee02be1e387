"""`ThroughputWatch`: whether what a settled reading brings a second has clearly changed."""

from __future__ import annotations

import math

__all__ = ["ThroughputWatch"]

#: The factor between two flights that are alike.
_STEADY = 1.25
#: A throughput outside these parts of the settled one has clearly changed.
_LOW, _HIGH = 0.6, 1.67
#: The requests that are looked at together, at least.
_LEAST = 8


class ThroughputWatch:
    """Compares the median throughput of each flight with that of the first steady ones.

    Args:
        width: the number of requests at once.
        patience: the flights in a row that must show a change.
    """

    def __init__(self, *, width: int, patience: int) -> None:
        self._size = max(width, _LEAST)
        self._patience = patience
        self._rates: list[float] = []
        self._before = 0.0
        self._settled = 0.0
        self._others = 0

    def has_changed(self, rate: float) -> bool:
        """Note the records a second that were measured at a request; return whether the throughput has changed."""
        self._rates.append(rate)
        if len(self._rates) < self._size:
            return False
        median, self._rates = sorted(self._rates)[len(self._rates) // 2], []
        if not self._settled:
            # The first flights share their time with those of the setting before.
            is_steady = 1 / _STEADY <= median / (self._before or math.inf) <= _STEADY
            self._settled, self._before = median if is_steady else 0.0, median
            return False
        self._others = 0 if _LOW <= median / self._settled <= _HIGH else self._others + 1
        return self._others >= self._patience
