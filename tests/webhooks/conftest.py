"""Fixtures of the tests of webhooks."""

from redis_servers import own_redis_server, redis_server  # noqa: F401  (fixtures)
