"""Ranges of ids: disjoint, whole, and exact while the list changes."""

import json
import random
from contextlib import suppress

import anyio
import pytest
from list_machine import ListMachine, ListWithNull
from thorough import examples, variants

from carecloud_async._lists.export.reading.ranges import IdRange, NotInOrderError, RangeScan, find_ranges

pytestmark = pytest.mark.anyio


async def read_all(machine, ranges, *, count, width=1):
    """Read the ranges side by side; return the ids that were found, and whether every range was exact."""
    source, found, scans = machine.source(count=count), [], []

    async def accept(lines):
        found.extend((one["customer_id"], one["n"]) for one in map(json.loads, lines))

    async with anyio.create_task_group() as tasks:
        for one in ranges:
            scans.append(RangeScan(source, one, accept=accept, width=width))
            tasks.start_soon(scans[-1].read)
    return found, not any(scan.reasons for scan in scans)


async def read_restless(order, seed, width):
    """Read ranges of a list from which two records go, and to which two come, between any two requests."""
    dice = random.Random(seed)
    fresh = iter(range(-1, -(10**6), -1))

    def make_id():
        return f"{dice.randrange(10**9)}" if order == "number" else f"{dice.getrandbits(60):015x}"

    def churn(machine):
        for _ in range(2):
            machine.delete(dice.randrange(len(machine.records)))
            machine.records.append((make_id(), next(fresh)))

    machine = ListMachine(
        records=[(make_id(), index) for index in range(3000)], order=(order,), churn=churn, dice=random.Random(1)
    )
    start = set(machine.records)
    ranges = await find_ranges(machine.source(count=50), partitions=6)
    assert len(ranges) == 6
    found, exact = await read_all(machine, ranges, count=50, width=width)
    assert len(found) == len(set(found))
    assert start - machine.gone <= set(found)
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


@pytest.mark.parametrize("size", [0, 1, 2, 7, 100])
async def test_ranges_of_a_calm_list_are_the_list(size):
    """However short the list: every record is in one range, and bounds belong to the range that ends with them."""
    machine = ListMachine(records=[(f"{index:03}", index) for index in range(size)])
    ranges = await find_ranges(machine.source(count=10), partitions=4)
    found, exact = await read_all(machine, ranges, count=10)
    assert sorted(found) == machine.records
    assert exact


async def test_ranges_of_a_list_that_is_empty_when_they_are_read_are_not_exact():
    """The list had records when its ranges were found: a right that was taken away meanwhile looks like that."""
    machine = ListMachine(records=[(f"{index:05}", index) for index in range(100)])
    ranges = await find_ranges(machine.source(count=10), partitions=4)
    machine.records.clear()
    assert await read_all(machine, ranges, count=10) == ([], False)


async def test_ranges_of_a_list_with_a_null_are_not_exact():
    """A null may stand for any record."""
    machine = ListWithNull(records=[(f"{index:05}", index) for index in range(100)])
    ranges = await find_ranges(machine.source(count=10), partitions=4)
    found, exact = await read_all(machine, ranges, count=10)
    assert (len(found), exact) == (99, False)


async def test_ranges_of_short_pages_are_read_until_they_show_an_order():
    """Pages of three records show little: a range of a calm list is read again, and then exact."""
    machine = ListMachine(records=[(f"{index:03}", index) for index in range(12)])
    ranges = await find_ranges(machine.source(count=3), partitions=2)
    asked = machine.requests
    found, exact = await read_all(machine, ranges, count=3)
    assert (sorted(found), exact) == (machine.records, True)
    assert machine.requests > asked + 12


async def test_a_range_that_is_sorted_by_chance_is_not_exact():
    """If the server draws the records of each page at random, no range with a missing record is exact."""
    split = 0
    for seed in range(examples(600)):
        machine = ListMachine(
            records=[(f"{index:03}", index) for index in range(4)], order=("dealt",), dice=random.Random(seed)
        )
        ranges = await find_ranges(machine.source(count=2), partitions=2)
        split += len(ranges) > 1
        for one in ranges if len(ranges) > 1 else ():
            found = set()

            async def accept(lines, found=found):
                found.update(record["customer_id"] for record in map(json.loads, lines))

            scan = RangeScan(machine.source(count=2), one, accept=accept)
            with suppress(NotInOrderError):
                await scan.read()
            held = {name for name, _ in machine.records if (one.after or "") < name <= (one.until or "9")}
            assert scan.reasons or found == held
    assert split


async def test_a_range_costs_little_more_than_its_pages():
    """The lower bound is looked for where it was found: no part of the list before it is read."""
    machine = ListMachine(records=[(f"{index:05}", index) for index in range(10_000)])
    ranges = await find_ranges(machine.source(count=100), partitions=10)
    assert machine.requests == 10
    await read_all(machine, ranges[7:8], count=100)
    assert machine.requests <= 10 + 15


@pytest.mark.parametrize("order", ["shuffled", "collation"])
async def test_a_list_without_an_order_of_ids_is_one_range(order):
    """A list that cannot be split gives one range, and a scan of a range of ids in no order is refused."""
    dice = random.Random(1)
    names = dice.sample([a + p + b for a in "abcd" for p in ["", "-", "_"] for b in "abcdefgh"], 90)
    machine = ListMachine(records=[(one, index) for index, one in enumerate(names)], order=(order,))
    assert await find_ranges(machine.source(count=20), partitions=4) == [IdRange()]
    with pytest.raises((NotInOrderError, ExceptionGroup)):
        await read_all(machine, [IdRange(after="b", until="c", offset=30)], count=20)
