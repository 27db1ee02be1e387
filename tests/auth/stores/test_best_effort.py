"""A store that fails costs an API user's login its timeout once."""

from contextlib import asynccontextmanager

import anyio
import pytest
from auth_tools import NotingStore
from kit import connect

from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("failing", "asked"),
    [(["lock", "load", "save"], ["lock"]), (["load", "save"], ["lock", "load"]), (["save"], ["lock", "load", "save"])],
)
async def test_a_store_that_failed_is_not_asked_again_for_the_same_login(failing, asked):
    """The next login asks it again."""
    sandbox, store = Sandbox(1), NotingStore(failing=failing)
    async with connect(sandbox, token_store=store) as client:
        await client.ping()
        assert store.asked == asked
        store.failing.clear()
        sandbox.revoke_all()
        await client.ping()
    assert store.asked[len(asked) :] == ["lock", "load", "save"]
    assert sandbox.logins == 2


class StuckStore(NotingStore):
    """A store whose locks another process holds without end."""

    @asynccontextmanager
    async def lock(self, key):
        self.ask("lock", key)
        await anyio.sleep_forever()
        yield


async def test_a_lock_that_another_process_holds_without_end():
    """A call waits for it half of its time, and then logs in without the store."""
    sandbox, store = Sandbox(1), StuckStore()
    async with connect(sandbox, token_store=store, timeout=4) as client:
        began = anyio.current_time()
        await client.ping()
    assert 1.9 <= anyio.current_time() - began < 4
    assert (store.asked, sandbox.logins) == (["lock"], 1)
