"""RedisTokenStore: the store of many hosts, against a real redis-server."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import pickle
import sys
import time

import anyio
import pytest
from clocks import Bell, SlowClock
from redis.asyncio import Redis

from carecloud_async import RedisTokenStore, StoredToken
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async.errors import ConfigurationError, TokenStoreError, WrongEventLoopError

TOKEN = StoredToken(value="tok-secret", expires_in=100.0)
#: Seconds after which something hangs that should not; only a defect takes as long.
PATIENCE = 60

pytestmark = pytest.mark.anyio
_prefixes = itertools.count()


@pytest.fixture
def anyio_backend():
    """redis-py works on asyncio alone."""
    return "asyncio"


@pytest.fixture
def prefix():
    return f"redis{os.getpid()}.{next(_prefixes)}:"


@pytest.fixture
async def store(redis_server, prefix):
    store = RedisTokenStore(redis_server.url, prefix=prefix)
    yield store
    await store.aclose()


@pytest.fixture
async def redis(redis_server):
    client = Redis.from_url(redis_server.url)
    yield client
    await client.aclose()


async def lock_once(store):
    async with store.lock("key"):
        pass


USES = {
    "load": lambda store: store.load("key"),
    "save": lambda store: store.save("key", TOKEN),
    "discard": lambda store: store.discard("key", "v"),
    "lock": lock_once,
}
every_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


async def test_server_counts_the_life(store, redis, prefix, clock):
    """The record ends by the server's clock; a token without an end has none there either."""
    await store.save("key", TOKEN)
    assert 40_000 < await redis.pttl(f"{prefix}key") <= 100_000
    await store.save("key", StoredToken(value="device"))
    assert await redis.pttl(f"{prefix}key") == -1
    await store.save("key", StoredToken(value="device", keep_for=100.0))
    assert 40_000 < await redis.pttl(f"{prefix}key") <= 100_000
    await store.save("key", StoredToken(value="device", expires_in=1e300))
    assert await redis.pttl(f"{prefix}key") > 1e11


async def test_key_of_another_kind(store, redis, prefix):
    """A key that another program uses for something else is a TokenStoreError."""
    await redis.lpush(f"{prefix}key", "x")
    with pytest.raises(TokenStoreError, match="cannot be used: ResponseError"):
        await store.load("key")


@pytest.mark.parametrize("raw", [b"\xff", b"{", b"[]", b'{"value": 1}', b"[" * 100_000])
async def test_damaged_record(store, redis, prefix, caplog, raw):
    """A record that makes no sense is a warning and no token."""
    await redis.set(f"{prefix}key", raw)
    assert await store.load("key") is None
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == ["carecloud_async.auth"]
    await store.discard("key", "v")
    await store.save("key", TOKEN)
    assert (await store.load("key")).value == "tok-secret"


@pytest.mark.parametrize("decode", [False, True])
async def test_given_client(redis_server, prefix, decode):
    """A client that is given is used, whatever it decodes, and stays open."""
    async with Redis.from_url(redis_server.url, decode_responses=decode) as client:
        store = RedisTokenStore(client, prefix=prefix)
        async with store.lock("key"):
            await store.save("key", TOKEN)
        assert (await store.load("key")).value == "tok-secret"
        await store.discard("key", "tok-secret")
        assert await store.load("key") is None
        await store.aclose()
        assert await client.ping()


def test_given_client_in_second_loop(redis_server, prefix):
    """A given client used in a second event loop is a WrongEventLoopError, from a lock too; a URL works there."""
    client = Redis.from_url(redis_server.url)
    given = RedisTokenStore(client, prefix=prefix)
    own = RedisTokenStore(redis_server.url, prefix=prefix)

    async def first():
        assert await given.load("key") is None
        await client.aclose()
        await own.save("key", TOKEN)
        await own.aclose()

    async def second():
        with pytest.raises(WrongEventLoopError, match="give the URL"):
            await given.load("key")
        with pytest.raises(WrongEventLoopError):
            await lock_once(given)
        assert (await own.load("key")).value == "tok-secret"
        await own.aclose()
        await own.aclose()

    asyncio.run(first())
    asyncio.run(second())


