"""Blocking work in worker threads. A cancelled caller continues only when the thread has ended.

anyio's shields hold against anyio's and trio's cancel scopes, but not against `asyncio.Task.cancel()`, which
`asyncio.wait_for`, `asyncio.timeout` and Ctrl-C use: the await ends while the thread goes on, and the caller would
close the database or the file that the thread uses. For SQLite that is a segmentation fault.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from itertools import islice
from threading import Thread
from typing import Generic, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

T = TypeVar("T")

#: Seconds of work in a thread between two sleeps, and the seconds of a sleep.
_WORK, _NAP = 0.0007, 0.00005
#: Small steps between two checks of the time.
_STEPS = 16


class ThreadLimit:
    """The number of threads at once for one kind of work, in each event loop.

    anyio's own 40 threads are shared with the user's program. If all of them wait for this SDK, as 40 synchronous
    FastAPI endpoints do, work that needed one of the same 40 would never begin.

    Args:
        name: for debugging.
        threads: the limit.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._threads = threads
        self._limiter: RunVar[CapacityLimiter] = RunVar(f"carecloud {name}")

    def limiter(self) -> CapacityLimiter:
        """Return the limiter of the running event loop."""
        try:
            return self._limiter.get()
        except LookupError:
            limiter = CapacityLimiter(self._threads)
            self._limiter.set(limiter)
            return limiter


#: For work without its own limit, and for work that may block for ever.
_DEFAULT = ThreadLimit("threads", 40)
_STOPPABLE = ThreadLimit("stoppable threads", 40)


#: The work of threads that a task waits for, until the task goes on.
_at_work: set[object] = set()


def are_threads_at_work() -> bool:
    """Return whether a task waits for a thread: to a clock for tests, such a task is not asleep."""
    return bool(_at_work)


async def run_in_thread(work: Callable[[], T], *, limit: ThreadLimit = _DEFAULT) -> T:
    """Run `work` in a worker thread and return what it returns.

    Cancelled before the thread begins, the work does not run. Cancelled later, by `Task.cancel()` too and any number
    of times, the call ends when the work has ended: with the cancellation after a `Task.cancel()`, and what the work
    returned is lost. Work that opens something therefore stores it where the caller's `finally` finds it.

    Args:
        work: blocks.
        limit: the threads at once; a caller that waits for the limit has not begun.

    Raises:
        Exception: whatever `work` raises.
    """
    # Held until the thread has ended: `run_sync` would give it back when it is cancelled.
    limiter, threaded = limit.limiter(), _ThreadedWork(work)
    await limiter.acquire_on_behalf_of(threaded)
    try:
        with anyio.CancelScope(shield=True):
            return await threaded.run()
        raise AssertionError("the scope cannot be cancelled")
    finally:
        limiter.release_on_behalf_of(threaded)


async def run_in_thread_regardless(work: Callable[[], T]) -> T:
    """Run `work` in a worker thread in any case, even if the caller is or was cancelled.

    For clean-ups and other work that must not be skipped. A cancellation by `Task.cancel()` meanwhile is raised when
    the work has ended, instead of its result or its exception.

    Args:
        work: blocks; does not wait for a limit.

    Raises:
        Exception: whatever `work` raises.
    """
    cancellation: BaseException | None = None
    with anyio.CancelScope(shield=True):
        while True:
            threaded = _ThreadedWork(work)
            try:
                result = await threaded.run()
            except anyio.get_cancelled_exc_class() as error:
                if not threaded.withdrawn:
                    raise
                cancellation = error  # it came before the work began, which therefore begins once more
                continue
            except Exception:
                if cancellation is None:
                    raise
            else:
                if cancellation is None:
                    return result
            raise cancellation
    raise AssertionError("the scope cannot be cancelled")


async def close_in_thread(*closers: Callable[[], object]) -> None:
    """Call functions that close something, in their order, in one worker thread; see `run_in_thread_regardless`.

    Neither a cancellation nor the error of one of them skips the next.

    Raises:
        Exception: whatever the last one that failed raises.
    """

    def close() -> None:
        with contextlib.ExitStack() as stack:
            for closer in reversed(closers):
                stack.callback(closer)

    await run_in_thread_regardless(close)


