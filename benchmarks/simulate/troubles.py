"""How much goes wrong between the processes and the server of a simulation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import frozen

__all__ = ["LATEST", "Troubles", "is_within"]

#: Until when a request acts that left, unless it is held, or nothing else is drawn (seconds).
LATEST: Final = 34.5


@frozen(kw_only=True)
class Troubles:
    """How much goes wrong.

    Attributes:
        writes, reads: the part of the requests that have a trouble.
        late: the part of the reads whose answers are old when they arrive.
        lags: the times, from and to, in which pages lack some records that the total counts.
        denials: the times, from and to, at which a right is missing.
        restarts: the times at which the server forgets all tokens.
        refused_puts: the part of the PUTs at which it does so.
        slow_logins: the longest time that a login takes (seconds); 0 if logins are as fast as other requests.
        late_writes: the part of the writes whose answer is lost, and which take effect later.
        latest: how long after it left such a write takes effect at the latest (seconds).
        behind: how many seconds old the state is that reads show, at most.
        least_behind: how many seconds old it is at least.
        held: the times, from and to, in which the server holds all writes, and answers reads: it does them at its end.
        hollow: the part of the pages that are empty though their totals say otherwise.
        emptied: the times, from and to, in which lists are empty and say so.
    """

    writes: float = 0.0
    reads: float = 0.0
    late: float = 0.0
    lags: tuple[tuple[float, float], ...] = ()
    denials: tuple[tuple[float, float], ...] = ()
    restarts: tuple[float, ...] = ()
    refused_puts: float = 0.0
    slow_logins: float = 0.0
    late_writes: float = 0.0
    latest: float = LATEST
    behind: float = 0.0
    least_behind: float = 0.0
    held: tuple[tuple[float, float], ...] = ()
    hollow: float = 0.0
    emptied: tuple[tuple[float, float], ...] = ()


def is_within(times: Iterable[tuple[float, float]], now: float) -> bool:
    """Return whether it is one of these times, from and to."""
    return any(begin <= now < end for begin, end in times)
