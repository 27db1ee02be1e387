"""One process of the service that `benchmarks.soak` runs (`python -m benchmarks.soak_service SETTINGS`).

Its standard input brings orders, one JSON object a line: `{"step": seconds}` moves the wall clock that the SDK sees,
`{"quiet": true}` lets all jobs pause for a measurement, and its end lets the process end.
"""

import asyncio
import json
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from attrs import evolve

from benchmarks.soak_jobs import Calls, Parts, Portal, Writes
from benchmarks.soak_ledger import Ledger
from benchmarks.soak_lists import Lists
from benchmarks.soak_measure import Sample, sample
from carecloud_async import CallRecord, CareCloud, CareCloudError, RedisRateLimit, RedisTokenStore, Timeout
from carecloud_async.errors import (
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    ExportError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    WrongEventLoopError,
)
from carecloud_async.sandbox import Sandbox

#: Errors that no trouble of the soak explains.
UNEXPLAINED = (
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    ExportError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    WrongEventLoopError,
)
#: The longest that a job may take, in seconds; then it hangs.
HANGS_AFTER = 900.0
#: Seconds of rest before a measurement: what runs in the background ends.
REST_SECONDS = 2.0
#: How long threads may take to end (seconds).
ENDING_SECONDS = 30.0


class SteppedClock:
    """The real clock, whose wall time can be moved."""

    def __init__(self) -> None:
        self.offset: float = 0.0

    def monotonic(self) -> float:
        """Return seconds that never decrease."""
        return time.monotonic()

    def time(self) -> float:
        """Return the seconds since 1970, moved."""
        return time.time() + self.offset

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Gate:
    """Lets jobs pass, or holds them all back for a measurement."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._busy = 0

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Do a piece of work, as soon as the gate is open."""
        await self._open.wait()
        self._busy += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Wait for all work under way, and hold the rest back."""
        self._open.clear()
        try:
            await self._idle.wait()
            yield
        finally:
            self._open.set()


class Service:
    """The jobs of one process.

    Args:
        settings: see `benchmarks.soak`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._folder = Path(settings["folder"])
        self._clock = SteppedClock()
        self._gate = Gate()
        self._ending = asyncio.Event()
        self._random = Random(settings["seed"])
        self._ledger = Ledger(self._folder / "ledger.jsonl")
        self._samples: list[Sample] = []
        self._before = self._after = sample()

    async def run(self) -> None:
        """Work until the order to end comes."""
        asyncio.get_running_loop().set_exception_handler(self._unhandled)
        sys.unraisablehook = self._unraisable
        reader = await self._orders()
        before = sample()
        store = RedisTokenStore(self._settings["redis"], clock=self._clock)
        try:
            sandbox = Sandbox(customers=self._settings["customers"], seed=self._settings["server_seed"])
            common: dict[str, Any] = {
                "token_store": store,
                "rate_limit": RedisRateLimit(self._settings["redis"]),
                "clock": self._clock,
                "timeout": Timeout(connect=5, read=10, total=60),
                "on_call": self._count_call,
            }
            async with (
                CareCloud(self._settings["url"], auth=sandbox.credentials(), random=Random(1), **common) as client,
                CareCloud(self._settings["url"], auth=sandbox.device(), random=Random(2), **common) as portal,
            ):
                parts = Parts(
                    name=self._settings["name"],
                    number=self._settings["number"],
                    client=client,
                    portal=portal,
                    ledger=self._ledger,
                    random=self._random,
                    control=self._settings["control"],
                    sandbox=sandbox,
                )
                async with asyncio.TaskGroup() as group:
                    for job, pause in self._jobs(parts):
                        group.create_task(self._repeat(job, pause), name=job.__name__)
                    await self._obey(reader)
                    self._ending.set()
        finally:
            await store.aclose()
        await asyncio.sleep(REST_SECONDS)
        self._before, self._after = before, sample()

    def _jobs(self, parts: Parts) -> list[tuple[Callable[[], Awaitable[None]], float]]:
        calls, portal, writes = Calls(parts), Portal(parts), Writes(parts)
        lists, long = Lists(parts, self._folder), self._settings["long_pause"]
        return [
            (calls.read, 0.4),
            (calls.read, 0.4),
            (calls.give_up, 3.0),
            (portal.visit, 1.0),
            (portal.visit, 1.0),
            (portal.go_on, 2.0),
            (portal.kiosk, 2.0),
            (writes.create, 3.0),
            (writes.comment, 2.0),
            (writes.update, 1.0),
            (lists.export, long),
            (lists.changes, long),
            (lists.bulk_write, long),
        ]

    async def _repeat(self, job: Callable[[], Awaitable[None]], pause: float) -> None:
        while not self._ending.is_set():
            async with self._gate.passing():
                await self._once(job)
            try:
                async with asyncio.timeout(self._random.uniform(0.5, 1.5) * pause):
                    await self._ending.wait()
            except TimeoutError:
                continue

    async def _once(self, job: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(HANGS_AFTER):
                await job()
        except TimeoutError as error:
            if isinstance(error, CareCloudError):
                self._ledger.failed(job.__name__, error)
            else:
                self._ledger.wrong(f"{job.__name__} hangs")
        except UNEXPLAINED as error:
            self._ledger.wrong(f"{job.__name__}: {error!r}")
        except CareCloudError as error:
            self._ledger.failed(job.__name__, error)
        except Exception as error:  # noqa: BLE001  (that nothing but the SDK's errors comes out is what is looked at)
            self._ledger.wrong(f"{job.__name__}: {error!r} is no error of the SDK")

    async def _orders(self) -> asyncio.StreamReader:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        return reader

    async def _obey(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            order = json.loads(line)
            if "step" in order:
                self._clock.offset = order["step"]
            if "quiet" in order:
                await self._measure()

    async def _measure(self) -> None:
        async with self._gate.closed():
            await asyncio.sleep(REST_SECONDS)
            self._samples.append(sample())

    def end(self) -> None:
        """Write what was measured; the event loop has ended, and with it the threads that waited for work."""
        deadline = time.monotonic() + ENDING_SECONDS
        while threading.active_count() > self._before.threads and time.monotonic() < deadline:
            time.sleep(0.05)
        after = evolve(self._after, threads=threading.active_count())
        measures: dict[str, Any] = {"before": self._before.to_dict(), "after": after.to_dict()}
        measures["samples"] = [sample.to_dict() for sample in self._samples]
        (self._folder / "samples.json").write_text(json.dumps(measures), encoding="utf-8")
        self._ledger.close()

    def _count_call(self, call: CallRecord) -> None:
        self._ledger.counts["calls"] += 1
        self._ledger.counts["calls, in ms"] += round(call.seconds * 1000)
        self._ledger.counts["calls, ms of waiting for the rate limit"] += round(call.limiter_seconds * 1000)
        self._ledger.counts["calls, attempts"] += call.attempts

    def _unhandled(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._ledger.wrong(f"asyncio says: {context['message']} ({context.get('exception')!r})")

    def _unraisable(self, problem: Any) -> None:
        self._ledger.wrong(f"raised where nothing catches it: {problem.exc_value!r} in {problem.object!r}")


def main() -> None:
    warnings.simplefilter("error", ResourceWarning)
    service = Service(json.loads(sys.argv[1]))
    asyncio.run(service.run())
    service.end()


if __name__ == "__main__":
    main()
