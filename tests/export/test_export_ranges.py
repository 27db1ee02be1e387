"""Ranges of ids: disjoint, whole, and exact while the list changes."""

import json
import random
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from lists import numbered
from thorough import examples, variants

from carecloud_async._lists.export.reading.ranges import IdRange, NotInOrderError, RangeScan, find_ranges

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def source_of(server, count):
    async with server.client() as client:
        yield client.customers.list(count=count).export_source()


async def split(server, *, count, partitions):
    """Return the ranges of a list."""
    async with source_of(server, count) as source:
        return await find_ranges(source, partitions=partitions)


async def read_all(server, ranges, *, count, width=1):
    """Read the ranges side by side; return the records that were read, and whether every range was exact."""
    records, scans = [], []

    async def accept(lines):
        records.extend((record["customer_id"], record["n"]) for record in map(json.loads, lines))

    async with source_of(server, count) as source, anyio.create_task_group() as tasks:
        for id_range in ranges:
            scans.append(RangeScan(source, id_range, accept=accept, width=width))
            tasks.start_soon(scans[-1].read)
    return records, not any(scan.reasons for scan in scans)


async def read_restless(order, seed, width):
    """Read ranges of a list from which two records go, and to which two come, between any two requests."""
    dice = random.Random(seed)
    fresh = iter(range(-1, -(10**6), -1))

    def make_id():
        return f"{dice.randrange(10**9)}" if order == "number" else f"{dice.getrandbits(60):015x}"

    def churn(server):
        for _ in range(2):
            server.delete(dice.randrange(len(server.records)))
            server.records.append((make_id(), next(fresh)))

    server = numbered([make_id() for _ in range(3000)], order=order, churn=churn)
    start = set(server.records)
    ranges = await split(server, count=50, partitions=6)
    assert len(ranges) == 6
    records, exact = await read_all(server, ranges, count=50, width=width)
    assert len(records) == len(set(records))
    assert start - server.gone <= set(records)
    return exact


@pytest.mark.parametrize("width", [*variants(1), 4])
@pytest.mark.parametrize("seed", [0, *variants(1, 2)])
@pytest.mark.parametrize("order", ["text", *variants("number")])
async def test_ranges_lose_and_double_no_record_under_change(order, seed, width):
    """Six ranges of 3,000 restless records: none is lost or doubled, and one of three readings is exact."""
    for _ in range(3):  # trio starts requests in another order each time
        if await read_restless(order, seed, width):
            return
    pytest.fail("no reading was exact")


def padded(size, **options):
    return numbered([f"{index:05}" for index in range(size)], **options)


@pytest.mark.parametrize("size", [0, 1, 2, 7, 100])
async def test_ranges_of_a_calm_list_are_the_list(size):
    """However short the list: every record is in one range, and bounds belong to the range that ends with them."""
    server = padded(size)
    records, exact = await read_all(server, await split(server, count=10, partitions=4), count=10)
    assert (sorted(records), exact) == (server.records, True)


async def test_ranges_of_a_list_that_is_empty_when_they_are_read_are_not_exact():
    """The list had records when its ranges were found: a right that was taken away meanwhile looks like that."""
    server = padded(100)
    ranges = await split(server, count=10, partitions=4)
    server.records.clear()
    assert await read_all(server, ranges, count=10) == ([], False)


async def test_ranges_of_a_list_with_a_null_are_not_exact():
    """A null may stand for any record."""
    server = padded(100, null="00002")
    records, exact = await read_all(server, await split(server, count=10, partitions=4), count=10)
    assert (len(records), exact) == (99, False)


async def test_ranges_of_short_pages_are_read_until_they_show_an_order():
    """Pages of three records show little: a range of a calm list is read again, and then exact."""
    server = padded(12)
    ranges = await split(server, count=3, partitions=2)
    asked = server.requests
    records, exact = await read_all(server, ranges, count=3)
    assert (sorted(records), exact) == (server.records, True)
    assert server.requests > asked + 12


async def test_a_range_that_is_sorted_by_chance_is_not_exact():
    """If the server draws the records of each page at random, no range with a missing record is exact."""
    were_split = 0
    for seed in range(examples(600)):
        server = padded(4, order="dealt", dice=random.Random(seed))
        ranges = await split(server, count=2, partitions=2)
        were_split += len(ranges) > 1
        for id_range in ranges if len(ranges) > 1 else ():
            with suppress(NotInOrderError, ExceptionGroup):
                records, exact = await read_all(server, [id_range], count=2)
                held = {name for name in server.names if (id_range.after or "") < name <= (id_range.until or "9")}
                assert not exact or {name for name, _ in records} == held
    assert were_split


async def test_a_range_costs_little_more_than_its_pages():
    """The lower bound is looked for where it was found: no part of the list before it is read."""
    server = padded(10_000)
    ranges = await split(server, count=100, partitions=10)
    assert server.requests == 10
    await read_all(server, ranges[7:8], count=100)
    assert server.requests <= 10 + 15


@pytest.mark.parametrize("order", ["shuffled", "collation"])
async def test_a_list_without_an_order_of_ids_is_one_range(order):
    """A list that cannot be split gives one range, and a scan of a range of ids in no order is refused."""
    names = random.Random(1).sample([a + p + b for a in "abcd" for p in ["", "-", "_"] for b in "abcdefgh"], 90)
    server = numbered(names, order=order)
    assert await split(server, count=20, partitions=4) == [IdRange()]
    with pytest.raises((NotInOrderError, ExceptionGroup)):
        await read_all(server, [IdRange(after="b", until="c", offset=30)], count=20)
