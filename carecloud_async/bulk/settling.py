"""`SettleTimes`: how long a lost write has to wait.

The API has no idempotency key, so that a write may be sent again only when its lost request has acted, or never will.
Nearly every request has acted some seconds after the client stopped waiting: then a lost write is looked up first. Now
and then a server holds all writes and goes on to answer reads: a backup locks its tables, a table is rebuilt, a disk is
full. Then a look-up finds nothing, and the request acts minutes later. How long, nothing tells. So a lost write is sent
again after a minute, in which servers give up what is not held; if it is lost again, after five, as long as a table is
locked; and then after twenty, as long as a backup of a shop takes. Each look-up in between may end it sooner.
"""

from __future__ import annotations

from typing import Final, Self

from attrs import frozen

from carecloud_async._base.runtime.validators import expected
from carecloud_async.bulk.rows import Write
from carecloud_async.errors import ConfigurationError

__all__ = ["SETTLE_SECONDS", "SettleTimes", "check_settle", "has_ended", "may_act", "wait_after"]

#: For how long a server may still work on a request after the client stopped waiting, nearly always (seconds).
_WORKS_LONGER: Final = 5.0
#: How long a request may act after its answer was lost, unless writes are held (seconds).
SETTLE_SECONDS: Final = 60.0
#: The wait after the first loss of a write, the second, and each later one: so many settle times.
_STEPS: Final = (1, 5, 20)
#: Longer settle times would be longer than claims are kept (seconds).
_LONGEST: Final = 24 * 3600.0
#: With these the server itself says that a request has ended. After 502 and 504 it may go on behind a proxy.
_ENDED: Final = ("500", "503")


@frozen(kw_only=True)
class SettleTimes:
    """The seconds after which lost writes are looked up and sent again.

    Attributes:
        look: after which a lost write is looked up, and again each time.
        settle: after which one that was lost once is sent again.
    """

    look: float
    settle: float

    @classmethod
    def of(cls, *, read_timeout: float, settle: float | None = None) -> Self:
        """Return the times of a client.

        Args:
            read_timeout: how long it waits for an answer.
            settle: what its user knows of the server; `None` for the usual minute.
        """
        look = read_timeout + _WORKS_LONGER
        return cls(look=look, settle=max(SETTLE_SECONDS if settle is None else settle, look))

    def after(self, write: Write) -> float:
        """Return how long a lost write waits until it is sent again, or a created one until it is confirmed."""
        if write.intent is not None and write.intent.made is not None:
            return self.settle
        if not may_act(write):
            return self.look
        return wait_after(write.tries - write.ended, self.settle)


def wait_after(losses: int, settle: float) -> float:
    """Return how long a write waits that was lost so many times, by its settle time."""
    return settle * _STEPS[min(max(losses, 1), len(_STEPS)) - 1]


def has_ended(fault: str | None) -> bool:
    """Return whether the server said with a status that a request has ended, whatever it did."""
    return fault is not None and fault.startswith(_ENDED)


def may_act(write: Write) -> bool:
    """Return whether a lost request of a write may still act."""
    return write.tries > write.ended


def check_settle(settle: object) -> None:
    """Check a settle time that a user gives.

    Raises:
        ConfigurationError: it is no number of seconds.
    """
    is_number = isinstance(settle, (int, float)) and not isinstance(settle, bool)
    if settle is not None and not (is_number and 0 < settle < _LONGEST):  # type: ignore[operator]
        raise ConfigurationError(f"settle: {expected('seconds, more than 0 and less than a day', settle)}")
