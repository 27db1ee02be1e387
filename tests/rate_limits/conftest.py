"""A real Redis for limits that processes share."""

from redis_servers import own_redis_server, redis_server  # noqa: F401  (fixtures)
