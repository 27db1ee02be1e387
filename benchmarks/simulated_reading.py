"""Reading the list of a simulated server, by `prefetch` and by the scan of an export."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cache
from itertools import chain
from typing import Any

import anyio

from benchmarks.simulated import RECORD_BYTES, Server, Simulation
from benchmarks.virtual_time import run_virtually
from carecloud_async import Customer
from carecloud_async._base.codec import Page
from carecloud_async._base.project import Project
from carecloud_async._calls.call.operation import Answer, RawResponse
from carecloud_async._lists.export.reading.pages import RawPage
from carecloud_async._lists.export.reading.scan import scan
from carecloud_async._lists.export.reading.seen import Seen, TemporarySeen
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.paging.iterators import AnyPage
from carecloud_async._lists.paging.page_plan import Auto, PagePlan
from carecloud_async._lists.paging.prefetch import Prefetch
from carecloud_async.resources import OPERATIONS

#: Reads a list with a width and a page size; returns how many records came.
Reading = Callable[[Simulation, int | Auto, int | Auto], Awaitable[int]]

MOST_REQUESTS = 20

#: Servers tell the time; without it, an export asks for the newest record too.
HEADERS = {"date": "Thu, 01 Jan 2026 00:00:00 GMT"}
_PROJECT = Project.parse("sandbox.example", timezone="Europe/Prague", language="en")


async def prefetch(simulation: Simulation, width: int | Auto, count: int | Auto) -> int:
    """Read by `prefetch`.

    Raises:
        ValueError: a record was lost, or came twice.
    """
    total = simulation.server.records

    async def fetch(offset: int, count: int, _: bool) -> tuple[Page[Any], RawResponse]:
        answer = await simulation.ask(offset, count)
        items = list(range(offset, offset + answer.received))
        page = Page(items=items, offset=offset, total_items=total, received=answer.received)
        return page, RawResponse(200, HEADERS, bytes(answer.received * RECORD_BYTES), answer.sent_at)

    plan = PagePlan(
        width=width,
        count=count,
        most_requests=MOST_REQUESTS,
        now=anyio.current_time,
        rate=lambda: simulation.limiter.rate,
    )
    expected = 0
    operation = OPERATIONS["getCustomers"]
    async with Prefetch[int](fetch, keys=_records_of, operation=operation, offset=0, plan=plan) as records:
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
    server = simulation.server

    async def fetch(params: Mapping[str, Any]) -> Answer[Page[bytes]]:
        answer = await simulation.ask(params["offset"], params["count"])
        items = list(map(_record, range(answer.first, answer.first + answer.received)))
        page = Page(items=items, total_items=server.records, received=answer.received)
        return Answer(page, RawResponse(200, HEADERS, bytes(answer.received * RECORD_BYTES), answer.sent_at))

    source = ExportSource(
        operation=OPERATIONS["getCustomers"],
        into=Customer,
        params={},
        count=count,
        offset=0,
        scope={},
        fetch=fetch,
        project=_PROJECT,
        clock=simulation.clock,
        most_requests=MOST_REQUESTS,
        rate=lambda: simulation.limiter.rate,
    )

    seen = TemporarySeen()
    report = await scan(
        source,
        Checkpoint(report=ExportReport(target="")),
        since=None,
        concurrency=width,
        on_progress=None,
        writer=_Writer(seen),
    )
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


def _records_of(page: AnyPage[int]) -> Iterator[int]:
    return chain.from_iterable(page.batches())


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
