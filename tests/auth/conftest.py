"""A Redis of their own for the tests of tokens."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def redis_url():
    """The URL of a redis-server with nothing on disk."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with tempfile.TemporaryDirectory() as folder:  # a socket's path must be short
        path = f"{folder}/redis.sock"
        command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not Path(path).exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield f"unix://{path}"
        server.kill()
        server.wait()
