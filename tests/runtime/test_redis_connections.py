"""Asking Redis: a cancellation that comes with the answer is not lost, as Python 3.11's `wait_for` loses it."""

import asyncio

import anyio
import anyio.lowlevel
import pytest

from carecloud_async.runtime.redis_connections import ask

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


class Answering:
    """An answer that comes together with a cancellation, and in place of it.

    Attributes:
        asked: set when somebody waits for it.
    """

    def __init__(self):
        self.asked = anyio.Event()

    async def work(self, client):
        self.asked.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return client
        return None


async def test_a_tasks_own_cancellation_comes_out():
    """`Task.cancel()` in the moment of the answer ends the task."""
    answering = Answering()
    task = asyncio.create_task(ask("answer", answering.work, timeout=60))
    await answering.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_asyncios_timeout_comes_out():
    """`asyncio.timeout` around it ends as a timeout."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await ask("answer", Answering().work, timeout=60)


async def test_the_cancellation_of_a_scope_is_caught_by_it():
    """A scope that is cancelled in the moment of the answer ends, and what follows it goes on."""
    with anyio.move_on_after(0.01) as scope:
        await ask("answer", Answering().work, timeout=60)
    assert scope.cancelled_caught
    await anyio.lowlevel.checkpoint()


async def test_an_answer_in_the_moment_of_the_deadline_counts():
    """What came in time, if only just, is the answer, and nothing is cancelled behind it."""
    assert await ask("answer", Answering().work, timeout=0.01) == "answer"
    await anyio.lowlevel.checkpoint()
    assert asyncio.current_task().cancelling() == 0
