"""Cancellation at any await: no connection, slot or token is lost."""

import asyncio
import random

import anyio
import pytest
from call_doors import default
from thorough import examples
from wire_server import answer, serving

from carecloud_async import CareCloud, RetryPolicy

pytestmark = pytest.mark.anyio


async def storm(client, *, rounds):
    """Start 40 calls on five connections, and cancel four of five at random moments; again and again."""
    chance = random.Random(1)

    async def call(patience):
        with anyio.move_on_after(patience):
            await client.customers.list(count=1).page()

    for _ in range(rounds):
        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(call, chance.uniform(0, 0.02) if number % 5 else 30)


async def check_the_pool(client, sandbox):
    """Make 40 calls at once: all succeed, and five are under way at once, so that no connection of the pool is lost."""
    results, arrived = [], 0
    once = client.with_options(retry=RetryPolicy(attempts=1))  # a second attempt would count as another request

    async def meet(request):
        nonlocal arrived
        if request.template == "/customers/{customer_id}":
            arrived += 1
            while arrived < 5:  # noqa: ASYNC110  (in the server's thread)
                await anyio.sleep(0.001)

    async def call():
        results.append((await once.customers.get(sandbox.customers.id_at(1))).customer_id)

    sandbox.on_request = meet
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(call)
    assert results == [sandbox.customers.id_at(1)] * 40


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_the_default_pool_survives_a_storm_of_cancellations(sandbox):
    """After rounds of 40 calls on five connections, 80 % of them cancelled, 40 of 40 calls succeed, on trio too."""
    async with (
        sandbox.serving() as url,
        CareCloud(url, auth=sandbox.credentials(), max_connections=5, rate_limit=None) as client,
    ):
        await storm(client, rounds=examples(100))
        await check_the_pool(client, sandbox)
        with anyio.fail_after(60):  # the server notices later that connections are closed
            while sandbox.connections.now > 5:  # noqa: ASYNC110  (another thread's count)
                await anyio.sleep(0.001)


async def test_the_users_own_timeouts_come_out_as_theirs():
    """`fail_after` raises TimeoutError of its own, `move_on_after` moves on; neither becomes an error of ours."""

    async def silent(stream, head):
        await anyio.sleep(30)

    async with serving(silent) as server, default(server.url) as client:
        await client.login()
        with pytest.raises(TimeoutError) as caught, anyio.fail_after(0.05):
            await client.ping()
        assert type(caught.value) is TimeoutError
        with anyio.move_on_after(0.05) as scope:
            await client.ping()
        assert scope.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncios_own_timeouts_and_cancel_work():
    """`asyncio.timeout`, `wait_for` and a bare `task.cancel()` end a call, and free the only connection of the pool."""
    silent_for = 30

    async def behave(stream, head):
        await anyio.sleep(silent_for)
        await stream.send(answer(b'{"data":{"customers":[],"total_items":7}}'))

    async with serving(behave) as server, default(server.url, max_connections=1) as client:
        await client.login()
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await client.ping()
        assert type(caught.value) is TimeoutError
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.ping(), 0.05)
        task = asyncio.create_task(client.ping())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        silent_for = 0
        with anyio.fail_after(60):
            assert await client.customers.list().total() == 7


async def test_a_prefetch_may_be_left_at_any_moment(sandbox):
    """By `break`, by a timeout around it, by a timeout on one record: pages come in order, and nothing hangs."""
    async with sandbox.serving() as url, default(url) as client:
        async with client.customers.list(count=10).prefetch(8) as records:
            async for _ in records:
                break
        sandbox.settings.latency = 0.05
        with anyio.move_on_after(0.08):
            async with client.customers.list(count=10).prefetch(8) as records:
                async for _ in records:
                    await anyio.sleep(0.01)
        ids = []
        async with client.customers.list(count=50).prefetch(3) as records:
            while len(ids) < 200:
                with anyio.move_on_after(0.02):
                    ids.append((await anext(records)).customer_id)
            with pytest.raises(StopAsyncIteration):
                await anext(records)
        assert ids == [sandbox.customers.id_at(index) for index in range(200)]
