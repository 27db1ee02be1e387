"""MemoryTokenStore: the store of one process."""

from __future__ import annotations

import os
import tracemalloc

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecloud_async import MemoryTokenStore, StoredToken


def at_once(coroutine):
    """Run what does not wait."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


@pytest.mark.anyio
async def test_life_follows_the_monotonic_clock(clock):
    """What is left of a life is counted on the monotonic clock, whatever the wall clock does."""
    store = MemoryTokenStore(clock=clock)
    await store.save("key", StoredToken(value="t", expires_in=100))
    clock.now += 40
    clock.wall -= 86_400
    assert (await store.load("key")).expires_in == pytest.approx(60)
    clock.now += 60
    assert await store.load("key") is None


@pytest.mark.anyio
async def test_ended_records_do_not_pile_up(clock):
    """Records that ended and are never asked for again are dropped in the course of saving."""
    store = MemoryTokenStore(clock=clock)
    for number in range(5000):
        await store.save(f"key{number}", StoredToken(value="t", expires_in=1))
        clock.advance(0.1)
    assert int(repr(store).removeprefix("<MemoryTokenStore: ").removesuffix(" records>")) < 1000


@pytest.mark.anyio
async def test_locks_do_not_pile_up(clock):
    """A lock that is not held takes no memory: ten thousand of them, one after the other, take that of a few."""
    store = MemoryTokenStore(clock=clock)
    tracemalloc.start()
    try:
        for number in range(10_000):
            async with store.lock(f"key{number}"):
                pass
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert used < 100_000


@pytest.mark.anyio
async def test_small():
    """Ten thousand sessions cost less than one kilobyte each."""
    store = MemoryTokenStore()
    tracemalloc.start()
    try:
        for number in range(10_000):
            key = f"project|customer-interface|application|{number:064x}"
            await store.save(key, StoredToken(value=f"{number:040x}", customer_id=f"{number:026x}", expires_in=3600.0))
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert used / 10_000 < 1000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_while_locked():
    """A child forked while a lock is held finds it free, and the records there."""
    store = MemoryTokenStore()
    at_once(store.save("key", StoredToken(value="t")))
    holder = store.lock("key")
    at_once(holder.__aenter__())

    async def child():
        with anyio.fail_after(60):
            async with store.lock("key"):
                return await store.load("key")

    with store._guard():  # held by some other thread, say, at that very moment
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(0 if anyio.run(child).value == "t" else 2)
            finally:
                os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    at_once(holder.__aexit__(None, None, None))


@given(life=st.floats(0.001, 1e7), steps=st.lists(st.floats(0, 1e6), max_size=5), jump=st.floats(-1e8, 1e8))
def test_never_longer_than_saved(fake_clock, life, steps, jump):
    """However time passes, what is left is what was saved less what passed."""
    clock = fake_clock()
    store = MemoryTokenStore(clock=clock)
    at_once(store.save("key", StoredToken(value="t", expires_in=life)))
    clock.wall += jump
    for step in steps:
        clock.now += step
    passed = clock.now - 1000.0
    token = at_once(store.load("key"))
    left = token.expires_in if token else 0.0
    assert left == pytest.approx(max(0.0, life - passed), abs=1e-6)
