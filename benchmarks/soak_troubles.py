"""The troubles of `benchmarks.soak`: faults of the server, of Redis and of the clocks while the services work."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.soak_server import ask

__all__ = ["Redis", "Troubles"]

#: Faults of the sandbox: the requests they apply to, and how those go wrong.
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("*", {"status": 500, "times": 2}),
    ("*", {"status": 503, "retry_after": 1, "times": 3}),
    ("*", {"status": 429, "retry_after": 1, "times": 2}),
    ("*", {"status": 429, "times": 2}),
    ("*", {"cut": True, "times": 3}),
    ("*", {"delay": 1.5, "times": 5}),
    ("GET /customers", {"garbage": True, "times": 2}),
    ("GET /customers", {"html": True, "times": 1}),
    ("GET /customers", {"cut": "half", "times": 2}),
    ("GET /customers", {"status": 502, "times": 4}),
    ("POST /customers", {"cut": "after", "times": 2}),
    ("POST /customers", {"status": 500, "worked": True, "times": 2}),
    ("POST /customers", {"cut": True, "times": 2}),
    ("POST /tasks/{task_id}/task-comments", {"cut": "after", "times": 1}),
    ("POST /tasks/{task_id}/task-comments", {"status": 503, "worked": True, "times": 1}),
    ("POST /tasks/{task_id}/task-comments", {"cut": "half", "times": 1}),
    ("PUT /customers/{customer_id}", {"cut": "after", "times": 2}),
    ("PUT /customers/{customer_id}", {"status": 503, "times": 2}),
    ("PUT /customers/{customer_id}", {"status": 500, "worked": True, "times": 1}),
    ("POST /users/actions/login", {"status": 503, "times": 2}),
    ("POST /users/actions/login", {"cut": "half", "times": 1}),
    ("POST /tokens", {"cut": "after", "times": 2}),
    ("POST /tokens/{token_id}/actions/login", {"cut": "half", "times": 2}),
    ("POST /tokens/{token_id}/actions/logout", {"cut": "after", "times": 2}),
)


class Redis:
    """A redis-server of its own on a unix socket, with nothing on disk.

    Args:
        folder: where its socket is; the path must be short.
    """

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        self.url: str = f"unix://{self._socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; clients may have to wait for it."""
        options = ["--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            ["redis-server", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        """End it at once, with everything that it holds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._socket.unlink(missing_ok=True)

    async def restart(self, seconds: float) -> None:
        """Be away for some seconds and come back empty."""
        self.kill()
        await asyncio.sleep(seconds)
        self.start()

    async def freeze(self, seconds: float) -> None:
        """Answer nothing for some seconds."""
        assert self._process is not None
        self._process.send_signal(19)  # SIGSTOP
        await asyncio.sleep(seconds)
        self._process.send_signal(18)  # SIGCONT


Step = Callable[[int, float], Awaitable[None]]


class Troubles:
    """Deals troubles, each kind once before any comes again.

    Args:
        random: what comes when, and how.
        control: path of the socket for orders to the server.
        redis: the Redis.
        services: how many services there are.
        step: sets a service's clock, by the service's number and the seconds it is wrong.
        kept: number of customers at the front that nothing but the services changes.
    """

    def __init__(self, *, random: Random, control: str, redis: Redis, services: int, step: Step, kept: int) -> None:
        self._random = random
        self._control = control
        self._redis = redis
        self._services = services
        self._step = step
        self._kept = kept
        self._server_clock = 0.0
        self._dealt = self._deal()
        self.names: list[str] = []

    async def next(self) -> None:
        """Let the next trouble come, and wait until it is over."""
        name, trouble = next(self._dealt)
        self.names.append(name)
        await trouble()
        await ask(self._control, "churn", number=2, kept=self._kept)

    def _deal(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        while True:
            deck = [*self._faults(), *self._failures()]
            self._random.shuffle(deck)
            yield from deck

    def _faults(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        for pattern, how in FAULTS:

            async def order(pattern: str = pattern, how: dict[str, Any] = how) -> None:
                await ask(self._control, "fault", pattern=pattern, **how, after=self._random.randrange(4))

            yield "faults", order

    def _failures(self) -> Sequence[tuple[str, Callable[[], Awaitable[None]]]]:
        draw = self._random
        return (
            ("server restarts", lambda: ask(self._control, "restart", seconds=draw.uniform(0.2, 4))),
            ("server restarts", lambda: ask(self._control, "restart", seconds=draw.uniform(0.0, 0.5))),
            ("Redis restarts", lambda: self._redis.restart(draw.uniform(0.0, 4))),
            ("Redis freezes", lambda: self._redis.freeze(draw.uniform(0.5, 8))),
            ("revocations", lambda: ask(self._control, "revoke", which="all")),
            ("revocations", lambda: ask(self._control, "revoke", which="users")),
            ("revocations", lambda: ask(self._control, "revoke", which="devices")),
            *(("clock steps", lambda number=number: self._step_clock(number)) for number in range(self._services)),
            ("server clock steps", self._step_server),
        )

    async def _step_clock(self, number: int) -> None:
        await self._step(number, self._random.choice((0.0, self._random.uniform(-7200, 7200))))

    async def _step_server(self) -> None:
        there = self._random.choice((0.0, self._random.uniform(-600, 600)))
        await ask(self._control, "advance", seconds=there - self._server_clock)
        self._server_clock = there
