"""What every store promises, on each async library that it works on."""

from __future__ import annotations

import itertools
import math
import threading
import time

import anyio
import pytest

from carecloud_async import FileTokenStore, MemoryTokenStore, RedisTokenStore, StoredToken

pytestmark = pytest.mark.anyio

CASES = [
    ("memory", "asyncio"),
    ("memory", "trio"),
    ("file", "asyncio"),
    ("file", "trio"),
    ("redis", "asyncio"),
]
_prefixes = itertools.count()

TOKEN = StoredToken(value="tok-secret", expires_in=30.0, customer_id="c1", secret_hash="salt$hash")


@pytest.fixture(params=CASES, ids="-".join)
def case(request):
    return request.param


@pytest.fixture
def anyio_backend(case):
    return case[1]


@pytest.fixture
def make(case, request, tmp_path):
    kind = case[0]
    if kind == "memory":
        store = MemoryTokenStore()
        return lambda: store
    if kind == "file":
        return lambda: FileTokenStore(tmp_path / "tokens.json")
    url, prefix = request.getfixturevalue("redis_server").url, f"contract{next(_prefixes)}:"
    return lambda: RedisTokenStore(url, prefix=prefix)


@pytest.fixture
async def store(make):
    store = make()
    yield store
    await store.aclose()


@pytest.fixture
async def other(make):
    """A second view on the same records, as another process would have."""
    store = make()
    yield store
    await store.aclose()


async def test_saved_is_loaded(store, other):
    """What one saves another loads whole, with no more life than it had; a second save replaces all of it."""
    await store.save("key", TOKEN)
    loaded = await other.load("key")
    assert (loaded.value, loaded.customer_id, loaded.secret_hash) == ("tok-secret", "c1", "salt$hash")
    assert 25 < loaded.expires_in <= 30
    for life in (math.inf, None):
        await store.save("key", StoredToken(value="device", expires_in=life))
        loaded = await other.load("key")
        assert (loaded.value, loaded.customer_id, loaded.expires_in in (None, life)) == ("device", None, True)


async def test_ends(store, other):
    """A record is gone when its life is over."""
    await store.save("key", StoredToken(value="short", expires_in=0.15))
    deadline = time.monotonic() + 60
    while await other.load("key") is not None:
        assert time.monotonic() < deadline
        await anyio.sleep(0.01)


@pytest.mark.parametrize("life", [0, -5.0, math.nan])
async def test_ended_is_not_kept(store, other, life):
    """Saving a token that has ended leaves no token, not even the one before."""
    await store.save("key", TOKEN)
    await store.save("key", StoredToken(value="late", expires_in=life))
    assert await other.load("key") is None


async def test_discard(store, other):
    """Discarding forgets the record of that token alone, and an absent key is no error."""
    await store.save("key", StoredToken(value="newer"))
    await other.discard("key", "tok-secret")
    await other.discard("nobody", "tok-secret")
    assert (await store.load("key")).value == "newer"
    await other.discard("key", "newer")
    assert await store.load("key") is None


async def test_odd_keys(store, other):
    """Keys of any characters and length stay apart, and so do their locks."""
    keys = ["a/b", "a:b", "../a", "ü \n", "k" * 1000, "k" * 1001]
    for key in keys:
        await store.save(key, StoredToken(value=f"of {key}"))
        async with store.lock(key), store.lock("another"):
            await store.save("another", TOKEN)
    assert [(await other.load(key)).value for key in keys] == [f"of {key}" for key in keys]


async def test_lock_excludes(store, other):
    """Of many tasks with the lock on one key, one is inside at a time."""
    inside, most = 0, 0

    async def work(view):
        nonlocal inside, most
        for _ in range(3):
            async with view.lock("key"):
                inside += 1
                most = max(most, inside)
                await anyio.sleep(0.001)
                inside -= 1

    async with anyio.create_task_group() as tasks:
        for view in [store, other] * 4:
            tasks.start_soon(work, view)
    assert most == 1


async def test_lock_waiter_cancelled(store, other):
    """A waiter that is cancelled leaves nothing locked."""
    async with store.lock("key"):
        for _ in range(3):
            with anyio.move_on_after(0.03):
                async with other.lock("key"):
                    pytest.fail("two in one lock")
    with anyio.fail_after(60):
        async with other.lock("key"):
            pass


async def test_lock_lets_errors_through(store, other):
    """What the body raises comes out as itself, and the lock is free."""

    class OwnError(Exception):
        pass

    error = OwnError()
    with pytest.raises(OwnError) as caught:
        async with store.lock("key"):
            raise error
    assert caught.value is error
    with anyio.fail_after(60):
        async with other.lock("key"):
            pass


async def test_storm_of_cancellations(store):
    """Hundreds of cancelled calls at any moment leave the store usable and the record whole."""
    await store.save("key", TOKEN)

    async def call(delay):
        with anyio.move_on_after(delay):
            async with store.lock("key"):
                await store.save("key", TOKEN)
                await store.load("key")

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(call, number * 0.0005)
    with anyio.fail_after(60):
        async with store.lock("key"):
            assert (await store.load("key")).value == "tok-secret"


async def test_many_reads_at_once(store):
    """Hundreds of reads at once, more than a pool has connections, all get the record."""
    await store.save("key", TOKEN)
    loaded = []

    async def load():
        loaded.append((await store.load("key")).value)

    async with anyio.create_task_group() as tasks:
        for _ in range(200):
            tasks.start_soon(load)
    assert loaded == ["tok-secret"] * 200


async def test_other_thread_and_loop(store, make, case):
    """A store used in a second thread with a loop of its own works there and respects the lock."""
    done = threading.Event()

    async def work():
        async with store.lock("key"):
            await store.save("key", TOKEN)
        await store.aclose()

    def run():
        anyio.run(work, backend=case[1])
        done.set()

    thread = threading.Thread(target=run)
    async with store.lock("key"):
        thread.start()
        await anyio.sleep(0.05)
        assert not done.is_set()
    with anyio.fail_after(60):
        await anyio.to_thread.run_sync(thread.join)
    assert (await store.load("key")).value == "tok-secret"


async def test_shows_no_secret(store):
    """Neither the store nor a loaded token shows a token or the hash of a secret."""
    await store.save("key", TOKEN)
    shown = f"{store!r} {store} {await store.load('key')!r}"
    assert "tok-secret" not in shown
    assert "salt$hash" not in shown
