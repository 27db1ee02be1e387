"""Exports of lists that change: who stays is in the file, once."""

import itertools
import random

import pytest
from change_server import hexes
from export_help import ids
from kit import connect
from list_machine import numbered
from lying import lie
from thorough import variants

from carecloud_async._lists.export.reading.scan import SWEEPS
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("concurrency", [*variants(1), 8])
@pytest.mark.parametrize("kind", [*variants("delete", "insert"), "both"])
async def test_no_record_that_stays_is_missing_or_twice(tmp_path, kind, concurrency):
    """2,000 customers while each page of at most 150 deletes three, inserts three, or both, which need not be exact."""
    sandbox = Sandbox(customers=2000, seed=1, max_count=150)
    start, gone, dice = set(sandbox.customers.ids()), set(), random.Random(concurrency)

    def change(_):
        for _ in range(3):
            if kind != "insert":
                victim = sandbox.customers.id_at(dice.randrange(len(sandbox.customers)))
                sandbox.customers.delete(victim)
                gone.add(victim)
            if kind != "delete":
                sandbox.customers.insert()

    sandbox.on_page = change
    async with connect(sandbox) as client:
        report = await client.customers.list(count=1000).export(tmp_path / "c.jsonl", concurrency=concurrency)
    found = ids(tmp_path / "c.jsonl")
    assert len(found) == len(set(found)) == report.records
    assert start - gone <= set(found)
    assert report.list_changed
    assert report.exact or (kind == "both" and report.passes == SWEEPS)
    assert report.requests <= SWEEPS * 5 * 14  # for each sweep five times its pages
    assert not sandbox.violations


@pytest.mark.parametrize(
    ("customers", "count", "cap"), [*variants((4000, 1000, 150), (1000, 100, None)), (600, 1000, 90)]
)
async def test_a_calm_export_costs_two_requests_more_than_pages(tmp_path, customers, count, cap):
    """Nothing changes: no change is reported, one pass in the order of ids, hardly a request more than needed."""
    sandbox = Sandbox(customers=customers, seed=1, max_count=cap)
    async with connect(sandbox) as client:
        report = await client.customers.list(count=count).export(tmp_path / "c.jsonl")
    found = ids(tmp_path / "c.jsonl")
    assert sorted(sandbox.customers.ids()) == found
    assert not report.list_changed
    assert report.exact
    assert report.total == customers
    assert report.requests == sandbox.count("GET /customers") <= -(-customers // (cap or count)) + 2


@pytest.mark.parametrize("customers", [0, 1, *variants(2), 49, 50, 51, *variants(98, 99, 100)])
async def test_lists_of_every_length_are_whole(tmp_path, customers):
    """Lists that end on a page's edge, are empty or short are exported whole."""
    sandbox = Sandbox(customers=customers, seed=1)
    async with connect(sandbox) as client:
        for count in (1, 50):
            report = await client.customers.list(count=count).export(tmp_path / "c.jsonl", overwrite=True)
            assert report.records == customers == len(set(ids(tmp_path / "c.jsonl")))
            assert not report.list_changed


async def test_shuffled_ties_are_found_in_the_end(tmp_path):
    """If the server shuffles ties for each page, the list is read until the count is met, ten times at most."""
    server = numbered([f"{index:x}" for index in range(300)], order=("dealt",))
    async with server.client() as client:
        report = await client.customers.list(count=30, sort_field="state").export(tmp_path / "c.jsonl")
    assert len(set(ids(tmp_path / "c.jsonl"))) == report.records
    assert report.records == 300 or not report.exact
    assert 1 < report.passes <= 10


async def test_endless_change_ends_and_says_so(tmp_path):
    """A list in no order that never stands still is given up on after a bounded number of readings."""
    fresh = itertools.count(100)
    server = numbered([f"{one:x}" for one in range(100)], order=("dealt",))
    server.churn = lambda _: server.records.append((f"{next(fresh):x}", 0))
    async with server.client() as client:
        report = await client.customers.list(count=30).export(tmp_path / "c.jsonl")
    assert not report.exact
    assert report.list_changed
    assert report.passes <= 10


async def test_a_list_that_grows_at_its_end_is_not_followed_for_ever(tmp_path):
    """A tail that grows faster than it is read ends the export, which says so."""
    tail = iter(range(10**6))
    server = numbered([f"a{one:08}" for one in range(100)])
    server.churn = lambda _: server.records.extend((f"b{next(tail):08}", 0) for _ in range(60))
    async with server.client() as client:
        report = await client.customers.list(count=30).export(tmp_path / "c.jsonl", concurrency=2)
    assert not report.exact
    assert server.requests < 200


async def test_pretty_answers_give_one_line_a_record(tmp_path):
    """Records of a pretty-printing server are compact lines, unknown fields included."""
    sandbox = Sandbox(customers=30, seed=1)
    lie(sandbox, pretty=True)
    some = sandbox.customers.id_at(3)
    sandbox.customers.update(some, {"of_tomorrow": {"a": [1, "x\ny"]}})
    async with connect(sandbox) as client:
        await client.customers.list(count=7).export(tmp_path / "c.jsonl")
    lines = (tmp_path / "c.jsonl").read_bytes().splitlines()
    assert len(lines) == 30
    assert sum(b'"of_tomorrow":{"a":[1,"x\\ny"]}' in line for line in lines) == 1


async def test_a_list_that_loses_a_record_with_each_request_is_exact(tmp_path):
    """Deletions anywhere in a list cost some requests, and neither the guarantee nor a second reading."""
    dice = random.Random(7)
    server = numbered(hexes(600), churn=lambda machine: machine.delete(dice.randrange(len(machine.records))))
    names = server.names
    async with server.client() as client:
        report = await client.customers.list(count=25).export(tmp_path / "c.jsonl", concurrency=4)
    assert report.exact
    assert names - {one for one, _ in server.gone} <= set(ids(tmp_path / "c.jsonl"))
    assert server.requests < 60
