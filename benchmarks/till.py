"""`python -m benchmarks.till --minutes N`: two tills on the same customers, killed again and again; then the ledger.

Each till puts bills and points into an outbox of its own. The network goes away in stretches, answers are lost or come
late, and the tills get `kill -9` at any moment and are started again. At the end the ledger of the server is compared
with what `put` had stored: each bill and each operation on points once, in the order of each customer, and nothing
lost. `--backlog N` first measures `put` while N entries wait: no server is there, it hangs, and it answers. The exit
code is 1 if anything does not hold.

A `kill -9` keeps what the system has in memory. Power cuts, which do not, are played by `benchmarks.simulate`.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.machine import machine, versions

TILLS = ("one", "two")


class Server:
    """The server in its process."""

    process: asyncio.subprocess.Process
    port: int

    async def start(self, seed: int) -> None:
        """Start it."""
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "benchmarks.till_server", str(seed))
        self.process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        assert self.process.stdout is not None
        self.port = int(await self.process.stdout.readline())

    async def order(self, line: str) -> None:
        """Give it an order, and wait until that is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdout.readline()

    async def stop(self) -> None:
        """Stop it."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"stop\n")
        await self.process.wait()


class Till:
    """A till: its file, and what it has said.

    Args:
        name: its name.
        folder: where its file is.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.path = folder / f"{name}.db"
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
        self.stored: dict[str, str] = {}
        self.times: list[float] = []
        self.memory: list[float] = []
        self.said: list[dict[str, Any]] = []
        self.process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def start(self, port: int, *arguments: str) -> None:
        """Start its process."""
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "benchmarks.till_child", str(port), str(self.path), *arguments)
        self.process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=self.environment)

    async def listen(self) -> int:
        """Hear what it says to its end, and return its exit code."""
        assert self.process is not None
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if not line.endswith(b"\n"):
                break  # it was killed meanwhile
            what = json.loads(line)
            if "put" in what:
                self.stored[what["put"]] = what["customer"]
                self.times.append(what["ms"])
            else:
                self.said.append(what)
                if "rss" in what:
                    self.memory.append(what["rss"])
        return await self.process.wait()

    async def work(self, port: int, rate: float) -> None:
        """Sell, again after each kill, until the end."""
        while True:
            await self.start(port, self.name, str(rate))
            if await self.listen() == 0:
                return

    def tell(self) -> None:
        """Tell its process to stop selling, or to go on."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")

    def kill(self) -> None:
        """Kill its process."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            self.kills += 1


async def sell(folder: Path, *, minutes: float, kills: int, stretches: int, rate: float, seed: int) -> bool:
    """Let two tills sell, and compare."""
    dice, server, tills = Random(seed), Server(), [Till(name, folder) for name in TILLS]
    await server.start(seed)
    began, seconds = time.monotonic(), minutes * 60
    events = [(dice.uniform(2, seconds - 5), "kill") for _ in range(kills)]
    for number in range(stretches):
        at = (number + dice.uniform(0.1, 0.5)) * seconds / stretches
        events += [(at, "away"), (at + dice.uniform(0.1, 0.4) * seconds / stretches, "back")]
    async with asyncio.TaskGroup() as tasks:
        for till in tills:
            tasks.create_task(till.work(server.port, rate))
        for at, what in sorted(events):
            await asyncio.sleep(max(began + at - time.monotonic(), 0))
            if what == "kill":
                dice.choice(tills).kill()
            else:
                await server.order(what)
        await asyncio.sleep(max(began + seconds - time.monotonic(), 0))
        await server.order("calm")
        for till in tills:
            till.tell()
    await server.order(f"ledger {folder / 'ledger.json'}")
    await server.stop()
    ledger = json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
    return report(tills, ledger, began=began, stretches=stretches)


def report(tills: list[Till], ledger: list[list[str]], *, began: float, stretches: int) -> bool:
    """Print the account; return whether everything holds."""
    stored = {number: customer for till in tills for number, customer in till.stored.items()}
    done = Counter(number for _, number, _ in ledger)
    lost = [number for number in stored if not done[number]]
    doubled = [number for number, times in done.items() if times > 1]
    last: dict[tuple[str, str], int] = defaultdict(int)
    overtaken = []
    for _, number, customer in ledger:
        till, _, at = number.partition("-")
        if int(at) < last[till, customer]:
            overtaken.append(number)
        last[till, customer] = int(at)
    print(f"{machine()}; {versions()}")
    print(
        f"{time.monotonic() - began:,.0f} s, {sum(till.kills for till in tills)} kills, {stretches} stretches without "
        f"a network; put had stored {len(stored):,}, the server has {len(ledger):,}"
    )
    print(f"lost {len(lost)}, doubled {len(doubled)}, overtaken {len(overtaken)}")
    for till in tills:
        times = sorted(till.times)
        memory = f"{till.memory[0]:.0f} MB at first, {till.memory[-1]:.0f} at the end, {max(till.memory):.0f} at most"
        at_99 = times[len(times) * 99 // 100]
        print(f"{till.name}: put {statistics.median(times):.1f} ms, 99 % {at_99:.1f} ms; {memory}")
        print("  ", [entry for entry in till.said if "ends" in entry or "failures" in entry])
    ends = [entry["ends"] for till in tills for entry in till.said if "ends" in entry]
    return not lost and not doubled and not overtaken and ends == [True] * len(tills)


async def measure(folder: Path, *, backlog: int, puts: int) -> None:
    """Measure `put` while a backlog waits, with a server that is away, hangs, and answers."""
    server, till = Server(), Till("backlog", folder)
    await server.start(1)
    await server.order("calm")
    await server.order("away")
    await till.start(server.port, "backlog", str(backlog), str(puts))
    listening = asyncio.create_task(till.listen())
    told = 0
    while not listening.done():
        await asyncio.sleep(0.1)
        for order in [entry["wants"] for entry in till.said if "wants" in entry][told:]:
            told += 1
            await server.order(order)
            till.tell()
    await server.stop()
    for entry in till.said:
        print(entry)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--stretches", type=int, default=10)
    parser.add_argument("--rate", type=float, default=10.0, help="puts a second of each till")
    parser.add_argument("--backlog", type=int)
    parser.add_argument("--puts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="till-"))
    try:
        if given.backlog is not None:
            asyncio.run(measure(folder, backlog=given.backlog, puts=given.puts))
        if not given.minutes:
            return 0
        holds = asyncio.run(
            sell(
                folder, minutes=given.minutes, kills=given.kills, stretches=given.stretches, rate=given.rate,
                seed=given.seed,
            )
        )  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
