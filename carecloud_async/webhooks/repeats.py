"""Repeats: which deliveries were handled, for how long that is remembered, and where."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from carecloud_async._base.runtime.clock import Clock, SystemClock
from carecloud_async._base.runtime.validators import require_int, require_number

__all__ = ["LeasedRepeatStore", "MemoryRepeats", "RepeatStore"]

#: `new`: the caller has it now. `under_way`: another one has it. `done`: it was handled.
Claim: TypeAlias = Literal["new", "under_way", "done"]

DAY = 24 * 60 * 60


class RepeatStore(Protocol):
    """Where a webhook remembers its deliveries; write one for a store that processes share.

    A key is a digest of 64 characters and holds nothing personal. A store serves one webhook, or puts a name of its own
    before the key.
    """

    async def claim(self, key: str) -> Claim:
        """Take a delivery in one atomic step, and say whether that worked.

        A shared store limits how long a claim lasts: a process that dies never finishes or releases it.
        """
        ...

    async def finish(self, key: str) -> None:
        """Remember that the delivery was handled."""
        ...

    async def release(self, key: str) -> None:
        """Forget the delivery: its handling failed, and the next one is not a repeat."""
        ...


@runtime_checkable
class LeasedRepeatStore(RepeatStore, Protocol):
    """A store whose claims end soon unless they are extended, which the receiver does while the handler runs.

    The claim of a process that died, and one whose answer was lost, then block their delivery for a moment only.
    """

    @property
    def lease_seconds(self) -> float:
        """After how many seconds a claim ends; it is extended three times in that time."""
        ...

    async def extend(self, key: str) -> None:
        """Let the claim of this process last for another `lease_seconds`."""
        ...


class MemoryRepeats:
    """Remembers deliveries in this process: another worker does not know them, nor does the next start.

    Memory is bounded by `max_entries`, plus one entry for each delivery that is being handled.

    Args:
        max_entries: how many handled deliveries are remembered; the oldest one is forgotten first.
        seconds: for how long one is remembered.
        clock: gives the time.

    Raises:
        ConfigurationError: a number is out of range.
    """

    def __init__(self, *, max_entries: int = 10_000, seconds: float = DAY, clock: Clock | None = None) -> None:
        require_int("MemoryRepeats: max_entries", max_entries, least=1)
        require_number("MemoryRepeats: seconds", seconds)
        self._max_entries = max_entries
        self._seconds = seconds
        self._clock = clock or SystemClock()
        self._under_way: set[str] = set()
        self._done: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Number of handled deliveries that are remembered."""
        self._forget_old()
        return len(self._done)

    def __repr__(self) -> str:
        return f"<MemoryRepeats with {len(self)} deliveries>"

    async def claim(self, key: str) -> Claim:
        """See `RepeatStore.claim`."""
        self._forget_old()
        if key in self._done:
            return "done"
        if key in self._under_way:
            return "under_way"
        self._under_way.add(key)
        return "new"

    async def finish(self, key: str) -> None:
        """See `RepeatStore.finish`."""
        self._under_way.discard(key)
        self._done[key] = self._clock.monotonic() + self._seconds
        self._done.move_to_end(key)
        if len(self._done) > self._max_entries:
            self._done.popitem(last=False)

    async def release(self, key: str) -> None:
        """See `RepeatStore.release`."""
        self._under_way.discard(key)

    def _forget_old(self) -> None:
        now = self._clock.monotonic()
        while self._done and next(iter(self._done.values())) <= now:
            self._done.popitem(last=False)
