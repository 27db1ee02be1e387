"""Work in worker threads, and awaiting that comes to its end, whatever cancels the caller."""

import asyncio
import contextvars
import threading
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import carecloud_async
from carecloud_async._base.runtime.event_loops import await_uninterrupted
from carecloud_async._base.runtime.threads import (
    ThreadLimit,
    ThreadYielder,
    beside,
    close_in_thread,
    run_in_thread,
    run_in_thread_regardless,
    run_in_thread_until_stopped,
)

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


class Work:
    """Runs in a thread until it is let go."""

    def __init__(self):
        self.go = threading.Event()
        self.begun = threading.Event()
        self.ended = False

    def __call__(self):
        self.begun.set()
        assert self.go.wait(60)
        self.ended = True
        return "result"


async def _until(event):
    assert await anyio.to_thread.run_sync(event.wait, 60)


async def _passes(number):
    for _ in range(number):
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("run", [run_in_thread, run_in_thread_regardless])
async def test_a_cancelled_scope_waits_for_the_thread(run):
    """A scope that is cancelled while the thread works ends when the work has ended."""
    work = Work()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, work)
            await _until(work.begun)
            scope.cancel()
            with anyio.CancelScope(shield=True):
                await _passes(20)
            assert not work.ended
            work.go.set()
        await anyio.lowlevel.checkpoint()  # trio delivers it at the next one
    assert scope.cancelled_caught
    assert work.ended


@on_asyncio
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("cancels", [1, 2, 5])
@pytest.mark.parametrize("run", [run_in_thread, run_in_thread_regardless])
async def test_task_cancel_waits_for_the_thread(run, cancels, fails):
    """`Task.cancel()`, once or again and again, is raised when the work has ended and not before, also if it fails."""
    work = Work()

    def end():
        work()
        if fails:
            raise ValueError

    task = asyncio.create_task(run(end))
    await _until(work.begun)
    for _ in range(cancels):
        task.cancel()
        await _passes(5)
    assert not task.done()
    work.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended
    assert task.cancelling() == cancels


@on_asyncio
@pytest.mark.parametrize("cancels", [1, 2])
async def test_cancelled_at_every_step(cancels):
    """Cancelled at any step, the work never runs on after its caller, and the caller is cancelled or has the result."""
    for steps in range(25):
        running = threading.Event()

        def work(running=running):
            running.set()
            threading.Event().wait(0.002)
            running.clear()
            return "result"

        task = asyncio.create_task(run_in_thread(work))
        for _ in range(cancels):
            await _passes(steps)
            asked = task.cancel()
        try:
            assert await task == "result"
            assert not asked
        except asyncio.CancelledError:
            assert asked or cancels > 1
        assert not running.is_set()


@on_asyncio
async def test_a_limit_is_held_until_the_thread_has_ended():
    """A cancelled caller's place is free when its thread has ended."""
    limit, first, second = ThreadLimit("test", 1), Work(), Work()
    task = asyncio.create_task(run_in_thread(first, limit=limit))
    await _until(first.begun)
    task.cancel()
    waiting = asyncio.create_task(run_in_thread(second, limit=limit))
    await _passes(20)
    assert not second.begun.is_set()
    first.go.set()
    second.go.set()
    assert await waiting == "result"
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_waits_for_a_limit_and_is_cancelled_does_not_run():
    """Work that was cancelled before it had a thread is not done."""
    limit, first, second = ThreadLimit("test", 1), Work(), Work()
    async with anyio.create_task_group() as tasks:

        async def run(work):
            await run_in_thread(work, limit=limit)

        tasks.start_soon(run, first)
        await _until(first.begun)
        with anyio.move_on_after(0) as scope:
            await run_in_thread(second, limit=limit)
        assert scope.cancelled_caught
        first.go.set()
    assert not second.begun.is_set()


@on_asyncio
async def test_regardless_runs_though_it_was_cancelled_before():
    """A cancellation that waits for the next await does not keep a clean-up from running, and is raised after it."""
    done = []

    async def main():
        asyncio.current_task().cancel()
        try:
            await run_in_thread_regardless(lambda: done.append(1))
        finally:
            done.append(2)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(main())
    assert done == [1, 2]


