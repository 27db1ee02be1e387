"""Exports of lists that change: who stays is in the file, once."""

import itertools
import random

import anyio
import pytest
from export_help import ListServer, ids
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit import connect
from lying import lie
from thorough import examples, variants

from carecloud_async import ExportError
from carecloud_async._lists.export.reading.scan import SWEEPS
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


def hexes(count, seed=1):
    dice = random.Random(seed)
    return [f"{dice.getrandbits(64):016x}" for _ in range(count)]


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


@given(data=st.data())
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
def test_the_guarantee_holds_on_any_server(tmp_path_factory, data):
    """A record that stays is in an exact file once; a calm list of true answers that come once is exact."""
    draw = data.draw
    names = hexes(draw(st.integers(0, 300), label="records"), seed=draw(st.integers(0, 5)))
    most = draw(st.integers(0, 12), label="changes a page")
    dice = random.Random(draw(st.integers(0, 1000), label="seed"))
    fresh = iter(hexes(100_000, seed=99))
    quiet_after = draw(st.integers(0, 60), label="pages with change")

    def change(listed):
        if server.requests > quiet_after:
            return [], []
        gone = dice.sample(sorted(listed), min(dice.randint(0, most), len(listed)))
        return gone, [next(fresh) for _ in range(dice.randint(0, most))]

    server = ListServer(
        names,
        order=draw(st.sampled_from(["id", "id", "shuffled"]), label="order"),
        cap=draw(st.sampled_from([None, 7, 40]), label="cap"),
        total=draw(st.sampled_from(["true", "true", "none", "low", "high"]), label="total"),
        change=change,
        repeat_every=draw(st.sampled_from([0, 0, 5, 9]), label="repeats"),
        seed=1,
    )
    count = draw(st.sampled_from([10, 25, 100]), label="count")
    concurrency = draw(st.sampled_from([1, 3, 8]), label="concurrency")
    path = tmp_path_factory.mktemp("exact") / "c.jsonl"

    async def export():
        async with server.client() as client:
            return await client.customers.list(count=count).export(path, concurrency=concurrency)

    try:
        report = anyio.run(export)
    except ExportError:  # it sent one page again and again
        assert server.misleads
        return
    found = ids(path)
    assert len(found) == len(set(found)) == report.records
    if report.exact:
        assert set(names) - server.gone <= set(found)
    assert report.exact or most or server.misleads


async def test_an_order_by_number_needs_no_second_reading(tmp_path):
    """Ids that are numbers in text are read in one pass."""
    server = ListServer([str(one) for one in range(1, 500)], order="number")
    async with server.client() as client:
        report = await client.customers.list(count=50).export(tmp_path / "c.jsonl")
    assert ids(tmp_path / "c.jsonl") == [str(one) for one in range(1, 500)]
    assert report.passes == 1
    assert report.requests <= 12


async def test_shuffled_ties_are_found_in_the_end(tmp_path):
    """If the server shuffles ties for each page, the list is read until the count is met, ten times at most."""
    names = hexes(300)
    server = ListServer([f"{index:x}" for index, _ in enumerate(names)], order="ties")
    async with server.client() as client:
        report = await client.customers.list(count=30, sort_field="state").export(tmp_path / "c.jsonl")
    assert len(set(ids(tmp_path / "c.jsonl"))) == report.records
    assert report.records == 300 or not report.exact
    assert 1 < report.passes <= 10


async def test_endless_change_ends_and_says_so(tmp_path):
    """A list in no order that never stands still is given up on after a bounded number of readings."""
    fresh = itertools.count(100)
    server = ListServer([f"{one:x}" for one in range(100)], order="ties", change=lambda _: ([], [f"{next(fresh):x}"]))
    async with server.client() as client:
        report = await client.customers.list(count=30).export(tmp_path / "c.jsonl")
    assert not report.exact
    assert report.list_changed
    assert report.passes <= 10


async def test_a_list_that_grows_at_its_end_is_not_followed_for_ever(tmp_path):
    """A tail that grows faster than it is read ends the export, which says so."""
    tail = iter(range(10**6))
    server = ListServer(
        [f"a{one:08}" for one in range(100)], change=lambda _: ([], [f"b{next(tail):08}" for _ in range(60)])
    )
    async with server.client() as client:
        report = await client.customers.list(count=30).export(tmp_path / "c.jsonl", concurrency=2)
    assert not report.exact
    assert server.requests < 200


async def test_the_same_page_for_ever_is_an_error(tmp_path):
    """A server that ignores offset is refused, and no file appears."""
    sandbox = Sandbox(customers=500, seed=1)
    lie(sandbox, repeat_page=True)
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match="offset"):
            await client.customers.list(count=100).export(tmp_path / "c.jsonl")
    assert not (tmp_path / "c.jsonl").exists()


@pytest.mark.parametrize("total", [*variants(10, 0), 10**7])
async def test_a_total_that_lies_changes_nothing(tmp_path, total):
    """Totals too low and too high give the whole list, in at most three readings of two flights beyond the end."""
    sandbox = Sandbox(customers=300, seed=1, max_count=30)
    lie(sandbox, total_items=total)
    async with connect(sandbox) as client:
        report = await client.customers.list(count=1000).export(tmp_path / "c.jsonl")
    assert sorted(sandbox.customers.ids()) == ids(tmp_path / "c.jsonl")
    assert report.requests <= 3 * (14 + 2 * 20)


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
    server = ListServer(hexes(600), change=lambda listed: ([dice.choice(listed)], []))
    names = set(server.names)
    async with server.client() as client:
        report = await client.customers.list(count=25).export(tmp_path / "c.jsonl", concurrency=4)
    assert report.exact
    assert names - server.gone <= set(ids(tmp_path / "c.jsonl"))
    assert server.requests < 60
