"""Changed since: exactly what changed, with any clock, any sort and any spelling of times, night after night."""

import random
from datetime import UTC, datetime, timedelta
from itertools import groupby

import pytest
from export_help import NAMES, change, every_page, export, ids, timeless
from hypothesis import example, given
from hypothesis import strategies as st
from kit import connect
from lists import PRAGUE, ChangeServer, old_times
from lying import lie
from thorough import variants

from benchmarks.api_rules import broken_rules
from carecloud_async import ConfigurationError, Customer, ExportError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

SINCE = "2026-11-10T12:00"
#: How much earlier than its beginning a run's mark is.
OVERLAP = timedelta(minutes=2)


async def test_exactly_what_changed_is_written(tmp_path):
    """Two lines a night: the mark of one export gives what changed after it and what has no time, in few requests."""
    sandbox = Sandbox(customers=600, seed=1)
    async with connect(sandbox) as client:
        full = await client.customers.list(count=150).export(tmp_path / "full.jsonl")
        sandbox.advance(3600)
        changed = change(sandbox, range(0, 210, 7))
        sandbox.advance(7200)
        sandbox.forget_requests()
        night = await client.customers.list(count=150).export(
            tmp_path / "night.jsonl", changed_since=full.next_changed_since
        )
        assert sorted(ids(tmp_path / "night.jsonl")) == sorted({*changed, *timeless(sandbox)})
        assert night.requests == sandbox.count("GET /customers") == 4
        assert not night.list_changed
        sandbox.advance(3600)
        changed = change(sandbox, range(5))
        await client.customers.list().export(tmp_path / "next.csv", changed_since=night.next_changed_since.isoformat())
        await client.customers.list().export(tmp_path / "next.jsonl", changed_since=night.next_changed_since)
    assert sorted(ids(tmp_path / "next.jsonl")) == sorted({*changed, *timeless(sandbox)})
    assert not broken_rules(sandbox)


async def test_the_edge_is_in(tmp_path):
    """Records that changed in the very second of the mark are written; those that changed before it are not."""
    sandbox = Sandbox(customers=300, seed=1)
    change(sandbox, [1], "2026-11-10 11:59:59")
    due = change(sandbox, [2], "2026-11-10 12:00:00") + change(sandbox, [3], "2026-11-10 12:00:01")
    async with connect(sandbox) as client:
        for mark in (SINCE, datetime.fromisoformat(SINCE), datetime(2026, 11, 10, 11, tzinfo=UTC)):
            await client.customers.list(count=10).export(tmp_path / "c.jsonl", changed_since=mark, overwrite=True)
            assert sorted(ids(tmp_path / "c.jsonl")) == sorted(due + timeless(sandbox))


@given(
    mark=st.datetimes(
        datetime.fromisoformat("2026-10-24"), datetime.fromisoformat("2026-10-26"), timezones=st.just(UTC)
    ),
    later=st.timedeltas(timedelta(0), timedelta(hours=30)),
)
@example(mark=datetime(2026, 10, 24, 12, 0, 0, 1, tzinfo=UTC), later=timedelta(0))
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_no_change_falls_behind_a_mark_when_clocks_go_back(tmp_path_factory, anyio_backend, mark, later):
    """A change after a mark is written, whatever its local time looks like: an hour of autumn happens twice."""
    del anyio_backend
    path, server = tmp_path_factory.mktemp("autumn") / "c.jsonl", ChangeServer(old_times(NAMES[:20]))
    server.now = (mark + later).astimezone(PRAGUE).replace(tzinfo=None)
    server.change(NAMES[7])
    async with server.client() as client:
        await client.customers.list().export(path, changed_since=mark)
    assert NAMES[7] in ids(path)


@pytest.mark.parametrize("concurrency", [*variants(1), 8])
async def test_changes_during_the_export_lose_no_record(tmp_path, concurrency):
    """Everyone who changed before the export is in, though every page changes and deletes others."""
    sandbox = Sandbox(customers=600, seed=1)
    changed = set(change(sandbox, range(240), "2026-11-10 12:00:00"))
    dice, gone, served = random.Random(1), set(), iter(range(10**6))

    def move(_):
        if next(served) > 15:
            return
        sandbox.customers.update(sandbox.customers.id_at(dice.randrange(len(sandbox.customers))), {"state": 2})
        victim = sandbox.customers.id_at(dice.randrange(len(sandbox.customers)))
        sandbox.customers.delete(victim)
        gone.add(victim)

    sandbox.on_page = move
    report = await export(sandbox, tmp_path / "c.jsonl", changed_since=SINCE, concurrency=concurrency, count=20)
    written = ids(tmp_path / "c.jsonl")
    assert len(written) == len(set(written))
    assert changed - gone <= set(written)
    assert (report.list_changed, report.exact) == (True, True)


