"""The clock of the pytest plugin: it stands still, and sleeping moves it."""

from datetime import UTC, datetime

import anyio
import pytest

from carecloud_async.pytest_plugin.clock import START, FakeClock

pytestmark = pytest.mark.anyio


async def test_it_stands_still():
    """Time passes only when told, on both clocks alike."""
    clock = FakeClock()
    assert clock.now() == START
    before = clock.monotonic(), clock.time()
    await anyio.sleep(0.002)
    assert (clock.monotonic(), clock.time()) == before
    clock.advance(3600)
    assert (clock.monotonic(), clock.time()) == (before[0] + 3600, before[1] + 3600)


async def test_it_starts_where_it_is_told():
    """Any aware instant will do for a start; time does not go back."""
    clock = FakeClock(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    assert clock.now() == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="go back"):
        clock.advance(-1)


async def test_sleepers_sleep_side_by_side():
    """A hundred who sleep at the same time let the longest of their sleeps pass, and wake in order."""
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


async def test_a_cancelled_sleeper_holds_nobody_up():
    """A sleep that is cancelled takes no time and is not waited for."""
    clock = FakeClock()
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await clock.sleep(1)
        group.start_soon(clock.sleep, 5)
    assert clock.monotonic() == 1005
