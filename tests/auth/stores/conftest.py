"""What the tests of the stores share: a clock to set, child processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from child_processes import children
from clocks import FakeClock
from redis_servers import own_redis_server, redis_server  # noqa: F401  (fixtures)

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.fixture
def clock():
    """A clock to set."""
    return FakeClock()


@pytest.fixture
def child():
    """Start `child.py` with arguments; what still runs at the end is killed."""
    with children(HERE / "child.py", cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}) as start:
        yield start
