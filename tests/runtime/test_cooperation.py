"""Turns of long computations: one slice in each pass of the event loop, and nothing left behind by a cancellation."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from carecloud_async._base.runtime.cooperation import CooperativeScheduler

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


async def test_a_computation_returns_what_its_generator_returns():
    """The value of the generator's `return` is the result, and every slice ran."""
    done = []
    assert await CooperativeScheduler().run(_numbered("a", 3, done)) == "a"
    assert done == [("a", 0), ("a", 1), ("a", 2), ("a", 3)]


async def test_other_tasks_run_between_two_slices():
    """A task that is ready runs before each next slice."""
    passes, seen = _Passes(), []

    def slices():
        for _ in range(10):
            seen.append(passes.count)
            yield

    async with anyio.create_task_group() as group:
        group.start_soon(passes.run)
        await CooperativeScheduler().run(slices())
        seen.append(passes.count)
        group.cancel_scope.cancel()
    assert seen[-1] - seen[0] >= 9


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


async def test_single_turns_share_the_passes_of_the_loop():
    """Of eight tasks that each ask for one turn, no two have it in the same pass."""
    passes, seen, scheduler = _Passes(), [], CooperativeScheduler()

    async def compute():
        await scheduler.turn()
        seen.append(passes.count)

    async with anyio.create_task_group() as group:
        group.start_soon(passes.run)
        async with anyio.create_task_group() as computations:
            for _ in range(8):
                computations.start_soon(compute)
        group.cancel_scope.cancel()
    assert len(seen) == 8
    assert all(later - earlier >= 1 for earlier, later in zip(seen, seen[2:], strict=False))


async def test_a_single_turn_comes_between_the_slices_of_a_long_computation():
    """A task that asks for one turn has it before a computation of many slices is done."""
    scheduler, done = CooperativeScheduler(), []
    async with anyio.create_task_group() as group:
        group.start_soon(scheduler.run, _numbered("long", 50, done))
        while not done:
            await checkpoint()
        await scheduler.turn()
        assert ("long", 50) not in done


async def test_a_turn_cancelled_while_it_waits_is_no_turn():
    """A task that is cancelled in the queue does not block those behind it."""
    scheduler, reached = CooperativeScheduler(), []

    async def compute(name):
        await scheduler.turn()
        reached.append(name)

    await scheduler.turn()
    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(compute, "cancelled")
            waiting.cancel_scope.cancel()
        group.start_soon(compute, "next")
    assert reached == ["next"]


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


async def test_a_computation_cancelled_while_it_waits_never_begins():
    """One that waits for its turn does nothing once it is cancelled, and those behind it have their turn."""
    scheduler, done, results = CooperativeScheduler(), [], []
    async with anyio.create_task_group() as group:
        group.start_soon(_computed, scheduler, results, _numbered("first", 10, done))
        while not done:
            await checkpoint()
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(_computed, scheduler, results, _numbered("cancelled", 1, done))
            await checkpoint()
            await checkpoint()
            waiting.cancel_scope.cancel()
        group.start_soon(_computed, scheduler, results, _numbered("last", 1, done))
    assert results == ["first", "last"]
    assert ("cancelled", 0) not in done
