"""An exact report rests on what the server sent: the sort, the end of the list, its order, the time."""

from datetime import timedelta

import pytest
from change_server import ChangeServer, hexes, old_times
from export_help import ids
from list_machine import ListMachine
from thorough import variants

from carecloud_async import Customer

pytestmark = pytest.mark.anyio

SINCE = "2026-11-10T00:00"
CREATED = {one: index for index, one in enumerate(hexes(2000))}


def changed_since(server, path, **options):
    async def read():
        async with server.client() as client:
            return await client.customers.list(count=100).export(path, changed_since=SINCE, **options)

    return read()


@pytest.mark.parametrize("directed", [True, *variants(False)])
@pytest.mark.parametrize(
    ("kind", "apart"),
    [("by id", timedelta(0)), ("by id", timedelta(minutes=1)), ("newest first", timedelta(minutes=1))],
)
async def test_changes_of_a_server_that_does_not_sort_are_all_found(tmp_path, kind, apart, directed):
    """A page of old records, all of one time or falling, ends nothing: 300 changes elsewhere in the list are found."""
    names = hexes(2000)
    if kind == "by id":
        names = sorted(names, reverse=True)  # the older a record the greater its id: its times fall in the order of ids
    default = (lambda one: -CREATED[one]) if kind == "newest first" else str
    server = ChangeServer(old_times(names, apart=apart), sorts=False, default=default, directed=directed)
    listed = server.listed("last_change", True)
    for one in listed[1500:1800]:
        server.change(one)
    report = await changed_since(server, tmp_path / "c.jsonl")
    assert sorted(ids(tmp_path / "c.jsonl")) == sorted(listed[1500:1800])
    assert report.exact


async def test_a_server_that_sorts_is_believed_after_three_more_requests(tmp_path):
    """Changes of a sorted list cost their pages, one of its other end, one that shows the sort, and one its length."""
    server = ChangeServer(old_times(hexes(2000)))
    changed = hexes(2000)[500:520]
    for one in changed:
        server.change(one)
    report = await changed_since(server, tmp_path / "c.jsonl")
    assert sorted(ids(tmp_path / "c.jsonl")) == sorted(changed)
    assert (report.requests, report.exact) == (4, True)


async def test_changes_are_not_exact_while_pages_lack_what_the_total_counts(tmp_path):
    """A changed record that no page shows, although the total counts it: the report is not exact, and is so later."""
    server = ChangeServer(old_times(hexes(2000)))
    for one in hexes(2000)[500:520]:
        server.change(one)
    server.lagging = {hexes(2000)[510]}
    report = await changed_since(server, tmp_path / "c.jsonl")
    assert not report.exact
    server.lagging = set()
    report = await changed_since(server, tmp_path / "d.jsonl")
    assert report.exact
    assert sorted(ids(tmp_path / "d.jsonl")) == sorted(hexes(2000)[500:520])


async def test_changes_are_exact_though_a_server_refuses_large_offsets(tmp_path):
    """Where the last position of a list cannot be read, its two ends vouch for the changes."""
    server = ChangeServer(old_times(hexes(2000)))
    server.deepest = 1000
    changed = hexes(2000)[500:520]
    for one in changed:
        server.change(one)
    report = await changed_since(server, tmp_path / "c.jsonl")
    assert sorted(ids(tmp_path / "c.jsonl")) == sorted(changed)
    assert report.exact


async def test_a_list_without_a_sort_is_read_whole(tmp_path):
    """Of a list without `sort_field` nothing is concluded from where an old record stands: each change is found."""
    server = ChangeServer(old_times(hexes(400), apart=timedelta(0)), sorts=False)
    changed = sorted(server.times)[300:]
    for one in changed:
        server.change(one)
    async with server.client() as client:
        listing = client.listing("people", into=Customer, list_key="customers", id_field="customer_id")
        report = await listing.export(tmp_path / "c.jsonl", changed_since=SINCE)
    assert sorted(ids(tmp_path / "c.jsonl")) == changed
    assert report.exact


async def test_without_a_date_and_a_time_there_is_no_mark(tmp_path):
    """If nothing shows the server's time, the next run reads everything again."""
    server = ChangeServer(dict.fromkeys(hexes(30)), dated=False)
    async with server.client() as client:
        report = await client.customers.list().export(tmp_path / "1.jsonl", state=tmp_path / "state.json")
    assert report.next_changed_since is None
    assert not (tmp_path / "state.json").exists()


@pytest.mark.parametrize("order", ["text", "shuffled"])
def test_a_short_list_in_tiny_pages_is_exact_if_it_is_counted(tmp_path, order):
    """Five records in pages of two show no order: as many as the total counts are all."""
    machine = ListMachine(records=[(one, 0) for one in hexes(5)], order=(order,), cap=2)
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=2)
    assert not missing
    assert report.exact


@pytest.mark.parametrize("come", [4, 9])
def test_a_list_that_grows_as_fast_as_it_is_read_ends(tmp_path, come):
    """Records come with every page of five: the export ends after about four times its requests, and says so."""

    def grow(machine):
        for _ in range(come):
            machine.records.append((f"{len(machine.records):09}", 0))

    machine = ListMachine(records=[(f"{index:09}", 0) for index in range(100)], cap=5, churn=grow)
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=5)
    assert not missing
    assert not report.exact
    assert machine.requests < 64 + 4 * 30
