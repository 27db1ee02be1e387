"""The writer of an export: which pages are committed together, and that nothing is written after a failure."""

import anyio
import pytest
from clocks import FakeClock

from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._lists.export.storage.writer import Writer

pytestmark = pytest.mark.anyio


class _Disk:
    """Takes commits, each in no time."""

    def __init__(self):
        self.commits = []

    def __call__(self, lines, state):
        self.commits.append((sum(map(len, lines)), state))


async def _put(writer, clock, pages, *, apart):
    for number in range(pages):
        await writer.put([b"{}"], number)
        clock.now += apart


async def _wait_for(disk, number):
    """Wait until this many commits were made."""
    with anyio.fail_after(60):
        while len(disk.commits) < number:  # noqa: ASYNC110  (in another thread)
            await anyio.sleep(0.001)


async def test_pages_that_come_fast_are_committed_together():
    """Within the interval of a commit, the pages after it wait until there are four."""
    clock, disk = FakeClock(), _Disk()
    async with BackgroundTasks() as tasks:
        writer = Writer(disk, tasks=tasks, clock=clock)
        await _put(writer, clock, 1, apart=0.001)
        await _wait_for(disk, 1)
        await _put(writer, clock, 12, apart=0.001)
        await writer.drain()
    assert disk.commits == [(1, 0), (4, 3), (4, 7), (4, 11)]


async def test_pages_that_come_slowly_are_committed_each():
    """A page that comes after the interval waits for no other."""
    clock, disk = FakeClock(), _Disk()
    async with BackgroundTasks() as tasks:
        writer = Writer(disk, tasks=tasks, clock=clock)
        for number in range(3):
            await writer.put([b"{}"], number)
            await _wait_for(disk, number + 1)
            clock.now += 0.06
    assert disk.commits == [(1, 0), (1, 1), (1, 2)]


async def test_a_page_of_many_records_is_committed_at_once():
    """Thousands of records do not wait, even if they come fast."""
    clock, disk = FakeClock(), _Disk()
    async with BackgroundTasks() as tasks:
        writer = Writer(disk, tasks=tasks, clock=clock)
        for number in range(3):
            await writer.put([b"{}"] * 5000, number)
            await _wait_for(disk, number + 1)
    assert disk.commits == [(5000, 0), (5000, 1), (5000, 2)]


async def test_what_waits_is_committed_in_the_end():
    """`drain` commits the pages that wait for others."""
    clock, disk = FakeClock(), _Disk()
    async with BackgroundTasks() as tasks:
        writer = Writer(disk, tasks=tasks, clock=clock)
        await _put(writer, clock, 1, apart=0)
        await writer.drain()
        await _put(writer, clock, 2, apart=0)
        assert disk.commits == [(1, 0)]
        await writer.drain()
    assert disk.commits == [(1, 0), (2, 1)]


async def test_an_export_that_ends_early_keeps_what_waits():
    """`leave` commits the pages that wait for others."""
    clock, disk = FakeClock(), _Disk()
    async with BackgroundTasks() as tasks:
        writer = Writer(disk, tasks=tasks, clock=clock)
        await _put(writer, clock, 1, apart=0)
        await writer.drain()
        await _put(writer, clock, 2, apart=0)
    await writer.leave()
    assert disk.commits == [(1, 0), (2, 1)]


async def test_nothing_is_written_after_a_commit_that_failed():
    """Pages that wait after a failure are never committed, and the next `put` raises it."""
    clock, disk = FakeClock(), _Disk()

    def refuse(lines, state):
        disk(lines, state)
        raise OSError("full")

    async with BackgroundTasks() as tasks:
        writer = Writer(refuse, tasks=tasks, clock=clock)
        await _put(writer, clock, 3, apart=0)
        with pytest.raises(OSError, match="full"):
            await writer.drain()
        with pytest.raises(OSError, match="full"):
            await writer.put([b"{}"], 3)
    await writer.leave()
    assert len(disk.commits) == 1
