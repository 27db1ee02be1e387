"""What the tests of the stores share: a clock to set, child processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio.lowlevel
import pytest
from redis_servers import own_redis_server, redis_server  # noqa: F401  (fixtures)

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


class FakeClock:
    """Two clocks that move when told; sleeping moves both."""

    def __init__(self, *, monotonic=1000.0, wall=1_800_000_000.0):
        self.now = monotonic
        self.wall = wall

    def monotonic(self):
        return self.now

    def time(self):
        return self.wall

    async def sleep(self, seconds):
        self.advance(seconds)
        await anyio.lowlevel.checkpoint()

    def advance(self, seconds):
        self.now += seconds
        self.wall += seconds


@pytest.fixture(scope="session")
def fake_clock():
    """The class of clocks to set, for tests that need many."""
    return FakeClock


@pytest.fixture
def clock():
    """A clock to set."""
    return FakeClock()


@pytest.fixture
def child():
    """Start `child.py` with arguments; what still runs at the end is killed."""
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, str(HERE / "child.py"), *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