@pytest.mark.parametrize("anyio_backend", ["trio"])
@every_use
async def test_on_trio(use):
    """On trio every method is a ConfigurationError that names the other stores."""
    with pytest.raises(ConfigurationError, match=r"asyncio only.*FileTokenStore"):
        await use(RedisTokenStore("redis://127.0.0.1:1"))


def test_without_redis_py(monkeypatch):
    """Without redis-py making the store is a ConfigurationError that names what to install."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    monkeypatch.setitem(sys.modules, "redis.asyncio.lock", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'carecloud-async\[redis\]'"):
        RedisTokenStore("redis://127.0.0.1")


@pytest.mark.parametrize(
    "url",
    ["http://h", "", "redis://:pass-word@h:x/0", "redis://h?nonsense=1", "redis://[::1", "redis://u:12/pass-word@h/0"],
)
def test_bad_url(url):
    """A URL that redis-py cannot read is a ConfigurationError that does not quote it."""
    with pytest.raises(ConfigurationError, match="redis://:password@host") as caught:
        RedisTokenStore(url)
    assert "pass-word" not in repr((caught.value, caught.value.__cause__, caught.value.__context__))


@pytest.mark.parametrize("place", ["redis://user:pass-word@127.0.0.1:1/3", "redis://127.0.0.1:1/3?password=pass-word"])
@every_use
async def test_server_that_is_not_there(place, use):
    """A server that is not there is a TokenStoreError at once, and no password shows anywhere."""
    store = RedisTokenStore(place)
    started = time.monotonic()
    with pytest.raises(TokenStoreError, match=r"127\.0\.0\.1:1/3.* cannot be used: ConnectionError") as caught:
        await use(store)
    assert time.monotonic() - started < PATIENCE
    assert "pass-word" not in f"{store!r} {caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert ".." not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    await store.aclose()


async def test_server_does_not_answer(own_redis_server):
    """A server that hangs is a TokenStoreError after the timeout, and usable again when it wakes."""
    patient = RedisTokenStore(own_redis_server.url, timeout=PATIENCE)
    await patient.save("key", TOKEN)
    await patient.aclose()
    own_redis_server.freeze()
    store = RedisTokenStore(own_redis_server.url, timeout=0.2)
    started = time.monotonic()
    for use in USES.values():
        with pytest.raises(TokenStoreError, match="cannot be used"):
            await use(store)
    assert time.monotonic() - started < PATIENCE
    await store.aclose()


async def test_killed_in_the_middle(own_redis_server, caplog):
    """Redis killed while a lock is held: calls fail quickly, the body's result stands, and a new server is found."""
    store = RedisTokenStore(own_redis_server.url, timeout=PATIENCE, lock_life=0.3)
    started = time.monotonic()
    async with store.lock("key"):
        await store.save("key", TOKEN)
        own_redis_server.kill()
        with pytest.raises(TokenStoreError, match="cannot be used"):
            await store.load("key")
        await anyio.sleep(0.25)  # two extensions fail meanwhile
    assert time.monotonic() - started < PATIENCE
    assert "could not be given back" in caplog.text
    own_redis_server.start()
    assert await store.load("key") is None
    await store.save("key", TOKEN)
    assert (await store.load("key")).value == "tok-secret"
    await store.aclose()


async def test_a_lock_left_in_the_middle_of_its_extension_is_free(redis_server, redis, prefix):
    """A lock that is left in any step of its extension is free, and is not extended again."""
    bell = Bell()
    store = RedisTokenStore(redis_server.url, prefix=prefix, lock_life=60, clock=bell)
    for steps in range(20):
        async with store.lock("key"):
            bell.ring()
            for _ in range(steps):
                await asyncio.sleep(0)
        assert await redis.get(f"{prefix}key:lock") is None
    await store.aclose()


async def test_refusals_quote_nothing(redis_server, redis, prefix):
    """What Redis refuses it quotes in its answer; the error says only which kind of refusal it was."""
    await redis.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "&*", "+@all", "-set")
    async with Redis.from_url(redis_server.url, username="reader", password="pw") as client:
        store = RedisTokenStore(client, prefix=prefix)
        with pytest.raises(TokenStoreError, match="cannot be used: NoPermissionError") as caught:
            await store.save("key", TOKEN)
    error = caught.value
    assert "tok-secret" not in f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"


