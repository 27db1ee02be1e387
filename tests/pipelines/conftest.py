"""What the tests of pipelines share: a Redis."""

from redis_servers import redis_server  # noqa: F401  (a fixture)
