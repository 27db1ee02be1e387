"""RedisTokenStore: how long a record lives, as a host with a slow connection sees it, and how a lock is kept alive."""

import os

import anyio
import pytest
from clocks import SlowClock
from redis.asyncio import Redis

from carecloud_async import RedisTokenStore, StoredToken
from carecloud_async._base.runtime.clock import SystemClock

TOKEN = StoredToken(value="tok-secret", expires_in=100.0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
@pytest.mark.parametrize(("step", "left"), [(40.0, 60.0), (200.0, None)])
async def test_a_record_that_ended_on_its_way_is_no_token(redis_server, anyio_backend, step, left):
    """The time that the answer took counts: what is left of the record's life is less, and may be nothing."""
    del anyio_backend
    store = RedisTokenStore(redis_server.url, prefix=f"life{os.getpid()}.{step}:", clock=SlowClock(step))
    await store.save("key", TOKEN)
    found = await store.load("key")
    await store.aclose()
    if left is None:
        assert found is None
    else:
        assert found.value == TOKEN.value
        assert left - 60 < found.expires_in <= left


class Sleeps(SystemClock):
    """A clock that notes how long each sleep is, and sleeps a moment."""

    def __init__(self):
        self.noted = []
        self.slept_thrice = anyio.Event()

    async def sleep(self, seconds):
        self.noted.append(seconds)
        if len(self.noted) == 3:
            self.slept_thrice.set()
        await anyio.sleep(0.001)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
@pytest.mark.parametrize("lock_life", [60.0, 45.0])
async def test_a_lock_is_extended_every_third_of_its_life(redis_server, anyio_backend, lock_life, caplog):
    """A lock is extended after each third of its life: the server has little load, and one failure does not lose it."""
    del anyio_backend
    clock = Sleeps()
    store = RedisTokenStore(redis_server.url, prefix=f"third{os.getpid()}:", lock_life=lock_life, clock=clock)
    async with store.lock("key"):
        with anyio.fail_after(60):
            await clock.slept_thrice.wait()
    await store.aclose()
    assert set(clock.noted) == {lock_life / 3}
    assert not caplog.records


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_a_lock_is_extended_again_after_an_extension_that_failed(redis_server, anyio_backend):
    """A server that does not answer once does not cost the lock: the next extension is tried all the same."""
    del anyio_backend
    clock = Sleeps()

    class Failing(Redis):
        asked = 0

        async def execute_command(self, *words, **options):
            self.asked += 1
            if self.asked == 2:  # the first was the request for the lock
                raise TimeoutError("no answer")
            return await super().execute_command(*words, **options)

    async with Failing.from_url(redis_server.url) as redis:
        store = RedisTokenStore(redis, prefix=f"again{os.getpid()}:", clock=clock)
        async with store.lock("key"):
            with anyio.fail_after(60):
                await clock.slept_thrice.wait()
        assert redis.asked >= 4