def unstable_ties(listed, query):
    """Records that are equal in the sort field, in another order each time."""
    ties = (list(tie) for _, tie in groupby(listed, key=lambda record: record.get(query.get("sort_field"))))
    return [record for tie in ties for record in random.sample(tie, len(tie))]


async def test_shuffled_ties_are_counted_and_read_whole(tmp_path):
    """Many changes in one second, in another order on every page: all are written, in the order of ids at last."""
    sandbox = Sandbox(customers=150, seed=1)
    changed = change(sandbox, range(100), "2026-11-10 12:00:00")
    lie(sandbox, reorder=unstable_ties)
    report = await export(sandbox, tmp_path / "c.jsonl", changed_since=SINCE, count=20)
    assert sorted(ids(tmp_path / "c.jsonl")) == sorted(changed + timeless(sandbox))
    assert report.exact


async def changed_since(server, path, *, count=100, since="2026-11-10T00:00"):
    async with server.client() as client:
        return await client.customers.list(count=count).export(path, changed_since=since)


async def test_a_record_deleted_since_an_earlier_pass_does_not_account_for_a_missing_one(tmp_path):
    """Of equal times one is shown twice and one never from the second page on, and one that was shown is deleted."""
    new = [f"n{number:02}" for number in range(30)]
    server = ChangeServer({**dict.fromkeys(new, "2026-11-10 11:00:00"), **old_times(f"a{n:02}" for n in range(60))})
    listed, passes = server.listed, []

    def deal(field, descending):
        if field == "last_change":
            if passes and passes[-1] and not descending:
                server.times.pop("n29", None)
            passes.append(descending)
        shown = listed(field, descending)
        if field == "last_change" and descending and server.requests > 2:
            here, there = shown.index("n25"), shown.index("n03")
            shown[here], shown[there] = shown[there], shown[here]
        return shown

    server.listed = deal
    report = await changed_since(server, tmp_path / "c.jsonl", count=6, since="2026-11-05T12:00")
    assert not {*new[:29]} - {*ids(tmp_path / "c.jsonl")} or not report.exact


@pytest.mark.parametrize("directed", [True, *variants(False)])
@pytest.mark.parametrize(
    ("kind", "apart"),
    [("by id", timedelta(0)), ("by id", timedelta(minutes=1)), ("newest first", timedelta(minutes=1))],
)
async def test_changes_of_a_server_that_does_not_sort_are_all_found(tmp_path, kind, apart, directed):
    """A page of old records, all of one time or falling, ends nothing: 300 changes elsewhere in the list are found."""
    created = {name: index for index, name in enumerate(NAMES)}
    # By id, the older a record the greater its id: its times fall in the order of ids.
    names, default = (sorted(NAMES, reverse=True), str) if kind == "by id" else (NAMES, lambda name: -created[name])
    server = ChangeServer(old_times(names, apart=apart), sorts=False, default=default, directed=directed)
    changed = server.listed("last_change", True)[1500:1800]
    server.change(*changed)
    report = await changed_since(server, tmp_path / "c.jsonl")
    assert sorted(ids(tmp_path / "c.jsonl")) == sorted(changed)
    assert report.exact


@pytest.mark.parametrize("deepest", [None, 1000])
async def test_a_server_that_sorts_is_believed_after_three_more_requests(tmp_path, deepest):
    """Changes cost their pages and three requests: the other end, the sort and the length, which may be refused."""
    server = ChangeServer(old_times(NAMES))
    server.deepest = deepest
    server.change(*NAMES[500:520])
    report = await changed_since(server, tmp_path / "c.jsonl")
    assert sorted(ids(tmp_path / "c.jsonl")) == sorted(NAMES[500:520])
    assert report.exact
    assert report.requests == 4 or deepest


