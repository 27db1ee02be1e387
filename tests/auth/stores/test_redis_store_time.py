"""RedisTokenStore: the time that an answer takes is part of a record's life."""

import pytest

from carecloud_async.auth.stores import RedisTokenStore, StoredToken
from carecloud_async.runtime.clock import SystemClock

TOKEN = StoredToken(value="tok-secret", expires_in=100.0)
#: Seconds that a slow machine may take.
PATIENCE = 60


class SlowClock(SystemClock):
    """A clock on which every look is so many seconds after the one before."""

    def __init__(self, step):
        self._step = step
        self._now = 0.0

    def monotonic(self):
        self._now += self._step
        return self._now


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(("step", "left"), [(40.0, 60.0), (200.0, None)])
async def test_a_record_that_ended_on_its_way_is_no_token(redis_server, anyio_backend, step, left):
    """The time that the answer took counts: what is left of the record's life is less, and may be nothing."""
    del anyio_backend
    store = RedisTokenStore(redis_server.url, prefix="slow:", clock=SlowClock(step))
    await store.save("key", TOKEN)
    found = await store.load("key")
    await store.aclose()
    if left is None:
        assert found is None
    else:
        assert found.value == TOKEN.value
        assert left - PATIENCE < found.expires_in <= left
