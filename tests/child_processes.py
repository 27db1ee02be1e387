"""Child processes of tests."""

import random
import socket
import subprocess
import sys
import time
from contextlib import contextmanager


def listens(port):
    """Whether a server of this machine listens on a port."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    """A port for a server that starts later. No other test gets it: those that ask the system get higher ones."""
    while True:
        port = random.SystemRandom().randint(20_000, 32_000)
        if not listens(port):
            return port


def wait_until(condition, seconds=60):
    """Wait until something has happened."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.01)


@contextmanager
def children(script, **options):
    """Give a function that starts a script of Python with arguments; what still runs at the end is killed."""
    started = []

    def start(*arguments):
        command = [sys.executable, str(script), *map(str, arguments)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.communicate()
