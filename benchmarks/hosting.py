"""Starts and stops the loopback server, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Host:
    """What a server serves.

    Attributes:
        records: how many customers.
        untidy: whether every tenth of them is untidy.
        latency: how long a GET is kept waiting, in seconds.
    """

    records: int
    untidy: bool = False
    latency: float = 0.0


@contextmanager
def serving(host: Host) -> Iterator[int]:
    """Run a server; the value is its port on 127.0.0.1."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.server",
        "--records",
        str(host.records),
        "--latency",
        str(host.latency),
    ]
    if host.untidy:
        command.append("--untidy")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.communicate()
