"""How fast the loopback server is by itself, asked by a bare socket: what no client can beat, and none should near.

Eight requests are on their way at a time, as with eight pages in flight. Asking for everything once before also
renders every answer, so that no contestant pays for that.
"""

import socket
import time
from collections.abc import Sequence
from typing import IO

from benchmarks.records import BASE_PATH, customer_id

AT_ONCE = 8
_REQUEST = "GET {base}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def page_paths(records: int, count: int) -> list[str]:
    """Return the path of every page."""
    return [f"/customers?count={count}&offset={offset}" for offset in range(0, records, count)]


def call_paths(calls: int) -> list[str]:
    """Return the paths of small calls."""
    return [f"/customers/{customer_id(index % 100)}" for index in range(calls)]


def answers_per_second(port: int, paths: Sequence[str]) -> float:
    """Ask for all paths twice and time the second time."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        answers = connection.makefile("rb", buffering=1 << 20)
        _ask(connection, answers, paths)
        started = time.perf_counter()
        _ask(connection, answers, paths)
        return len(paths) / (time.perf_counter() - started)


def _ask(connection: socket.socket, answers: IO[bytes], paths: Sequence[str]) -> None:
    for start in range(0, len(paths), AT_ONCE):
        batch = paths[start : start + AT_ONCE]
        connection.sendall("".join(_REQUEST.format(base=BASE_PATH, path=path) for path in batch).encode())
        for _ in batch:
            _skip(answers)


def _skip(answers: IO[bytes]) -> None:
    length = 0
    while (line := answers.readline()) != b"\r\n":
        if line.startswith(b"Content-Length:"):
            length = int(line.partition(b":")[2])
    answers.read(length)
