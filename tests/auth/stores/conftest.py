"""What the tests of the stores share: a clock to set, a Redis."""

from __future__ import annotations

import pytest
from clocks import FakeClock
from redis_servers import own_redis_server, redis_server  # noqa: F401  (fixtures)


@pytest.fixture
def clock():
    """A clock to set."""
    return FakeClock()
