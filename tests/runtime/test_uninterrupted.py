"""Awaiting that comes to its end, whatever cancels the caller."""

import asyncio

import anyio
import anyio.lowlevel
import pytest

from carecloud_async._base.runtime.event_loops import await_uninterrupted


@pytest.mark.asyncio
@pytest.mark.parametrize("cancels", [1, 2, 4])
@pytest.mark.parametrize("fails", [False, True])
async def test_task_cancel_waits(cancels, fails):
    """`Task.cancel()`, at any step and any number of times, is raised when the work has ended."""
    for steps in range(10):
        go, done = asyncio.Event(), []

        async def work(go=go, done=done):
            await go.wait()
            done.append(1)
            if fails:
                raise LookupError

        task = asyncio.create_task(await_uninterrupted(work, seconds=60))
        await asyncio.sleep(0)
        for _ in range(cancels):
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == [1]
        assert task.cancelling() == cancels


@pytest.mark.anyio
async def test_the_time_is_bounded():
    """Work that takes longer than it may is cancelled, and the caller goes on."""
    with anyio.fail_after(60):
        await await_uninterrupted(anyio.sleep_forever, seconds=0.01)
