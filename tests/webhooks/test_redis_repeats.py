"""RedisRepeats on a real Redis: claims that end, answers that are lost, deliveries that are remembered."""

import hashlib
import re
import secrets

import anyio
import pytest
from clocks import Bell
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from carecloud_async import ConfigurationError
from carecloud_async.webhooks import (
    DeliveryRefusedError,
    DeliveryRepeatedError,
    RedisRepeats,
    WebhookReceiver,
    WebhookSettings,
)

BODY = b'{"event": "planted-event", "customer_id": "8ea6abc"}'
KEY = hashlib.sha256(b"planted-event").hexdigest()
pytestmark = pytest.mark.asyncio


@pytest.fixture
def prefix():
    return f"hook-{secrets.token_hex(4)}:"


class LosesAnswers(Redis):
    """A client whose requests arrive and whose next answers are lost."""

    lost = 0

    async def execute_command(self, *args, **options):
        answer = await super().execute_command(*args, **options)
        if self.lost and args[0] in {"EVAL", "SET"}:
            self.lost -= 1
            raise RedisConnectionError
        return answer


def receiver(store, **options):
    settings = {"secret": "a", "header": "X", "id_field": "event", "record_field": "customer_id"}
    return WebhookReceiver(WebhookSettings(**settings, repeats=store), **options)


def delivery(store, **options):
    return receiver(store, **options).delivery(headers={"X": "a"}, body=BODY)


async def test_workers_share_what_was_handled(redis_server, prefix):
    """Two stores on one Redis: under way for the other, done for the other, free after a failure; digests as keys."""
    stores = [RedisRepeats(redis_server.url, prefix=prefix) for _ in range(2)]
    with pytest.raises(ZeroDivisionError):
        async with delivery(stores[0]):
            raise ZeroDivisionError
    async with delivery(stores[0]):
        with pytest.raises(DeliveryRefusedError, match="under_way"):
            async with delivery(stores[1]):
                pass
    for store in stores:
        with pytest.raises(DeliveryRepeatedError):
            async with delivery(store):
                pass
    async with Redis.from_url(redis_server.url) as redis:
        (key,) = await redis.keys(f"{prefix}*")
        assert re.fullmatch(rb"hook-.*:[0-9a-f]{64}", key)
        assert 86_000 < await redis.ttl(key) <= 86_400
    for store in stores:
        await store.aclose()


async def test_a_claim_whose_answer_is_lost_is_this_ones(redis_server, prefix):
    """The claim is asked for again and found to be its own, so that the delivery is handled at once."""
    async with LosesAnswers.from_url(redis_server.url) as redis:
        redis.lost = 1
        store = RedisRepeats(redis, prefix=prefix)
        async with delivery(store):
            redis.lost = 1  # of what is remembered
        with pytest.raises(DeliveryRepeatedError):
            async with delivery(store):
                pass


async def test_a_lost_claim_blocks_its_delivery_for_the_lease(redis_server, prefix):
    """A claim that this process never learned of ends with its lease, as one of a process that died."""
    async with LosesAnswers.from_url(redis_server.url) as redis:
        redis.lost = 2
        store = RedisRepeats(redis, prefix=prefix, lease_seconds=0.5)
        with pytest.raises(DeliveryRefusedError, match="unavailable"):
            async with delivery(store):
                pass
        assert await redis.keys(f"{prefix}*")
        await until_free(store)
        async with delivery(store):
            pass


async def until_free(store):
    """Wait until the delivery can be claimed, and leave it unhandled."""
    with anyio.fail_after(60):
        while await store.claim(KEY) != "new":  # noqa: ASYNC110  (the lease ends in Redis)
            await anyio.sleep(0.05)
    await store.release(KEY)


async def test_a_handler_may_take_longer_than_a_lease(redis_server, prefix):
    """While the handler runs its claim is extended by a whole lease, and no other worker gets the delivery."""
    stores = [RedisRepeats(redis_server.url, prefix=prefix, lease_seconds=1000) for _ in range(2)]
    bell = Bell()
    async with Redis.from_url(redis_server.url) as redis, delivery(stores[0], clock=bell):
        (claim,) = await redis.keys(f"{prefix}*")
        for _ in range(3):
            await redis.pexpire(claim, 300_000)
            bell.ring()
            with anyio.fail_after(60):
                while await redis.pttl(claim) <= 300_000:
                    pass
        with pytest.raises(DeliveryRefusedError, match="under_way"):
            async with delivery(stores[1]):
                pass
    for store in stores:
        await store.aclose()


async def test_a_redis_that_is_away_is_answered_with_503(own_redis_server):
    """Without Redis no delivery reaches a handler; when it is back, the next attempt does."""
    store = RedisRepeats(own_redis_server.url, prefix="hook:", timeout=1)
    own_redis_server.kill()
    with pytest.raises(DeliveryRefusedError) as caught:
        async with delivery(store):
            raise AssertionError
    assert caught.value.problem.status == 503
    own_redis_server.start()
    async with delivery(store):
        pass
    await store.aclose()


@pytest.mark.parametrize("number", ["seconds", "lease_seconds", "timeout"])
async def test_numbers_that_cannot_work(number):
    """A number that is out of range is a `ConfigurationError` that names it."""
    with pytest.raises(ConfigurationError, match=f"RedisRepeats: {number}"):
        RedisRepeats("redis://localhost/0", prefix="hook:", **{number: 0})


async def test_repr_of_redis_repeats_holds_no_password():
    """The repr shows the server and the prefix, and no password."""
    store = RedisRepeats("redis://:planted@localhost/0", prefix="hook:")
    assert repr(store) == "<RedisRepeats: redis://***@localhost/0, prefix 'hook:'>"
