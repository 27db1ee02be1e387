"""A real Redis for the tests that need one."""

import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from child_processes import wait_until


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
        wait_until(self._answers)

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


def serve_redis():
    """Run a Redis until the fixture that yields from this ends."""
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
    """One Redis for all tests, which use different prefixes."""
    yield from serve_redis()


@pytest.fixture
def own_redis_server():
    """A Redis to kill or freeze."""
    yield from serve_redis()
