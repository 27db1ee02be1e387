"""Helpers of a block: they end with it, and begin nothing after it."""

import anyio
import pytest

from carecloud_async._base.runtime.task_groups import BackgroundTasks

pytestmark = pytest.mark.anyio


async def test_a_task_that_is_done_as_the_block_ends_begins_no_other():
    """A helper that asks for the next one while the block ends fails nothing, and the next one never runs."""
    ran = []

    async def second():
        ran.append("second")

    async def first():
        try:
            await anyio.sleep_forever()
        finally:
            ran.append("first")
            tasks.start(second)

    async with BackgroundTasks() as tasks:
        tasks.start(first)
        await anyio.wait_all_tasks_blocked()
    assert ran == ["first"]


async def test_the_blocks_own_exception_comes_out_as_itself():
    """No group wraps the exception of a block whose helpers are cancelled by it."""
    with pytest.raises(KeyError, match="mine"):
        async with BackgroundTasks() as tasks:
            tasks.start(anyio.sleep_forever)
            await anyio.wait_all_tasks_blocked()
            raise KeyError("mine")


async def test_before_its_block_nothing_can_begin():
    """A helper without a block would never end: it is refused."""
    with pytest.raises(RuntimeError, match="has not begun"):
        BackgroundTasks().start(anyio.sleep_forever)
