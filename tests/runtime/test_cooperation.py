"""Turns of long computations: one slice in each pass of the event loop, and nothing left behind by a cancellation."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from carecloud_async._base.runtime.task_groups import CooperativeScheduler

pytestmark = pytest.mark.anyio


class _Passes:
    """Counts the passes of the loop, give or take one."""

    def __init__(self):
        self.count = 0

    async def run(self):
        while True:
            self.count += 1
            await checkpoint()


async def _computed(scheduler, results, computation):
    results.append(await scheduler.run(computation))


def _numbered(name, slices, done):
    for number in range(slices):
        done.append((name, number))
        yield
    done.append((name, slices))
    return name


async def test_several_computations_share_the_passes_of_the_loop():
    """Of eight computations at once, no two do a slice in the same pass."""
    passes, seen, scheduler = _Passes(), [], CooperativeScheduler()

    def slices():
        for _ in range(5):
            seen.append(passes.count)
            yield
        seen.append(passes.count)

    async with anyio.create_task_group() as group:
        group.start_soon(passes.run)
        async with anyio.create_task_group() as computations:
            for _ in range(8):
                computations.start_soon(scheduler.run, slices())
        group.cancel_scope.cancel()
    assert len(seen) == 8 * 6
    # A pass may run the counter first or last: one of a row of passes can be missing from the count, never two.
    assert all(later - earlier >= 1 for earlier, later in zip(seen, seen[2:], strict=False))
    assert seen[-1] - seen[0] >= len(seen) - 2


async def test_computations_run_in_the_order_of_their_arrival():
    """The first to come is the first to be done, however long the ones behind it are."""
    done, results, scheduler = [], [], CooperativeScheduler()
    async with anyio.create_task_group() as group:
        first = _numbered("first", 5, done)
        group.start_soon(_computed, scheduler, results, first)
        await checkpoint()
        while not done:
            await checkpoint()
        group.start_soon(_computed, scheduler, results, _numbered("second", 0, done))
    assert results == ["first", "second"]
    assert done[-1] == ("second", 0)


async def test_an_exception_of_a_slice_comes_out_and_the_next_computation_runs():
    """What a slice raises is raised by `run`, and the turn passes on."""
    scheduler, results = CooperativeScheduler(), []

    def failing():
        yield
        raise KeyError("slice")

    async with anyio.create_task_group() as group:
        group.start_soon(_computed, scheduler, results, _numbered("before", 2, []))
        with pytest.raises(KeyError, match="slice"):
            await scheduler.run(failing())
        group.start_soon(_computed, scheduler, results, _numbered("behind", 2, []))
    assert results == ["before", "behind"]


async def test_a_computation_cancelled_between_two_slices_is_closed():
    """The generator is closed at its yield, and others have their turn."""
    scheduler, closed = CooperativeScheduler(), []

    def endless():
        try:
            while True:
                yield
        finally:
            closed.append("endless")

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(scheduler.run, endless())
            for _ in range(5):
                await checkpoint()
            scope.cancel()
    assert closed == ["endless"]
    assert await scheduler.run(_numbered("next", 1, [])) == "next"