async def test_regardless_runs_in_a_cancelled_scope():
    """A clean-up runs in a scope that is cancelled already."""
    done = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await run_in_thread_regardless(lambda: done.append(1))
    assert done == [1]


async def test_a_closer_that_fails_skips_no_other():
    """All closers are called, in their order; then the last failure is raised, with the first as its context."""
    done = []

    def fail(name):
        done.append(name)
        raise KeyError(name)

    with pytest.raises(KeyError, match="b"):
        await close_in_thread(lambda: fail("a"), lambda: fail("b"), lambda: done.append("c"))
    assert done == ["a", "b", "c"]


@on_asyncio
async def test_a_coroutine_that_is_closed_waits_for_its_thread():
    """Closing the coroutine, which cannot await, blocks until the work has ended."""
    work = Work()
    coroutine = run_in_thread(work)
    while coroutine.send(None) is None:  # until it waits for the thread
        pass
    assert work.begun.wait(60)
    threading.Timer(0.05, work.go.set).start()
    coroutine.close()
    assert work.ended


async def test_work_that_can_be_stopped_is_stopped_when_cancelled():
    """A cancelled scope stops work that may block for ever, and ends when the work has ended."""
    work = Work()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(run_in_thread_until_stopped, work, stop=work.go.set))
            await _until(work.begun)
            scope.cancel()
    assert work.ended


@on_asyncio
async def test_task_cancel_stops_work_that_can_be_stopped():
    """`Task.cancel()`, once and again, stops such work; the task ends cancelled when the work has ended."""
    work = Work()
    stopped = threading.Event()
    task = asyncio.ensure_future(run_in_thread_until_stopped(work, stop=stopped.set))
    await _until(work.begun)
    task.cancel()
    await _until(stopped)
    task.cancel()
    await _passes(20)
    assert not task.done()
    work.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended


def test_threads_are_used_through_one_module():
    """No other module asks anyio or asyncio for a thread: their awaits end before the thread does."""
    package = Path(carecloud_async.__file__).parent
    using = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(name in path.read_text(encoding="utf-8") for name in ("to_thread", "run_in_executor"))
    }
    # The sandbox imports nothing of the client, and its server's end is waited for by nothing else.
    assert using == {"_base/runtime/threads.py", "sandbox/sandbox.py"}


def test_work_beside_a_block_sees_the_context_and_has_ended():
    """The work runs in a thread with the caller's context variables; it ends with the block, and errors come out."""
    request, seen = contextvars.ContextVar("request"), []
    request.set("7")
    with beside(lambda: seen.append((request.get(), threading.current_thread() is threading.main_thread()))):
        pass
    assert seen == [("7", False)]

    def fail():
        raise KeyError("work")

    with pytest.raises(KeyError), beside(fail):
        pass
    with pytest.raises(ValueError, match="block"), beside(fail):
        raise ValueError("block")


@pytest.mark.parametrize(
    ("times", "naps"),
    [([0.0003 * step for step in range(1, 10)], [0.0009, 0.0018, 0.0027]), ([-4.0, -3.9997], [-4.0])],
    ids=["one thread", "another thread"],
)
def test_long_work_in_a_thread_rests_after_a_fixed_time_of_computing(times, naps):
    """It rests after 0.7 ms of the thread's own time, and at once where this shows less: in another thread."""
    time, slept = 5.0, []
    yielder = ThreadYielder(now=lambda: time, sleep=lambda seconds: slept.append((round(time - 5, 4), seconds > 0)))
    for step in times:
        time = 5 + step
        yielder.rest()
    assert slept == [(nap, True) for nap in naps]


@on_asyncio
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


async def test_the_time_is_bounded():
    """Work that takes longer than it may is cancelled, and the caller goes on."""
    with anyio.fail_after(60):
        await await_uninterrupted(anyio.sleep_forever, seconds=0.01)
