"""The clock for all times and sleeps, so that a test of hours takes milliseconds; the boot that its times are of.

`doubled` is how the wait between two attempts grows, everywhere.
"""

from __future__ import annotations

import sys
import time
from functools import cache, partial
from typing import Final, Protocol

import anyio

_LINUX_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"


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

    # A function of the system itself: each call asks some ten times.
    if sys.platform == "linux":
        # `time.monotonic` stands still in a laptop or a virtual machine that is suspended: what was read hours ago
        # would count as fresh (clock_gettime(2)).
        monotonic = staticmethod(partial(time.clock_gettime, time.CLOCK_BOOTTIME))
    else:
        monotonic = staticmethod(time.monotonic)

    def time(self) -> float:
        """See `Clock.time`."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        await anyio.sleep(seconds)


def doubled(first: float, times: int, *, longest: float) -> float:
    """Return `first` doubled `times` times, at most `longest`."""
    return min(first * 2.0 ** min(times, 64), longest)


@cache
def boot_id() -> str | None:
    """Return the id of this boot of the host; `None` where the system has none (Windows, macOS).

    The system's monotonic clock begins again with each boot: its times say nothing on another host or boot.
    """
    try:
        with open(_LINUX_BOOT_ID, encoding="ascii") as file:
            return file.read().strip() or None
    except (OSError, ValueError):
        return None
