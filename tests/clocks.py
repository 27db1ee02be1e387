"""Clocks of tests that do not follow the real one."""

from __future__ import annotations

import anyio.lowlevel

from carecloud_async._base.runtime.clock import SystemClock


class FakeClock:
    """Two clocks that a test moves; sleeping moves both.

    Attributes:
        now: what the monotonic clock shows.
        wall: what the wall clock shows.
    """

    def __init__(self, *, monotonic=1000.0, wall=1_800_000_000.0):
        self.now = monotonic
        self.wall = wall

    def monotonic(self):
        return self.now

    def time(self):
        return self.wall

    async def sleep(self, seconds):
        self.advance(seconds)
        await anyio.lowlevel.checkpoint()

    def advance(self, seconds):
        self.now += seconds
        self.wall += seconds


class SlowClock(SystemClock):
    """A clock on which every look is so many seconds after the one before."""

    def __init__(self, step):
        self._step = step
        self._now = 0.0

    def monotonic(self):
        self._now += self._step
        return self._now
