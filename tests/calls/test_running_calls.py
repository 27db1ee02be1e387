"""Deadlines of calls: each call ends when its own time is over."""

import asyncio
import math

import anyio
import pytest

from carecloud_async._calls.call.context import RunningCalls

pytestmark = pytest.mark.anyio
ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])


async def endure(running, seconds, *, ended, change=None):
    """Wait without end in a scope of some seconds; note whether its own deadline ended it."""
    with running.begin(seconds=seconds) as scope:
        try:
            if change is not None:
                scope.deadline = anyio.current_time() + change
            await anyio.sleep_forever()
        finally:
            running.remove(scope)
    if scope.cancelled_caught:
        ended.append(seconds)


async def test_each_deadline_is_kept_in_whatever_order_they_come():
    """Nearer ones that begin later and farther ones that begin earlier all end, and none that has time left."""
    running, ended = RunningCalls(), []
    async with anyio.create_task_group() as group:
        for seconds in (600, 0.05, 0.01, 0.03, 0.02, 0.04, 60):
            group.start_soon(lambda seconds=seconds: endure(running, seconds, ended=ended))
        with anyio.fail_after(60):
            while len(ended) < 5:  # noqa: ASYNC110  (what is waited for is real time)
                await anyio.sleep(0.001)
        assert sorted(ended) == [0.01, 0.02, 0.03, 0.04, 0.05]
        group.cancel_scope.cancel()
    assert len(ended) == 5


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.001])
async def test_a_deadline_that_is_over_ends_the_call_at_once(seconds):
    """Time that was up before the call began ends it at its first wait."""
    running, ended = RunningCalls(), []
    with anyio.fail_after(60):
        await endure(running, seconds, ended=ended)
    assert ended == [seconds]


async def test_a_deadline_that_is_moved_counts_from_then_on():
    """The wait at the rate limiter and a retry move it, nearer or farther; the decoding of a large answer lifts it."""
    running, ended = RunningCalls(), []
    with anyio.fail_after(60):
        await endure(running, 600, ended=ended, change=0.01)
    assert ended == [600]
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: endure(running, 0.02, ended=ended, change=600))
        group.start_soon(lambda: endure(running, 0.03, ended=ended, change=math.inf))
        with anyio.fail_after(60):
            await endure(running, 0.04, ended=ended)  # the deadlines of the other two pass before
        group.cancel_scope.cancel()
    assert ended == [600, 0.04]


async def test_what_is_inside_sees_the_deadline():
    """A login measures its own time by what is left of the call's."""
    running = RunningCalls()
    with running.begin(seconds=50) as scope:
        assert anyio.current_effective_deadline() == scope.deadline
        assert 0 < scope.deadline - anyio.current_time() <= 50
        running.remove(scope)


async def test_a_call_in_a_block_ends_with_the_nearer_of_both():
    """The user's `move_on_after` around a call, and the call's own time around what it waits for."""
    running, ended = RunningCalls(), []
    with anyio.move_on_after(0.01) as outer:
        await endure(running, 600, ended=ended)
    assert outer.cancelled_caught
    with anyio.move_on_after(600) as outer:
        await endure(running, 0.01, ended=ended)
    assert not outer.cancelled_caught
    assert ended == [0.01]


@ASYNCIO
async def test_a_native_cancellation_is_not_taken_for_the_deadline():
    """A call that `task.cancel()` ends counts as cancelled, even if its deadline has passed."""
    running, ended = RunningCalls(), []
    task = asyncio.ensure_future(endure(running, 60, ended=ended))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not ended