async def run_in_thread_until_stopped(work: Callable[[], T], *, stop: Callable[[], object]) -> T:
    """Run `work` in a worker thread; if the call is cancelled, stop it and wait for its end.

    For writes to a pipe that may never be read.

    Args:
        work: blocks, and ends soon after `stop` was called.
        stop: called at a cancellation.

    Raises:
        Exception: whatever `work` raises.
    """
    threaded = _ThreadedWork(work)
    try:
        return await threaded.run_unshielded(_STOPPABLE.limiter())
    except BaseException as error:
        if not threaded.withdraw():
            stop()
            if isinstance(error, anyio.get_cancelled_exc_class()):
                await run_in_thread_regardless(threaded.wait)
        raise


@contextlib.contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Run `work` in a thread beside a block; both have ended when the block is left, which waits for it. Blocks.

    The thread is no executor's: executors refuse work once the main thread has ended, although other threads still run.

    Args:
        work: blocks; sees the context variables of the caller.

    Raises:
        Exception: what the block raises, or else what `work` raises.
    """
    ended: Future[None] = Future()
    context = copy_context()

    def run() -> None:
        try:
            context.run(work)
        except BaseException as error:  # noqa: BLE001  (raised by the caller)
            ended.set_exception(error)
        else:
            ended.set_result(None)

    thread = Thread(target=run, name="carecloud beside")
    thread.start()
    try:
        yield
    finally:
        thread.join()
    ended.result()


class _ThreadedWork(Generic[T]):
    """One function that a thread runs, once.

    Args:
        work: blocks.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._progress: Future[None] = Future()  # pending, then running, then done; or cancelled instead of running

    @property
    def withdrawn(self) -> bool:
        """Whether it was withdrawn before it began."""
        return self._progress.cancelled()

    def withdraw(self) -> bool:
        """Do not run it, unless it has begun; return whether it will never run."""
        return self._progress.cancel()

    def wait(self) -> None:
        """Wait until it has ended. Blocks."""
        self._progress.result()

    async def run_unshielded(self, limiter: CapacityLimiter) -> T:
        """Run it. If the call is cancelled, the call ends at once, and the thread goes on."""
        return await to_thread.run_sync(self._run, abandon_on_cancel=True, limiter=limiter)

    async def run(self) -> T:
        """Run it. If the call is cancelled, it ends when the work has ended, or at once if that has not begun.

        The caller is shielded from cancel scopes, so that only `Task.cancel()` can cancel the call.
        """
        _at_work.add(self)
        try:
            return await to_thread.run_sync(self._run, limiter=CapacityLimiter(1))
        except anyio.get_cancelled_exc_class():
            if not self.withdraw():
                await self._wait_uncancelled()
            raise
        except BaseException:
            # The work's own exception, or the coroutine is being closed and must not await any more.
            if not self.withdraw():
                self.wait()
            raise
        finally:
            _at_work.discard(self)

    def _run(self) -> T:
        if not self._progress.set_running_or_notify_cancel():
            raise RuntimeError("withdrawn before it began")  # which no caller sees
        try:
            return self._work()
        finally:
            self._progress.set_result(None)

    async def _wait_uncancelled(self) -> None:
        """Wait until it has ended, however often the waiting task is cancelled."""
        import asyncio  # only its tasks can be cancelled through a shield

        while not self._progress.done():
            try:
                await asyncio.wait([asyncio.wrap_future(self._progress)])
            except asyncio.CancelledError:
                continue  # one more `Task.cancel()`; the first is raised when the work has ended


class ThreadYielder:
    """Lets other threads run between the steps of long work in a worker thread.

    A Python thread releases the interpreter lock when it waits, or when another thread has waited for 5 ms
    (`sys.getswitchinterval`). A thread with frequent short writes releases the lock each time, but takes it back before
    another thread has woken up, and the 5 ms start again: measured next to such a thread, an event loop waited 13 ms in
    the median. A sleep of any length lets the other threads take the lock.

    Args:
        now: returns this thread's CPU time in seconds: while it waits, others can run.
        sleep: waits some seconds.
    """

    def __init__(
        self, *, now: Callable[[], float] = time.thread_time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._since = now()

    def rest(self) -> None:
        """Let other threads run if it is time to. Call this after about every half millisecond of work."""
        if not 0 <= self._now() - self._since < _WORK:  # or the thread has changed
            self._sleep(_NAP)
            self._since = self._now()

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """Yield items that take some microseconds each, with sleeps in between."""
        left = iter(items)
        while some := list(islice(left, _STEPS)):
            yield from some
            self.rest()
