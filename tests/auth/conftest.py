"""A Redis of their own for the tests of tokens."""

import pytest
from redis_servers import serve_redis


@pytest.fixture(scope="module")
def redis_url():
    """The URL of a redis-server with nothing on disk."""
    for server in serve_redis():
        yield server.url
