"""Asking Redis: a cancellation that comes with the answer is not lost, as Python 3.11's `wait_for` loses it."""

import asyncio

import anyio
import anyio.lowlevel
import pytest

from carecloud_async._base.runtime.redis_connections import PooledClient, ask

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


def answer_client(at_once=1):
    return PooledClient("answer", anyio.CapacityLimiter(at_once))


class Answering:
    """An answer that comes together with a cancellation, and in place of it.

    Attributes:
        asked: set when a task waits for it.
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
    task = asyncio.create_task(ask(answer_client(), answering.work, timeout=60))
    await answering.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_cancellation_of_a_scope_is_caught_by_it():
    """A scope that is cancelled in the moment of the answer ends, and what follows it goes on."""
    with anyio.move_on_after(0.01) as scope:
        await ask(answer_client(), Answering().work, timeout=60)
    assert scope.cancelled_caught
    await anyio.lowlevel.checkpoint()
