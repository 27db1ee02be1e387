"""Redis clients of a token store or a rate limit: one for each event loop, made on first use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
from attrs import frozen

from carecloud_async.errors import ConfigurationError, WrongEventLoopError

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")

#: The most requests at once of one event loop. redis-py raises an error when its pool of connections is used up (100
#: since its version 8, or what a user's own client allows): more requests wait for their turn instead.
MOST_AT_ONCE = 50
#: The replacements of these classes on trio.
_ON_TRIO = {
    "RedisTokenStore": "FileTokenStore or MemoryTokenStore",
    "RedisRepeats": "MemoryRepeats",
    "RedisRateLimit": "RateLimit.adaptive(), or RateLimit(requests_per_second=…) with each process's part",
}


@frozen
class PooledClient:
    """A client of redis-py, and the number of its requests at once.

    Attributes:
        redis: the client.
        limiter: held during each request.
    """

    redis: Redis
    limiter: anyio.CapacityLimiter

    @classmethod
    def of(cls, client: Redis) -> PooledClient:
        """Return the client with a limit on requests that its pool can serve."""
        most = getattr(client.connection_pool, "max_connections", MOST_AT_ONCE)
        return cls(client, anyio.CapacityLimiter(min(most, MOST_AT_ONCE)))


class RedisClients:
    """A client for each event loop; a connection is used in one loop only.

    Args:
        make: makes a client; called inside the loop that will use it.
        label: the server's name in messages; holds no password.
        owner: the class that a user knows, for messages.
        given: whether `make` returns the caller's own client: it works in one loop alone, and the caller closes it.
    """

    def __init__(self, *, make: Callable[[], Redis], label: str, owner: str, given: bool = False) -> None:
        self._make = make
        self._owner = owner
        self._given = given
        self.label = label
        self._clients: dict[asyncio.AbstractEventLoop, PooledClient] = {}

    def client(self) -> PooledClient:
        """Return the client of the running loop.

        Raises:
            ConfigurationError: no asyncio loop runs here.
            WrongEventLoopError: a given client was used in another loop before, to which its connections belong.
        """
        loop = running_loop(self._owner)
        client = self._clients.get(loop)
        if client is None:
            if self._given and self._clients:
                raise WrongEventLoopError(
                    f"the Redis client given to {self._owner} was used in another event loop: give the URL instead of "
                    f"a client, or make one {self._owner} for each loop"
                )
            for other in list(self._clients):
                if other.is_closed():
                    self._clients.pop(other, None)
            client = self._clients[loop] = PooledClient.of(self._make())
        return client

    async def aclose(self) -> None:
        """Close the connections of the running loop; those of other loops can only be closed there.

        Those of a given client stay open.
        """
        client = None if self._given else self._clients.pop(running_loop(self._owner), None)
        if client is not None:
            await client.redis.aclose()


def own_clients(url: str, *, timeout: float, owner: str) -> RedisClients:
    """Return the clients for `url`.

    Args:
        url: `redis://`, `rediss://` or `unix://`; options in its query win over ours.
        timeout: seconds for connecting and for each answer.
        owner: the class that a user knows, for messages.

    Raises:
        ConfigurationError: redis-py is not installed, or it cannot read the URL.
    """
    library = redis_library(owner)
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # A repeated SET … NX would find the lock held by the first attempt. Connections that the server closed while
        # idle are noticed when they are taken from the pool, so nothing is lost.
        "retry": library.asyncio.retry.Retry(library.backoff.NoBackoff(), 0),
    }

    def make() -> Redis:
        client: Redis = library.asyncio.Redis.from_url(url, **options)
        return client

    try:
        pool: Any = make().connection_pool
        pool.make_connection()  # connects to nothing, but checks every option
        label = _without_secrets(url)
    except (ValueError, TypeError):
        label = None
    # Raised outside the except block, since the parser's own error may hold a part of the password.
    if label is None:
        raise ConfigurationError(
            f"{owner} cannot read this URL: it looks like redis://:password@host:6379/0, rediss:// (TLS) or "
            "unix:///path/to/socket; / ? # @ in a password are written %2F %3F %23 %40"
        )
    return RedisClients(make=make, label=label, owner=owner)


def own_or_given(url_or_client: str | Redis, *, timeout: float, owner: str) -> RedisClients:
    """Return the clients for a URL, see `own_clients`; or the caller's own client as the only one."""
    if isinstance(url_or_client, str):
        return own_clients(url_or_client, timeout=timeout, owner=owner)
    return RedisClients(make=lambda: url_or_client, label="the given client", owner=owner, given=True)


async def ask(client: PooledClient, work: Callable[[Any], Awaitable[T]], *, timeout: float) -> T:
    """Run `work` with a client and a timeout, without losing a cancellation. Waits first if too many requests run.

    On Python 3.11 `asyncio.wait_for`, which redis-py uses, returns a response instead of a cancellation that arrives
    at the same moment.

    Raises:
        TimeoutError: the server did not answer in time.
        redis.RedisError: it cannot be reached, or refuses.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    async with client.limiter:
        with anyio.fail_after(timeout):
            answer = await work(client.redis)
    if task is not None and task.cancelling() > before:
        await anyio.lowlevel.checkpoint_if_cancelled()  # a scope repeats its own cancellation
        raise asyncio.CancelledError
    return answer


def redis_library(owner: str) -> Any:
    """Return the package `redis`, which this class needs.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import redis.asyncio.lock
        import redis.asyncio.retry
        import redis.backoff
    except ImportError as error:
        raise ConfigurationError(f"{owner} needs redis-py: pip install 'carecloud-async[redis]'") from error
    return redis


def running_loop(owner: str) -> asyncio.AbstractEventLoop:
    """Return the running asyncio loop, which this class needs.

    Raises:
        ConfigurationError: there is none: this is trio, or no async code at all.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            f"{owner} works on asyncio only, as redis-py does: on trio use {_ON_TRIO[owner]}"
        ) from None


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "unix" and "@" in parts.path + parts.query.partition("=")[0] + parts.fragment:
        raise ValueError("the password ends the host's part of the URL, and its rest would be shown")
    host = parts.netloc.rpartition("@")[2]
    masked = f"***@{host}" if "@" in parts.netloc else host
    return f"{parts.scheme}://{masked}{parts.path}"  # the query may hold a password too