async def test_lost_lock(redis_server, redis, prefix, caplog):
    """A lock that was lost is one warning, and the next holder's is not released."""
    store = RedisTokenStore(redis_server.url, prefix=prefix, lock_life=0.2)
    for wait in (0.0, 0.2):  # found out on leaving, and before that
        caplog.clear()
        async with store.lock("key"):
            await redis.set(f"{prefix}key:lock", "another")
            await anyio.sleep(wait)
        assert [record.name for record in caplog.records if "lost" in record.message] == ["carecloud_async.auth"]
        assert await redis.get(f"{prefix}key:lock") == b"another"
        await redis.delete(f"{prefix}key:lock")
    await store.aclose()


async def test_grant_never_heard(own_redis_server):
    """A waiter cancelled while the server was granting it the lock leaves nothing locked."""
    store = RedisTokenStore(own_redis_server.url, lock_life=60)
    await store.load("key")
    own_redis_server.freeze()
    task = asyncio.create_task(lock_once(store))
    await asyncio.sleep(0.1)  # the request is out, and gets no answer
    task.cancel()
    await asyncio.sleep(0.05)
    own_redis_server.thaw()
    with pytest.raises(asyncio.CancelledError):
        await task
    with anyio.fail_after(60):
        await lock_once(store)
    await store.aclose()


async def test_native_cancellation(store, redis, prefix):
    """A holder ended by `Task.cancel()`, or by a timeout of asyncio, gives the lock back and comes out as such."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), store.lock("key"):
            await asyncio.sleep(60)
    assert await redis.get(f"{prefix}key:lock") is None
    held = asyncio.Event()

    async def hold():
        async with store.lock("key"):
            held.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(hold())
    await held.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # in the middle of giving back
    with pytest.raises(asyncio.CancelledError):
        await task
    with anyio.fail_after(60):
        await lock_once(store)


async def test_discard_is_atomic(redis_server, redis, prefix):
    """A token saved by another between the look and the deletion stays."""

    class Overtaken(Redis):
        async def execute_command(self, *words, **options):
            result = await super().execute_command(*words, **options)
            if words[0] == "GET":
                await redis.set(f"{prefix}key", '{"value":"newer"}')
            return result

    await redis.set(f"{prefix}key", '{"value":"tok-secret"}')
    async with Overtaken.from_url(redis_server.url) as theirs:
        await RedisTokenStore(theirs, prefix=prefix).discard("key", "tok-secret")
    other = RedisTokenStore(redis_server.url, prefix=prefix)
    assert (await other.load("key")).value == "newer"
    await other.aclose()


@pytest.mark.parametrize(("step", "left"), [(40.0, 60.0), (200.0, None)])
async def test_a_record_that_ended_on_its_way_is_no_token(redis_server, prefix, step, left):
    """The time that the answer took counts: what is left of the record's life is less, and may be nothing."""
    store = RedisTokenStore(redis_server.url, prefix=prefix, clock=SlowClock(step))
    await store.save("key", TOKEN)
    loaded = await store.load("key")
    await store.aclose()
    if left is None:
        assert loaded is None
    else:
        assert loaded.value == TOKEN.value
        assert left - 60 < loaded.expires_in <= left


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


@pytest.mark.parametrize("fails", [False, True])
async def test_a_lock_is_extended_every_third_of_its_life(redis_server, prefix, fails, caplog):
    """A lock is extended after each third of its life, also if the server did not answer once."""
    clock = Sleeps()

    class Failing(Redis):
        asked = 0

        async def execute_command(self, *words, **options):
            self.asked += 1
            if fails and self.asked == 2:  # the first was the request for the lock
                raise TimeoutError("no answer")
            return await super().execute_command(*words, **options)

    async with Failing.from_url(redis_server.url) as redis:
        store = RedisTokenStore(redis, prefix=prefix, lock_life=45.0, clock=clock)
        async with store.lock("key"):
            with anyio.fail_after(PATIENCE):
                await clock.slept_thrice.wait()
        assert redis.asked >= 4
    assert set(clock.noted) == {15.0}
    assert not caplog.records
