"""Asking Redis: a cancellation that comes with the answer is not lost, as Python 3.11's `wait_for` loses it."""

import asyncio

import anyio
import anyio.lowlevel
import pytest

from carecloud_async._base.runtime.redis_connections import MOST_AT_ONCE, PooledClient, ask, own_clients

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


async def test_an_answer_in_the_moment_of_the_deadline_counts():
    """What came in time, if only just, is the answer, and nothing is cancelled behind it."""
    assert await ask(answer_client(), Answering().work, timeout=0.01) == "answer"
    await anyio.lowlevel.checkpoint()
    assert asyncio.current_task().cancelling() == 0


async def test_requests_beyond_the_limit_wait_for_their_turn():
    """No more requests are under way than the client's pool has connections; a cancelled one gives its turn back."""
    running, most = 0, 0

    async def work(client):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.lowlevel.checkpoint()
        running -= 1

    client = answer_client(at_once=3)
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(lambda: ask(client, work, timeout=60))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await ask(client, work, timeout=60)
    assert most == 3
    assert client.limiter.borrowed_tokens == 0


async def test_a_small_pool_of_a_client_is_respected():
    """The limit is that of the client's pool where that has fewer connections, and our own otherwise."""
    for url, most in (("redis://localhost:1/0?max_connections=7", 7), ("redis://localhost:1/0", MOST_AT_ONCE)):
        clients = own_clients(url, timeout=1, owner="RedisTokenStore")
        assert clients.client().limiter.total_tokens == most
        await clients.aclose()
