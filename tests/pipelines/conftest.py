"""Fixtures of the tests of pipelines: a Redis."""

from redis_servers import redis_server  # noqa: F401  (a fixture)
