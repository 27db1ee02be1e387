"""`LeasedSlots`: the times at which this process may send a call, as a shared rate limit gave them out."""

from __future__ import annotations

from collections import deque

from carecloud_async.calls.shared_rate import Lease

__all__ = ["LeasedSlots"]

#: A slot can be used until this long after its time (seconds).
SLOT_SECONDS = 0.25
#: The leases that are remembered, to tell when a refused call's slot was given out.
MAX_LEASES = 64


class LeasedSlots:
    """The slots that are left, in the order of their times; times are readings of this process's monotonic clock."""

    def __init__(self) -> None:
        self._left: deque[float] = deque()
        self._taken: deque[float] = deque()
        self._leased_at: deque[float] = deque(maxlen=MAX_LEASES)

    @property
    def next(self) -> float | None:
        """The time of the next slot; `None` if there is none left."""
        return self._left[0] if self._left else None

    def take(self, now: float) -> bool:
        """Take a slot whose time has come, if there is one."""
        left = self._left
        while left and left[0] < now - SLOT_SECONDS:
            left.popleft()
        if not left or left[0] > now:
            return False
        left.popleft()
        self._taken.append(now)
        return True

    def taken_of_late(self, now: float) -> int:
        """Return the number of slots that were taken a moment ago: about as many are wanted next."""
        while self._taken and self._taken[0] < now - SLOT_SECONDS:
            self._taken.popleft()
        return len(self._taken)

    def add(self, lease: Lease, now: float) -> None:
        """Add the slots of a lease that has just come."""
        self._leased_at.append(now)
        self._left.extend(now + lease.first - lease.now + number * lease.interval for number in range(lease.slots))

    def clear(self) -> None:
        """Let the slots go that are left."""
        self._left.clear()

    def seconds_held(self, sent: float) -> float:
        """Return how long the slot of a call that left at a time had been leased then."""
        return sent - max((moment for moment in self._leased_at if moment <= sent), default=sent)
