"""The process that does one task and measures it: `python -m benchmarks.child PORT TASK`.

A fresh interpreter each time: it imports its peer, connects, logs in and makes a warm-up request, all unmeasured.
Then it takes the time of the work alone, and last the peak memory of the process. One line of JSON tells the outcome.
"""

import asyncio
import json
import resource
import sys
import time
from dataclasses import asdict

from benchmarks.neighbour import beside, percentile_ms
from benchmarks.peers import Peer, peer_class
from benchmarks.records import BASE_PATH
from benchmarks.task import Failed, Measured, Outcome, Task


async def _run(port: int, task: Task) -> Measured:
    async with peer_class(task.peer)(f"http://127.0.0.1:{port}", BASE_PATH) as peer:
        await peer.warm_up(task)
        return await _measure(peer, task)


async def _measure(peer: Peer, task: Task) -> Measured:
    work = getattr(peer, task.kind)
    cpu, started = time.process_time(), time.perf_counter()
    done, delays = await beside(work(task)) if task.neighbour else (await work(task), None)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    if done != task.done:
        raise ValueError(f"{done} of {task.done}")
    return Measured(
        seconds=seconds,
        cpu=cpu,
        done=done,
        peak_mb=_peak_mb(),
        delay_ms=None if delays is None else percentile_ms(delays, 50),
        delay_p99_ms=None if delays is None else percentile_ms(delays, 99),
    )


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _main() -> None:
    port, task = int(sys.argv[1]), Task.from_json(sys.argv[2])
    outcome: Outcome
    try:
        outcome = asyncio.run(_run(port, task))
    except Exception as error:  # noqa: BLE001  (what a peer fails on is a result, shown in the table)
        outcome = Failed(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:120])
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    _main()
