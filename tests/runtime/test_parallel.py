"""run_all: several jobs at once, with results in order and the first error as itself."""

from functools import partial

import anyio
import pytest

from carecloud_async._base.runtime.task_groups import run_all

pytestmark = pytest.mark.anyio


async def test_results_are_in_order_and_no_more_run_than_may():
    """Jobs that end in another order return their results in theirs, at most `width` of them under way."""
    running, most = 0, 0

    async def work(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5 - number):
            await anyio.lowlevel.checkpoint()
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
        await anyio.lowlevel.checkpoint()
        ended.append("slow")

    async def late():
        begun.append("late")

    with pytest.raises(ValueError, match="first"):
        await run_all([slow, fail, late], width=2, cancels=cancels)
    assert begun == ["slow"]
    assert ended == ([] if cancels else ["slow"])
