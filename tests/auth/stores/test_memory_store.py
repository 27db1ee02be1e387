"""MemoryTokenStore, and stores that fail: one costs an API user's login its timeout once."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest
from auth_tools import NotingStore
from kit import connect

from carecloud_async import MemoryTokenStore, StoredToken
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_life_follows_the_monotonic_clock(clock):
    """What is left of a life is counted on the monotonic clock, whatever the wall clock does."""
    store = MemoryTokenStore(clock=clock)
    await store.save("key", StoredToken(value="t", expires_in=100))
    clock.now += 40
    clock.wall -= 86_400
    assert (await store.load("key")).expires_in == pytest.approx(60)
    clock.now += 60
    assert await store.load("key") is None


async def test_ended_records_do_not_pile_up(clock):
    """Records that ended and are never asked for again are dropped in the course of saving."""
    store = MemoryTokenStore(clock=clock)
    for number in range(5000):
        await store.save(f"key{number}", StoredToken(value="t", expires_in=1))
        clock.advance(0.1)
    assert int(repr(store).removeprefix("<MemoryTokenStore: ").removesuffix(" records>")) < 1000


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
