"""Run as a process of its own: exports that end by `Task.cancel()`, or by Ctrl-C, after ever more steps or time."""

import asyncio
import gc
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from lists import numbered

IDS = [f"{number:08x}" for number in range(3000)]


def read_slowly(pipe):
    """Read what comes, slower than it is written: the writer waits, and is stopped when it is cancelled."""
    with pipe.open("rb") as file:
        while file.read(8192):
            time.sleep(0.001)


async def export(client, kind, folder):
    """Export one list; the kinds are the ways that need threads."""
    listing = client.customers.list(count=500)
    if kind == "arrow":
        async with listing.arrow(concurrency=2) as batches:
            async for _ in batches:
                pass
        return
    if kind.startswith("pipe"):
        pipe = folder / f"out{kind.removeprefix('pipe')}"
        if not pipe.exists():
            os.mkfifo(pipe)
        threading.Thread(target=read_slowly, args=[pipe], daemon=True).start()
        await listing.export(pipe, concurrency=2)
        return
    more = {"changed_since": "2000-01-01T00:00:00"} if kind == "changed" else {}
    suffix = {"csv": ".csv", "parquet": ".parquet", "gz": ".jsonl.gz"}.get(kind, ".jsonl")
    await listing.export(folder / f"out{suffix}", concurrency=2, resume=True, overwrite=True, **more)


async def cancelled_after(steps, again, work):
    """Run `work`, cancel it after some steps and once more after others; return how it ended."""
    task = asyncio.ensure_future(work)
    for wait in (steps, again):
        for _ in range(wait):
            if task.done():
                break
            # Real time passes too: what threads do takes no step of the loop.
            await asyncio.sleep(0.0002)
        task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return "cancelled"
    except Exception as error:  # noqa: BLE001  (counted, and looked at by the test)
        return f"{type(error).__name__}: {error}"
    return "done"


async def by_task_cancel(kind, order, first, last, step):
    ends = Counter()
    for steps in range(first, last, step):
        with tempfile.TemporaryDirectory() as folder:
            for again in (0, 1, 3):
                async with numbered(IDS, order=order).client() as client:
                    ends[await cancelled_after(steps, again, export(client, kind, Path(folder)))] += 1
        gc.collect()
    return ends


def by_ctrl_c(kind, order, first, last, step):
    """Press Ctrl-C some milliseconds after the beginning."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell starts in the background
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    ends = Counter()
    for milliseconds in range(first, last, step):
        with tempfile.TemporaryDirectory() as folder:
            ends[interrupted_after(milliseconds, kind, order, Path(folder))] += 1
        gc.collect()
    return ends


def interrupted_after(milliseconds, kind, order, folder):
    """Run one export with a loop of its own; return how it ended."""

    async def run():
        signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
        try:
            async with numbered(IDS, order=order).client() as client:
                await export(client, kind, folder)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)  # pressed while asyncio closes its own loop it would leave it open

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        return "cancelled"
    except Exception as error:  # noqa: BLE001  (counted, and looked at by the test)
        return f"{type(error).__name__}: {error}"
    return "done"


if __name__ == "__main__":
    how, kind, order, *numbers = sys.argv[1:]
    if how == "ctrl-c":
        ends = by_ctrl_c(kind, order, *map(int, numbers))
    else:
        ends = asyncio.run(by_task_cancel(kind, order, *map(int, numbers)))
    sys.stdout.write(json.dumps(ends))
