"""How long to wait between two attempts at something that another holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator


def backoff_delays(*, first: float, longest: float, jitter: Callable[[], float]) -> Iterator[float]:
    """Yield waits without end: doubling, bounded, and scattered so that waiters do not march in step.

    Args:
        first: seconds of the first wait before scattering.
        longest: seconds that no wait exceeds.
        jitter: a source of numbers in [0, 1).
    """
    wait = first
    while True:
        yield wait * (0.5 + jitter() / 2)
        wait = min(wait * 2, longest)
