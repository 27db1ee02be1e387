"""The plan for lists past one machine, in docs/pipelines.md: computed, and tried on a clock that only sleeps move."""

import re
from pathlib import Path

import anyio
import pytest
from kit import connect
from thorough import variants

from carecloud_async import RateLimit
from carecloud_async._lists.export.reading.ranges import IdRange, RangeScan, find_ranges
from carecloud_async.pytest_plugin.clock import FakeClock
from carecloud_async.sandbox import Sandbox

PAGE = (Path(__file__).parents[2] / "docs/pipelines.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) million \| (\d+) \| ([\d,]+) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)


def told(seconds):
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


@pytest.mark.parametrize(("millions", "count", "pages", "at_20", "at_40"), ROWS, ids=[" of ".join(r[:2]) for r in ROWS])
def test_the_table_is_computed_right(millions, count, pages, at_20, at_40):
    """Pages are records by page, seconds are pages by rate."""
    wanted = int(millions) * 1_000_000 // int(count)
    assert (pages, at_20, at_40) == (f"{wanted:,}", told(wanted / 20), told(wanted / 40))


@pytest.mark.anyio
@pytest.mark.parametrize("partitions", [1, 4, *variants(16)])
async def test_a_list_takes_its_pages_by_the_rate_however_it_is_split(partitions):
    """2,000 records, 25 a page, at 20 a second: 4 seconds, and a request or two more for each range."""
    sandbox, clock = Sandbox(customers=2_000, seed=1), FakeClock()
    sizes = []

    async def accept(lines):
        sizes.append(len(lines))

    async with connect(sandbox, rate_limit=RateLimit(requests_per_second=20), clock=clock) as client:
        source = client.customers.list(count=25).export_source()
        began = clock.monotonic()
        ranges = await find_ranges(source, partitions=max(partitions, 2))
        if partitions == 1:
            ranges = [IdRange(orders=ranges[0].orders)]
        async with anyio.create_task_group() as tasks:
            for item in ranges:
                tasks.start_soon(RangeScan(source, item, accept=accept).read)
        seconds = clock.monotonic() - began
    assert sum(sizes) == 2_000
    requests = sandbox.count("GET /customers")
    assert 80 <= requests <= 80 + 5 * partitions + 3
    assert seconds == pytest.approx(requests / 20, abs=1)