@pytest.mark.parametrize(("names", "changed", "count"), [(2000, 20, 100), (40, 40, 10), (40, 40, 100)])
async def test_changes_are_not_exact_while_pages_lack_what_the_total_counts(tmp_path, names, changed, count):
    """A changed record that no page shows, also of a list that changed as a whole: not exact, and exact later."""
    server = ChangeServer(old_times(NAMES[:names]))
    server.change(*NAMES[:changed])
    server.lagging = {*NAMES[5:15]}
    assert not (await changed_since(server, tmp_path / "c.jsonl", count=count)).exact
    server.lagging = set()
    assert (await changed_since(server, tmp_path / "d.jsonl", count=count)).exact
    assert sorted(ids(tmp_path / "d.jsonl")) == sorted(NAMES[:changed])


async def test_a_list_without_a_sort_is_read_whole(tmp_path):
    """Of a list without `sort_field` nothing is concluded from where an old record stands: each change is found."""
    server = ChangeServer(old_times(NAMES[:400], apart=timedelta(0)), sorts=False)
    changed = sorted(server.times)[300:]
    server.change(*changed)
    async with server.client() as client:
        listing = client.listing("people", into=Customer, list_key="customers", id_field="customer_id")
        report = await listing.export(tmp_path / "c.jsonl", changed_since=SINCE)
    assert sorted(ids(tmp_path / "c.jsonl")) == changed
    assert report.exact


async def test_resumes_too(tmp_path):
    """Records that were written before the stop are not written again."""
    sandbox, path = Sandbox(customers=400, seed=1), tmp_path / "c.jsonl"
    changed = change(sandbox, range(200), "2026-11-10 12:00:00")

    def stop(progress):
        if progress.records > 60:
            raise KeyError

    async with connect(sandbox, clock=every_page()) as client:
        listing = client.customers.list(count=30)
        with pytest.raises(KeyError):
            await listing.export(path, changed_since=SINCE, on_progress=stop)
        report = await listing.export(path, changed_since=SINCE, resume=True)
    assert report.resumed
    assert sorted(ids(path)) == sorted(changed + timeless(sandbox))


async def test_the_next_mark_is_by_the_servers_clock(tmp_path):
    """`next_changed_since` lies a little before the export's beginning, in the project's zone."""
    sandbox, now = Sandbox(customers=10, seed=1), datetime(2031, 5, 1, 10, tzinfo=UTC)
    sandbox.clock.set(now)
    change(sandbox, [0])
    report = await export(sandbox, tmp_path / "c.jsonl")
    assert OVERLAP <= now - report.next_changed_since <= OVERLAP + timedelta(seconds=10)
    assert report.next_changed_since.utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize(
    ("mark", "filters", "reason"),
    [
        ("2026-10-25T02:30", {}, "happens twice"),
        ("2026-03-29T02:30", {}, "does not exist"),
        ("yesterday", {}, "ISO 8601"),
        (20261101, {}, "ISO 8601"),
        ("2026-01-01", {"sort_field": "state"}, "sort_field"),
    ],
)
async def test_marks_that_mean_nothing_are_refused(tmp_path, mark, filters, reason):
    """A time that clocks showed twice or never, no time at all, and a sort of one's own: one sentence, nothing sent."""
    sandbox = Sandbox(customers=10, seed=1)
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match=reason) as caught:
            await client.customers.list(**filters).export(tmp_path / "c.jsonl", changed_since=mark)
    assert isinstance(caught.value, ConfigurationError)
    assert sandbox.count() == 0
    assert "\n" not in str(caught.value)


TIMES = {
    "2026-11-24 12:00:00": True,
    "2026-11-24T12:00": True,
    "2026-11-24T11:00:00Z": True,
    "2026-11-24 06:00:00-05:00": True,
    "2026-11-24 11:59:59": False,
    "2026-11-24T10:59:59Z": False,
    "0000-00-00 00:00:00": False,
    "0000-00-00": False,
    # What is no time may be any.
    " ": True,
    "2026-11-23": True,
    "23.11.2026 12:00": True,
    "2026-13-23 12:00:00": True,
    "9999-12-31 23:59:59-12:00": True,
}


async def test_times_are_read_as_the_project_writes_them(tmp_path):
    """A time is in the project's zone, an offset is honoured, a zero date is never; what is no time is written."""
    server = ChangeServer({**old_times(NAMES[:50]), **{value: value for value in TIMES}})
    async with server.client() as client:
        await client.customers.list(count=100).export(tmp_path / "c.jsonl", changed_since="2026-11-24T12:00")
    assert {value: value in ids(tmp_path / "c.jsonl") for value in TIMES} == TIMES
