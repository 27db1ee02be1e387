"""MemoryTokenStore: the store of one process."""

from __future__ import annotations

import pytest

from carecloud_async import MemoryTokenStore, StoredToken


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
