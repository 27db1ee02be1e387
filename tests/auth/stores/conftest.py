"""What the tests of the stores share: a clock to set, a real Redis, child processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio.lowlevel
import pytest

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


class RedisServer:
    """A redis-server of its own on a unix socket, with nothing on disk."""

    def __init__(self, folder):
        self.socket = f"{folder}/redis.sock"
        self.url = f"unix://{self.socket}"
        self._process = None
        self.start()

    def start(self):
        command = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, seconds=10)

    def kill(self):
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait()
        Path(self.socket).unlink(missing_ok=True)

    def freeze(self):
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def _answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(self.socket)
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def wait_until(condition, *, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.01)


def _redis_server():
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    # Not pytest's tmp_path: a socket's path must be short.
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(folder)
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def redis_server():
    """A Redis for everyone; tests keep apart by prefix."""
    yield from _redis_server()


@pytest.fixture
def own_redis_server():
    """A Redis to kill or freeze."""
    yield from _redis_server()


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
