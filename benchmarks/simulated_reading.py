"""Reading the list of a simulated server, by `prefetch` and by the scan of an export."""

from collections.abc import Awaitable, Callable
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from benchmarks.simulated import RECORD_BYTES, Server, Simulation
from benchmarks.virtual_time import run_virtually
from carecloud_async import Customer
from carecloud_async._base.codec import Page
from carecloud_async._base.project import Project
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import Answer, CallRequest, RawResponse
from carecloud_async._lists.export.reading.pages import RawPage
from carecloud_async._lists.export.reading.scan import Scan
from carecloud_async._lists.export.reading.seen import Seen, TemporarySeen
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.paging.auto import Auto
from carecloud_async._lists.paging.list_source import ListSource
from carecloud_async._lists.paging.prefetch import Prefetch
from carecloud_async.resources import OPERATIONS

#: Reads a list with a width and a page size; returns how many records came.
Reading = Callable[[Simulation, int | Auto, int | Auto], Awaitable[int]]

MOST_REQUESTS = 20

#: Servers tell the time; without it, an export asks for the newest record too.
HEADERS = {"date": "Thu, 01 Jan 2026 00:00:00 GMT"}
_PROJECT = Project.parse("sandbox.example", timezone="Europe/Prague", language="en")


class SimulatedCaller:
    """Stands for a client's caller: the list is answered by a function.

    Args:
        answer: gets a page by offset and count: its records, the length of the list, and when the request left.
        clock: the clock.
        limiter: the rate limiter, which has a `rate`.
    """

    def __init__(
        self, answer: Callable[[int, int], Awaitable[tuple[list[Any], int, float]]], clock: Any, limiter: Any
    ) -> None:
        self._answer = answer
        http = SimpleNamespace(max_connections=MOST_REQUESTS)
        self.context = SimpleNamespace(project=_PROJECT, clock=clock, http=http, rate_limiter=limiter)

    @property
    def fail_fast(self) -> "SimulatedCaller":
        """Return itself: nothing fails."""
        return self

    async def execute(self, request: CallRequest[Any]) -> Answer[Page[Any]]:
        """Answer a request for a page."""
        query = request.params or {}
        items, total, sent_at = await self._answer(query["offset"], query["count"])
        page = Page(items=items, offset=query["offset"], total_items=total, received=len(items))
        return Answer(page, RawResponse(200, HEADERS, bytes(len(items) * RECORD_BYTES), sent_at))


def source_of(caller: SimulatedCaller, *, count: int | Auto, into: Any = Customer) -> ListSource[Any]:
    """Return a list that is answered by a function."""
    return ListSource(
        caller=cast("Caller", caller),
        operation=OPERATIONS["getCustomers"],
        into=into,
        path_params={},
        params={},
        json=None,
        count=count,
        offset=0,
    )


def _simulated(simulation: Simulation, record: Callable[[int], Any], count: int | Auto) -> ListSource[Any]:
    async def answer(offset: int, count: int) -> tuple[list[Any], int, float]:
        answer = await simulation.ask(offset, count)
        numbers = range(answer.first, answer.first + answer.received)
        return list(map(record, numbers)), simulation.server.records, answer.sent_at

    return source_of(SimulatedCaller(answer, simulation.clock, simulation.limiter), count=count)


async def prefetch(simulation: Simulation, width: int | Auto, count: int | Auto) -> int:
    """Read by `prefetch`.

    Raises:
        ValueError: a record was lost, or came twice.
    """
    expected = 0
    async with Prefetch[Any](_simulated(simulation, int, count), width) as records:
        async for record in records:
            if record != expected:
                raise ValueError(f"record {record} came in place of {expected}")
            expected += 1
    return expected


async def export(simulation: Simulation, width: int | Auto, count: int | Auto) -> int:
    """Read by the scan of an export.

    Raises:
        ValueError: the scan took something for a change of the list.
    """
    seen = TemporarySeen()
    source, start = _simulated(simulation, _record, count), Checkpoint(report=ExportReport(target=""))
    report = await Scan(source, _Writer(seen), start, concurrency=width).run()
    seen.close()
    if not seen.is_ordered:
        raise ValueError("the list was not read in the order of its ids")
    if report.list_changed or report.reasons:
        raise ValueError("the scan saw a change where there was none")
    return report.records


#: How a list is read.
READINGS: tuple[Reading, ...] = (prefetch, export)


def seconds(server: Server, reading: Reading, width: int | Auto, count: int | Auto) -> float:
    """Return the virtual seconds that reading a list takes.

    Raises:
        ValueError: records were lost, or came twice.
    """

    async def work() -> int:
        return await reading(Simulation(server), width, count)

    records, taken = run_virtually(work())
    if records != server.records:
        raise ValueError(f"{records} of {server.records} records came")
    return taken


@cache
def _record(number: int) -> bytes:
    return b'{"customer_id":"%06d"}' % number


class _Writer:
    """Takes records and forgets them.

    Args:
        seen: counts them.
    """

    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    async def put(self, rows: RawPage, state: Checkpoint) -> None:
        """Take a page."""
        self.seen.select([rows], sweep=state.sweep)

    async def drain(self) -> None:
        """Nothing waits here."""

    async def restart(self) -> None:
        """Refuse it.

        Raises:
            ValueError: always.
        """
        raise ValueError("the scan began again")
