"""`ReadAhead`: pages in the order of the list, whatever arrives, fails or is cut short first."""

import anyio
import pytest

from carecloud_async._base.runtime.task_groups import BackgroundTasks
from carecloud_async._lists.paging.read_ahead import ReadAhead

pytestmark = pytest.mark.anyio


class Plan:
    """A plan whose width a test changes."""

    width = 2
    spare = 0


async def test_the_rest_of_an_earlier_part_is_requested_after_a_later_one_failed():
    """Fewer requests at once are allowed meanwhile, and the later page fails last: the consumer gets all before it."""
    plan, asked, failing = Plan(), [], anyio.Event()
    parts = iter([range(10), range(10, 20), range(20, 30)])

    async def fetch(part):
        asked.append(part.start)
        if part.start == 10:
            await failing.wait()
            raise OSError("the connection was lost")
        plan.width = 1
        return part.start, part[5:]

    async with BackgroundTasks() as tasks:
        ahead = ReadAhead(fetch, next_part=lambda: next(parts, None), tasks=tasks, plan=plan)
        with anyio.fail_after(5):
            assert await ahead.take() == 0
            failing.set()
            assert await ahead.take() == 5
            with pytest.raises(OSError, match="lost"):
                await ahead.take()
    assert sorted(asked) == [0, 5, 10]


async def test_the_rest_of_a_page_comes_before_later_parts():
    """Pages that are cut short are completed in the order of the list, before any new part is requested."""
    plan, asked = Plan(), []
    parts = iter([range(6), range(6, 12), range(12, 18)])

    async def fetch(part):
        asked.append(part.start)
        return part.start, part[2:]

    async with BackgroundTasks() as tasks:
        ahead = ReadAhead(fetch, next_part=lambda: next(parts, None), tasks=tasks, plan=plan)
        taken = []
        while (page := await ahead.take()) is not None:
            taken.append(page)
    assert taken == sorted(asked) == [*range(0, 18, 2)]
    assert asked.index(4) < asked.index(12)
