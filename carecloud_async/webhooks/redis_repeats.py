"""RedisRepeats: the deliveries that a webhook has handled, for all workers and hosts."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from carecloud_async._base.runtime.redis_connections import RedisClients, ask, own_or_given, redis_library
from carecloud_async._base.runtime.validators import require_number
from carecloud_async.webhooks.repeats import DAY, Claim

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["RedisRepeats"]

_NAME = "RedisRepeats"

#: Every key holds `done`, or the random name of the claim under which the delivery is being handled.
_DONE = "done"
#: KEYS[1] the key, ARGV[1] the claim's name, ARGV[2] the milliseconds that it lasts. A claim that is there already is
#: this one: the answer to its first attempt was lost.
_CLAIM = """
local state = redis.call('get', KEYS[1])
if state == 'done' then return 'done' end
if state and state ~= ARGV[1] then return 'under_way' end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 'new'
"""
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"


class RedisRepeats:
    """Remembers deliveries in Redis, for all workers of all hosts; asyncio only. Needs the extra `redis`.

    A claim lasts `lease_seconds` and is extended while the handler runs. The claim of a process that died, or one whose
    answer was lost, blocks its delivery for that time at most.

    Args:
        url_or_client: `redis://:password@host:6379/0`, `rediss://…`, `unix://…`, or a client of `redis.asyncio`.
        prefix: the beginning of the names of all keys; each webhook has one of its own.
        seconds: for how long a handled delivery is remembered.
        lease_seconds: after how many seconds a claim ends that is not extended.
        timeout: seconds after which a server that does not answer counts as away.

    Raises:
        ConfigurationError: redis-py is not installed, the URL cannot be read, a number is out of range, or this is
            trio.
        WrongEventLoopError: a given client is used in a second event loop.
    """

    def __init__(
        self,
        url_or_client: str | Redis,
        *,
        prefix: str,
        seconds: float = DAY,
        lease_seconds: float = 15.0,
        timeout: float = 5.0,
    ) -> None:
        for name, value in (("seconds", seconds), ("lease_seconds", lease_seconds), ("timeout", timeout)):
            require_number(f"{_NAME}: {name}", value)
        exceptions = redis_library(_NAME).exceptions
        self._unreached = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)
        self._clients: RedisClients = own_or_given(url_or_client, timeout=timeout, owner=_NAME)
        self._prefix = prefix
        self._remembered = int(seconds * 1000)
        self._lease = int(lease_seconds * 1000)
        self._timeout = timeout
        #: The names of the claims of this process, by key.
        self._claims: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<RedisRepeats: {self._clients.label}, prefix {self._prefix!r}>"

    @property
    def lease_seconds(self) -> float:
        """See `LeasedRepeatStore.lease_seconds`."""
        return self._lease / 1000

    async def claim(self, key: str) -> Claim:
        """See `RepeatStore.claim`."""
        name = secrets.token_hex(16)
        answer: str | bytes = await self._take(key, name)
        claim: Any = answer.decode() if isinstance(answer, bytes) else answer
        if claim == "new":
            self._claims[key] = name
        return claim  # type: ignore[no-any-return]

    async def extend(self, key: str) -> None:
        """See `LeasedRepeatStore.extend`; a claim that ended meanwhile is taken again."""
        await self._take(key, self._claims[key])

    async def finish(self, key: str) -> None:
        """See `RepeatStore.finish`."""
        self._claims.pop(key, None)
        await self._ask(lambda redis: redis.set(self._prefix + key, _DONE, px=self._remembered))

    async def release(self, key: str) -> None:
        """See `RepeatStore.release`."""
        name = self._claims.pop(key, "")
        await self._ask(lambda redis: redis.eval(_RELEASE, 1, self._prefix + key, name))

    async def aclose(self) -> None:
        """Close the connections that this store opened in the running event loop; what it remembers stays."""
        await self._clients.aclose()

    async def _take(self, key: str, name: str) -> Any:
        return await self._ask(lambda redis: redis.eval(_CLAIM, 1, self._prefix + key, name, self._lease))

    async def _ask(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        # Twice, because a repeat of any of these requests changes nothing, and a lost answer would cost a delivery.
        client = self._clients.client()
        try:
            return await ask(client, work, timeout=self._timeout)
        except self._unreached:
            return await ask(client, work, timeout=self._timeout)
