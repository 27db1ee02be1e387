"""Clocks of tests that do not follow the real one."""

from __future__ import annotations

import heapq
from contextlib import asynccontextmanager

import anyio
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


class InstantClock(SystemClock):
    """The real clock, whose sleeps take no time: for what waits before it repeats a request."""

    async def sleep(self, seconds):
        await anyio.lowlevel.checkpoint()


class WrongClock(SystemClock):
    """The real clock, except that the host's time of day is what a function returns."""

    def __init__(self, show):
        self._show = show

    def time(self):
        return self._show()


class Bell(SystemClock):
    """The real clock, except that sleepers wake when it is rung and not before."""

    def __init__(self):
        self._rung = anyio.Event()

    async def sleep(self, seconds):
        await self._rung.wait()
        self._rung = anyio.Event()

    def ring(self):
        self._rung.set()


class ManualClock:
    """Time stands still until a test lets it go on; then it jumps from one sleeper to the next."""

    def __init__(self, now=1000.0):
        self.now = now
        self._sleepers = []
        self._count = 0

    def monotonic(self):
        return self.now

    def time(self):
        return 1_700_000_000 + self.now

    async def sleep(self, seconds):
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        event = anyio.Event()
        self._count += 1
        heapq.heappush(self._sleepers, (self.now + seconds, self._count, event))
        await event.wait()

    async def run(self, until):
        """Wake one sleeper after the other up to a moment."""
        while True:
            await anyio.wait_all_tasks_blocked()
            if not self._sleepers or self._sleepers[0][0] > until:
                self.now = until
                return
            self.now, _, event = heapq.heappop(self._sleepers)
            event.set()

    async def drive(self):
        """Let time pass whenever all tasks sleep, until the task is cancelled."""
        while True:
            await self.run(self._sleepers[0][0] if self._sleepers else self.now)
            await anyio.sleep(0.001)


@asynccontextmanager
async def passing_time(clock):
    """Let the clock run by itself while the block does."""
    async with anyio.create_task_group() as group:
        group.start_soon(clock.drive)
        yield clock
        group.cancel_scope.cancel()


class SlowClock(SystemClock):
    """A clock that each look moves by `step` seconds: what is done at intervals is due each time."""

    def __init__(self, step):
        self._step = step
        self._now = 0.0

    def monotonic(self):
        self._now += self._step
        return self._now


class FastClock(SystemClock):
    """A clock whose hours are half a minute: what was lost is settled soon."""

    def __init__(self):
        self.began = SystemClock.monotonic()

    def monotonic(self):
        return self.began + (SystemClock.monotonic() - self.began) * 120

    async def sleep(self, seconds):
        await super().sleep(seconds / 120)
