"""The clock for all times and sleeps, so that a test of hours takes milliseconds."""

from __future__ import annotations

import sys
import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """Time as the SDK sees it."""

    def monotonic(self) -> float:
        """Return seconds that never decrease, from an arbitrary zero.

        They pass while the machine sleeps, where the system can tell.
        """
        ...

    def time(self) -> float:
        """Return the seconds since 1970 in UTC by this host's clock, which may be wrong."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds; can be cancelled."""
        ...


class SystemClock:
    """The real clock; see `Clock`."""

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        if sys.platform == "linux":
            # `time.monotonic` stands still in a laptop or a virtual machine that is suspended: what was read hours ago
            # would count as fresh (clock_gettime(2)).
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()

    def time(self) -> float:
        """See `Clock.time`."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        await anyio.sleep(seconds)
