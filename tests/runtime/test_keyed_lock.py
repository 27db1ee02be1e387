"""KeyedLock: one holder a key."""

import asyncio

import anyio
import pytest

from carecloud_async._base.runtime.task_groups import KeyedLock

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


async def test_tasks_with_one_key_take_turns():
    """Ten tasks with one key enter in the order in which they came, one at a time."""
    lock, inside, entered = KeyedLock(), 0, []

    async def work(number):
        nonlocal inside
        async with lock.hold("a"):
            inside += 1
            assert inside == 1
            await anyio.wait_all_tasks_blocked()
            entered.append(number)
            inside -= 1

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
    assert entered == list(range(10))


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
