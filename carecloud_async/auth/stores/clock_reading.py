"""How much time passed between two moments that two processes, or two boots, have seen."""

from __future__ import annotations

from functools import cache

from attrs import frozen

_LINUX_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@frozen(kw_only=True)
class ClockReading:
    """One instant on the clocks of this host.

    Attributes:
        wall: seconds since 1970 as the host believes; may be wrong and may jump.
        monotonic: seconds since a zero that all processes of one boot share, where `boot` is known.
        boot: what tells this boot of the host from every other; `None` where the system does not say.
    """

    wall: float
    monotonic: float
    boot: str | None = None


def seconds_between(earlier: ClockReading, later: ClockReading) -> float:
    """Return the seconds from `earlier` to `later`, never negative.

    The monotonic clock decides when both moments belong to one boot, so that wrong wall clocks and their jumps do not
    matter; else the wall clock does. A wall clock that went backwards counts as no time at all.
    """
    # Going backwards within one boot means that the two lived in different time namespaces (containers).
    if earlier.boot is not None and earlier.boot == later.boot and later.monotonic >= earlier.monotonic:
        return later.monotonic - earlier.monotonic
    return max(0.0, later.wall - earlier.wall)


@cache
def boot_id() -> str | None:
    """Return the id of this boot of the host; `None` where there is none to be had (Windows, macOS)."""
    try:
        with open(_LINUX_BOOT_ID, encoding="ascii") as file:
            return file.read().strip() or None
    except (OSError, ValueError):
        return None
