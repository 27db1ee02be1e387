"""The clock of the pytest plugin: only `advance` and sleeps move it."""

import time
from datetime import UTC, datetime

import anyio
import pytest

from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async.pytest_plugin.clock import START, FakeClock

pytestmark = pytest.mark.anyio


async def test_clock_stands_still():
    """Only `advance` moves the clock, both its monotonic and its calendar time."""
    clock = FakeClock()
    assert clock.now() == START
    before = clock.monotonic(), clock.time()
    await anyio.sleep(0.002)
    assert (clock.monotonic(), clock.time()) == before
    clock.advance(3600)
    assert (clock.monotonic(), clock.time()) == (before[0] + 3600, before[1] + 3600)


async def test_clock_starts_at_any_time():
    """The clock starts at any aware time; it does not move backwards."""
    clock = FakeClock(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    assert clock.now() == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="forward only"):
        clock.advance(-1)


async def test_concurrent_sleeps_overlap():
    """A hundred concurrent sleeps take as long as the longest one, and end in order."""
    clock = FakeClock()
    woken = []

    async def sleep(seconds):
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic() - 1000))

    async with anyio.create_task_group() as group:
        for number in range(100, 0, -1):
            group.start_soon(sleep, number)
    assert woken == [(number, number) for number in range(1, 101)]
    assert sorted(clock.sleeps) == list(range(1, 101))


async def test_a_cancelled_sleep_delays_no_other():
    """A sleep that is cancelled takes no time and is not waited for."""
    clock = FakeClock()
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await clock.sleep(1)
        group.start_soon(clock.sleep, 5)
    assert clock.monotonic() == 1005


async def test_a_sleep_does_not_overtake_work_in_threads():
    """The clock stands still while a task waits for a thread, such as one that writes an outbox."""
    clock, seen = FakeClock(), []

    async def work():
        for _ in range(3):
            await run_in_thread(lambda: time.sleep(0.01))
            seen.append(clock.monotonic() - 1000)
            await clock.sleep(1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await clock.sleep(10)
    assert seen == [0.0, 1.0, 2.0]
