"""RedisTokenStore: how long a record lives, as a host with a slow connection sees it."""

import os

import pytest
from clocks import SlowClock

from carecloud_async import RedisTokenStore, StoredToken

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
