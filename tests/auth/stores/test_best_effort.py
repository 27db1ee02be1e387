"""A store that fails costs an API user's login its timeout once."""

from contextlib import asynccontextmanager

import anyio
import pytest

from carecloud_async import CareCloud, TokenStore
from carecloud_async._calls.auth.stores.base import BestEffortStore, StoredToken
from carecloud_async.errors import TokenStoreError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


class FailingStore(TokenStore):
    """Fails at the named operations, and notes each that it is asked for."""

    def __init__(self, *failing):
        self.failing = set(failing)
        self.asked = []

    def _ask(self, name):
        self.asked.append(name)
        if name in self.failing:
            raise TokenStoreError("no response within 5 s")

    async def load(self, key):
        self._ask("load")

    async def save(self, key, token):
        self._ask("save")

    async def discard(self, key, value):
        self._ask("discard")

    @asynccontextmanager
    async def lock(self, key):
        self._ask("lock")
        yield


@pytest.mark.parametrize(
    ("failing", "asked"),
    [(["lock", "load", "save"], ["lock"]), (["load", "save"], ["lock", "load"]), (["save"], ["lock", "load", "save"])],
)
async def test_a_store_that_failed_is_not_asked_again_for_the_same_login(failing, asked):
    """The next login asks it again."""
    sandbox, store = Sandbox(1), FailingStore(*failing)
    options = {"auth": sandbox.credentials(), "transport": sandbox.transport(), "token_store": store}
    async with CareCloud("x.example.com", **options) as client:
        await client.ping()
        assert store.asked == asked
        store.failing.clear()
        sandbox.revoke_all()
        await client.ping()
    assert store.asked[len(asked) :] == ["lock", "load", "save"]
    assert sandbox.logins == 2


class StuckStore(FailingStore):
    """A store whose locks another process holds without end."""

    @asynccontextmanager
    async def lock(self, key):
        self._ask("lock")
        await anyio.sleep_forever()
        yield


async def test_a_lock_that_another_process_holds_without_end():
    """Callers who have less time than the lock is waited for get past it all the same, and do without the store."""
    stuck = StuckStore()
    store, entered = BestEffortStore(stuck, lock_seconds=0.4), False
    with anyio.fail_after(60):
        while not entered:
            with anyio.move_on_after(0.1):
                async with store.lock("key"):
                    await store.save("key", StoredToken(value="token"))
                    assert await store.load("key") is None
                    entered = True
    assert set(stuck.asked) == {"lock"}


async def test_a_lock_that_fails_is_waited_for_again():
    """A store that failed at once has not been waited for: the next caller has the whole time."""
    failing = FailingStore("lock")
    store = BestEffortStore(failing, lock_seconds=60)
    for _ in range(3):
        async with store.lock("key"):
            pass
    failing.failing.clear()
    async with store.lock("key"):
        await store.load("key")
    assert failing.asked == ["lock"] * 4 + ["load"]


async def test_a_caller_that_was_cancelled_long_ago_takes_no_time_from_the_next():
    """A lock is waited for in full again when the last caller that gave up is long gone."""
    stuck = StuckStore()
    store = BestEffortStore(stuck, lock_seconds=0.4)
    with anyio.move_on_after(0.05):
        async with store.lock("key"):
            pass
    await anyio.sleep(0.85)
    began = anyio.current_time()
    async with store.lock("key"):
        pass
    assert anyio.current_time() - began >= 0.39
