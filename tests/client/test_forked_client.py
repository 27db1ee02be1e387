"""A client that was made before a fork and not used yet works in each child, as a client of its own."""

import asyncio

import pytest
from forked_processes import forks, in_fork
from kit import connect
from redis_servers import redis_server  # noqa: F401  (a fixture)

from carecloud_async import RedisRateLimit
from carecloud_async.sandbox import Sandbox


def open_client(**options):
    sandbox = Sandbox(customers=3, seed=1)
    return connect(sandbox, timezone=sandbox.clock.zone, **options)


@forks
def test_calls_of_forked_workers_have_ids_of_their_own():
    """The correlation ids of two workers differ, so that a line of the log belongs to one call."""
    ids = []
    client = open_client(on_call=lambda call: ids.append(call.correlation_id))

    def work():
        asyncio.run(client.ping())
        return " ".join(ids)

    answers = [in_fork(work) for _ in range(3)]
    assert all(answers)
    assert len(set(" ".join(answers).split())) == len(" ".join(answers).split())


@forks
def test_forked_workers_are_counted_each(redis_server, request):  # noqa: F811
    """Each worker is a member of the shared rate limit: without Redis each goes on with its part of the rate."""
    prefix = f"{request.node.name}:"
    client = open_client(rate_limit=RedisRateLimit(redis_server.url, prefix=prefix, requests_per_second=50))

    async def members():
        redis = pytest.importorskip("redis.asyncio").Redis.from_url(redis_server.url)
        async with redis:
            (key,) = [key async for key in redis.scan_iter(f"*{prefix}*members")]
            return await redis.zcard(key)

    def work():
        asyncio.run(client.ping())
        return "served"

    assert [in_fork(work) for _ in range(3)] == ["served"] * 3
    assert asyncio.run(members()) == 3
