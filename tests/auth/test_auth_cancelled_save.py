"""A token that is being saved when its caller is cancelled."""

import asyncio

import pytest
from auth_tools import connect, make_sandbox

from carecloud_async import MemoryTokenStore


@pytest.mark.asyncio
@pytest.mark.parametrize("cancels", [1, 3])
async def test_a_token_that_is_being_saved_survives_task_cancel(cancels):
    """`Task.cancel()` while a fresh token is saved, once or again, loses no login: the next caller finds the token."""
    saving, go_on = asyncio.Event(), asyncio.Event()

    class SlowStore(MemoryTokenStore):
        async def save(self, key, token):
            saving.set()
            await go_on.wait()
            await super().save(key, token)

    sandbox = make_sandbox()
    async with connect(sandbox, token_store=SlowStore()) as client:
        task = asyncio.create_task(client.customers.list().total())
        await saving.wait()
        for _ in range(cancels):
            task.cancel()
            await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.customers.list().total()
    assert sandbox.logins == 1
