"""`RedisRateLimit`: one rate limit and one pause for all processes and hosts that name the same Redis and project."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import optional

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.redis_connections import own_clients
from carecloud_async._base.runtime.validators import number
from carecloud_async._calls.rate_limits.shared_pace import NAME, TIMEOUT_SECONDS, SharedPace

__all__ = ["RedisRateLimit"]


@frozen
class RedisRateLimit:
    """A rate limit that processes share through Redis; asyncio only. Needs the extra `redis`.

    All clients that name the same Redis, prefix and project share one rate and one pause after a 429. The rate is found
    by all of them together unless it is configured. While Redis is away there is one warning, and each process goes on
    with its part.

    Attributes:
        url: `redis://:password@host:6379/0`, `rediss://…` or `unix://…`.
        requests_per_second: the most calls that leave per second, of all processes together; the server's own limit is
            searched for if left out.
        prefix: what the names of all keys begin with.

    Raises:
        ConfigurationError: redis-py is not installed, the URL cannot be read, or it is used on trio.
    """

    url: str = field(repr=False)
    requests_per_second: float | None = field(default=None, kw_only=True, validator=optional(number()))
    prefix: str = field(default="carecloud:", kw_only=True)

    def __attrs_post_init__(self) -> None:
        own_clients(self.url, timeout=TIMEOUT_SECONDS, owner=NAME)

    def pace(self, clock: Clock) -> SharedPace:
        """See `RateLimitPolicy.pace`."""
        return SharedPace(self.url, prefix=self.prefix, configured=self.requests_per_second, clock=clock)
