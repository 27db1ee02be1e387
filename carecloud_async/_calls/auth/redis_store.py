"""The token store of many hosts: a Redis server counts the records' time to live and holds the locks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from carecloud_async._base.runtime.clock import Clock, SystemClock
from carecloud_async._base.runtime.event_loops import await_uninterrupted
from carecloud_async._base.runtime.redis_connections import RedisClients, ask, own_or_given, redis_library
from carecloud_async._base.runtime.secret_text import SecretBytes, SecretText, secret_text
from carecloud_async._calls.auth.stores import StoredToken, TokenStore, backoff_delays, from_record, to_record
from carecloud_async.errors import TokenStoreError

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["RedisTokenStore"]

T = TypeVar("T")

_log = logging.getLogger("carecloud_async.auth")

#: How long a caller waits for the server to take a lock back (seconds); otherwise the lock ends by itself.
_RELEASE_SECONDS = 1.0

_NAME = "RedisTokenStore"

#: Deletes a value if it is the one of ARGV[1], and renews its time to live (milliseconds).
_DELETE_IF_SAME = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
_EXTEND_IF_SAME = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"
)

#: The longest lifetime (30 years): Redis refuses larger numbers that overflow.
_LONGEST_LIFETIME = 1e9


class RedisTokenStore(TokenStore):
    """Keeps tokens in Redis, for all processes of all hosts; asyncio only. Needs the extra `redis`.

    The server counts each record's time to live, so the hosts' clocks do not matter. A store made from a URL may be
    used in several event loops, each with its own connections; `aclose` closes those of the loop it is called in. A
    given client still belongs to the caller, and is bound to the first loop that uses it.

    Args:
        url_or_client: `redis://:password@host:6379/0`, `rediss://…`, `unix://…`, or a client of `redis.asyncio`.
        prefix: the beginning of the names of all keys.
        clock: slept on while another holds a lock, and between two extensions of a lock held.
        jitter: numbers in [0, 1) that scatter the attempts at a lock.
        timeout: seconds after which a server that does not answer is a `TokenStoreError`.
        lock_life: seconds after which the lock of a holder that died is free; a living one extends it.

    Raises:
        ConfigurationError: redis-py is not installed, the URL cannot be read, or it is used on trio.
        WrongEventLoopError: a given client is used in a second event loop.
    """

    shared: bool = True

    def __init__(
        self,
        url_or_client: str | Redis,
        *,
        prefix: str = "carecloud:",
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
        timeout: float = 5.0,
        lock_life: float = 10.0,
    ) -> None:
        self._prefix = prefix
        self._clock: Clock = SystemClock() if clock is None else clock
        self._jitter = jitter
        self._timeout = timeout
        self._lock_life = lock_life
        exceptions = redis_library(_NAME).exceptions
        self._failures = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
        self._unreached = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)
        self._clients: RedisClients = own_or_given(url_or_client, timeout=timeout, owner=_NAME)

    def __repr__(self) -> str:
        return f"<RedisTokenStore: {self._clients.label}, prefix {self._prefix!r}>"

    async def load(self, key: str) -> StoredToken | None:
        """See `TokenStore.load`."""
        name = self._prefix + key
        asked = self._clock.monotonic()
        raw, milliseconds = await self._ask(
            lambda client: client.pipeline(transaction=True).get(name).pttl(name).execute()
        )
        if raw is None:
            return None
        raw = _concealed(raw)
        token = from_record(_parse(raw))
        if token is None:
            _log.warning("a record in Redis (%s) cannot be read: going on without it", self._clients.label)
            return None
        if milliseconds == -1:  # no end
            return token
        # The response may have been delayed: subtract the whole time since the request.
        left = milliseconds / 1000 - (self._clock.monotonic() - asked)
        return token.with_seconds_left(left) if left > 0 else None

    async def save(self, key: str, token: StoredToken) -> None:
        """See `TokenStore.save`."""
        name = self._prefix + key
        seconds = token.seconds_to_live
        milliseconds = None if seconds is None else _milliseconds(seconds)
        if milliseconds == 0:
            await self._ask(lambda client: client.delete(name))
            return
        raw = SecretText(json.dumps(to_record(token), separators=(",", ":")))
        await self._ask(lambda client: client.set(name, raw, px=milliseconds))

    async def discard(self, key: str, value: str) -> None:
        """See `TokenStore.discard`."""
        value = secret_text(value)  # it must not be in a frame if the store fails
        name = self._prefix + key
        raw = await self._ask(lambda client: client.get(name))
        if raw is None:
            return
        raw = _concealed(raw)
        token = from_record(_parse(raw))
        if token is not None and token.value == value:
            await self._ask(lambda client: client.eval(_DELETE_IF_SAME, 1, name, raw))

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        """See `TokenStore.lock`. It is extended every third of its life by a task that runs while it is held.

        That task is a plain asyncio task: a task group would wrap the body's exceptions, and cancel the body when the
        lock is lost. A lost lock is a warning, since the work under it may still succeed.
        """
        self._clients.client()  # refuses trio and another event loop
        name, life = f"{self._prefix}{key}:lock", _milliseconds(self._lock_life)
        owner = secrets.token_hex(16)
        try:
            for wait in backoff_delays(first=0.01, longest=0.1, jitter=self._jitter):
                if await self._ask(lambda client: client.set(name, owner, nx=True, px=life)):
                    break
                await self._clock.sleep(wait)
        except BaseException:
            # Cancelled or timed out: the server may have granted the lock nevertheless.
            await await_uninterrupted(partial(self._release, name, owner, is_held=False), seconds=_RELEASE_SECONDS)
            raise
        extender = asyncio.create_task(self._extend(name, owner))
        try:
            yield
        finally:
            extender.cancel()
            await await_uninterrupted(partial(self._release, name, owner, is_held=True), seconds=_RELEASE_SECONDS)

    async def _extend(self, name: str, owner: str) -> None:
        """Extend a lock until it is lost."""
        life = _milliseconds(self._lock_life)
        is_ours = True
        while is_ours:
            await self._clock.sleep(self._lock_life / 3)
            with contextlib.suppress(TokenStoreError):  # the next attempt may succeed, or find the lock lost
                is_ours = bool(await self._ask(lambda client: client.eval(_EXTEND_IF_SAME, 1, name, owner, life)))

    async def _release(self, name: str, owner: str, *, is_held: bool) -> None:
        try:
            was_ours = await self._ask(lambda client: client.eval(_DELETE_IF_SAME, 1, name, owner))
        except TokenStoreError as error:
            _log.warning("a lock could not be given back and ends by itself within %g s: %s", self._lock_life, error)
            return
        if is_held and not was_ours:
            _log.warning(
                "a lock on a token was lost while held (%g s without contact): another may have logged in too",
                self._lock_life,
            )

    async def aclose(self) -> None:
        """Close the connections that this store opened in the running event loop; the records stay."""
        await self._clients.aclose()

    async def _ask(self, work: Callable[[Any], Awaitable[T]]) -> T:
        client = self._clients.client()
        try:
            return await ask(client, work, timeout=self._timeout)
        except self._failures as error:
            problem = self._describe(error).removesuffix(".")
        # Raised here, without a cause: Redis and redis-py quote refused commands, which contain the token.
        raise TokenStoreError(
            f"Redis ({self._clients.label}) cannot be used: {problem}. Start it, or correct what the store was given."
        )

    def _describe(self, error: BaseException) -> str:
        if type(error) is TimeoutError:
            return f"no response within {self._timeout:g} s"
        if isinstance(error, self._unreached):
            return f"{type(error).__name__}: {error}"
        # Redis's errors begin with a code; in a transaction redis-py puts the whole command before it.
        code = str(error).rpartition(" caused error: ")[2].lstrip("('\"").partition(" ")[0]
        return f"{type(error).__name__} {code}" if code.isalpha() and code.isupper() else type(error).__name__


def _milliseconds(seconds: float) -> int:
    return int(min(seconds, _LONGEST_LIFETIME) * 1000)


def _concealed(raw: str | bytes) -> str | bytes:
    """Return a record as text that prints as stars: its token must not be in a frame if the next request fails."""
    return SecretText(raw) if isinstance(raw, str) else SecretBytes(raw)


def _parse(raw: str | bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
