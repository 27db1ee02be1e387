"""`python -m benchmarks.soak --hours N`: hours of a service in two processes, under troubles; then the accounts.

Each process has an enterprise client and a portal on one Redis, which holds their tokens and their rate limit. They
read, write, export, write in bulk and follow changes, while the sandbox (a process of its own) fails, restarts, revokes
tokens and loses Redis, and clocks jump. Each process keeps a ledger. At the end the ledgers are compared with the
server, and what the processes hold with what they held before. The exit code is 1 if anything was lost, doubled,
wrongly reported or leaked.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.machine import machine, versions
from benchmarks.soak_jobs import OWN_CUSTOMERS, PORTAL_CUSTOMERS
from benchmarks.soak_ledger import compare, entries
from benchmarks.soak_report import Account, text
from benchmarks.soak_server import LONGEST, ask
from benchmarks.soak_troubles import Redis, Troubles

SERVICES = 2
CUSTOMERS = 3000
#: Measurements of a run, and the shortest time between two, in seconds.
MEASUREMENTS, SHORTEST = 32, 20.0
#: Longest time that the services may take to end, in seconds.
ENDING = 1200.0


class Soak:
    """One run.

    Args:
        seconds: how long the services work.
        seed: seed of everything that is drawn.
        folder: where ledgers and files are; the path must be short enough for sockets.
        rate: requests a second that the server takes.
        pause: seconds from one trouble to the next, in the middle.
    """

    def __init__(self, *, seconds: float, seed: int, folder: Path, rate: float, pause: float) -> None:
        self._seconds = seconds
        self._seed = seed
        self._folder = folder
        self._rate = rate
        self._pause = pause
        self._control = str(folder / "control.sock")
        self._redis = Redis(folder)
        self._services: list[asyncio.subprocess.Process] = []
        self._problems: list[str] = []

    async def run(self) -> Account:
        """Run it all, and return the account."""
        began = time.monotonic()
        self._redis.start()
        server = await self._start(
            "soak_server",
            self._server_settings(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # it logs every request that a restart cuts off
        )
        try:
            assert server.stdout is not None
            url = (await server.stdout.readline()).decode().strip()
            for number in range(SERVICES):
                self._services.append(await self._start("soak_service", self._service_settings(number, url)))
            troubles = self._troubles()
            await self._work(troubles)
            await ask(self._control, "calm")
            await self._end_services()
            held = await ask(self._control, "dump")
            await ask(self._control, "stop")
            await asyncio.wait_for(server.wait(), ENDING)
        finally:
            for process in (*self._services, server):
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            self._redis.kill()
        return self._account(held, troubles, time.monotonic() - began)

    async def _start(self, module: str, settings: dict[str, Any], **pipes: Any) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", f"benchmarks.{module}", json.dumps(settings)]
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, limit=LONGEST, cwd=Path(__file__).parents[1], **pipes
        )

    def _server_settings(self) -> dict[str, Any]:
        return {
            "control": self._control,
            "customers": CUSTOMERS,
            "seed": self._seed,
            "token_lifetime": 240.0,
            "rate_limit": self._rate,
        }

    def _service_settings(self, number: int, url: str) -> dict[str, Any]:
        folder = self._folder / f"service-{number}"
        folder.mkdir()
        return {
            "name": f"soak{number}",
            "number": number,
            "url": url,
            "redis": self._redis.url,
            "control": self._control,
            "folder": str(folder),
            "customers": CUSTOMERS,
            "server_seed": self._seed,
            "seed": self._seed * SERVICES + number,
            "long_pause": min(20.0, self._seconds / 10),
        }

    def _troubles(self) -> Troubles:
        return Troubles(
            random=Random(self._seed),
            control=self._control,
            redis=self._redis,
            services=SERVICES,
            step=lambda number, seconds: self._order(number, step=seconds),
            kept=PORTAL_CUSTOMERS.stop + SERVICES * OWN_CUSTOMERS,
        )

    async def _work(self, troubles: Troubles) -> None:
        draw, end = Random(self._seed + 1), time.monotonic() + self._seconds
        every = max(SHORTEST, self._seconds / MEASUREMENTS)
        measured = time.monotonic()
        while (now := time.monotonic()) < end and not self._problems:
            if now - measured > every:
                measured = now
                for number in range(SERVICES):
                    await self._order(number, quiet=True)
            await troubles.next()
            await asyncio.sleep(min(draw.uniform(0.4, 1.6) * self._pause, max(0.0, end - time.monotonic())))
            self._problems += [
                f"service {number} ended with {service.returncode}"
                for number, service in enumerate(self._services)
                if service.returncode is not None
            ]

    async def _order(self, number: int, **order: Any) -> None:
        pipe = self._services[number].stdin
        assert pipe is not None
        try:
            pipe.write(json.dumps(order).encode() + b"\n")
            await pipe.drain()
        except ConnectionError:
            return  # it died; `_work` says so

    async def _end_services(self) -> None:
        for number, service in enumerate(self._services):
            assert service.stdin is not None
            service.stdin.close()
            try:
                code = await asyncio.wait_for(service.wait(), ENDING)
            except TimeoutError:
                self._problems.append(f"service {number} does not end")
            else:
                self._problems += [f"service {number} ended with {code}"] if code else []

    def _account(self, held: dict[str, Any], troubles: Troubles, seconds: float) -> Account:
        folders = [self._folder / f"service-{number}" for number in range(SERVICES)]
        findings = compare(entries(folder / "ledger.jsonl" for folder in folders), held)
        findings.wrong += self._problems
        samples = [path for folder in folders if (path := folder / "samples.json").exists()]
        return Account(
            seconds=seconds,
            seed=self._seed,
            where=f"{machine()}; {versions()}",
            findings=findings,
            server=held,
            troubles=troubles.names,
            samples=[json.loads(path.read_text(encoding="utf-8")) for path in samples],
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="how long; parts of an hour too (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of troubles and choices (default 1)")
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second the server takes (default 60)")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds between troubles, in the middle (default 5)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the ledgers, and print its name")
    options = parser.parse_args(arguments)
    if shutil.which("redis-server") is None:
        parser.error("it needs a redis-server")
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    soak = Soak(seconds=options.hours * 3600, seed=options.seed, folder=folder, rate=options.rate, pause=options.pause)
    try:
        account = asyncio.run(soak.run())
    finally:
        if options.keep:
            print(folder, file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(text(account))
    return 0 if account.good else 1


if __name__ == "__main__":
    sys.exit(main())
