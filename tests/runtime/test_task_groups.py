"""Tasks: turns of long computations, jobs at once, and locks by key; nothing is left behind by a cancellation."""

import asyncio
from functools import partial

import anyio
import pytest
from anyio.lowlevel import checkpoint

from carecloud_async._base.runtime.task_groups import KeyedLock, run_all

pytestmark = pytest.mark.anyio


async def test_results_are_in_order_and_no_more_run_than_may():
    """Jobs that end in another order return their results in theirs, at most `width` of them under way."""
    running, most = 0, 0

    async def work(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5 - number):
            await checkpoint()
        running -= 1
        return number

    assert await run_all([partial(work, number) for number in range(5)], width=2) == [0, 1, 2, 3, 4]
    assert most == 2


@pytest.mark.parametrize("cancels", [False, True])
async def test_the_first_error_is_raised_as_itself(cancels):
    """After an error no further job begins; those that run end, or are cancelled where that is asked for."""
    begun, ended = [], []
    failed = anyio.Event()

    async def fail():
        failed.set()
        raise ValueError("first")

    async def slow():
        begun.append("slow")
        await failed.wait()
        await checkpoint()
        ended.append("slow")

    async def late():
        begun.append("late")

    with pytest.raises(ValueError, match="first"):
        await run_all([slow, fail, late], width=2, cancels=cancels)
    assert begun == ["slow"]
    assert ended == ([] if cancels else ["slow"])


async def test_no_key_is_kept():
    """Keys are forgotten when the last task leaves: at the end, by an error, and by cancellation while it waits."""
    lock = KeyedLock()
    with pytest.raises(ZeroDivisionError):
        async with lock.hold("a"):
            raise ZeroDivisionError
    assert not len(lock)

    async def wait():
        async with lock.hold("a"):
            raise AssertionError("the key is held")

    async with lock.hold("a"):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert len(lock) == 1
    assert not len(lock)
    assert "0 keys" in repr(lock)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_native_cancellation_passes_the_key_on():
    """A task that is cancelled just as it gets the key leaves it to the next one."""
    lock, got = KeyedLock(), []

    async def take(number):
        async with lock.hold("a"):
            got.append(number)

    async with lock.hold("a"):
        waiting = [asyncio.create_task(take(number)) for number in range(3)]
        await anyio.wait_all_tasks_blocked()
    # The key is the first one's now, which has not run yet.
    waiting[0].cancel()
    await asyncio.wait(waiting)
    assert got == [1, 2]
    assert not len(lock)
