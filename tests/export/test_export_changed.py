"""Changed since: exactly what changed, with any clock and any sort."""

import random
import sqlite3
from datetime import UTC, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import pytest
from change_server import ChangeServer, hexes, old_times
from export_help import every_page, ids, records
from hypothesis import given
from hypothesis import strategies as st
from kit import connect
from lying import lie
from thorough import variants

from carecloud_async import ConfigurationError, ExportError
from carecloud_async._base.project import Project
from carecloud_async._lists.export.job import write_export
from carecloud_async._lists.export.reading.since import OVERLAP, parse_since
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

DAYS = (datetime.fromisoformat("2026-10-24"), datetime.fromisoformat("2026-10-26"))
PRAGUE = Project.parse("a.example.com", timezone="Europe/Prague", language="cs")


def unstable_ties(found, query):
    """Records that are equal in the sort field, in another order each time."""
    ties = (list(one) for _, one in groupby(found, key=lambda record: record.get(query.get("sort_field"))))
    return [record for one in ties for record in random.sample(one, len(one))]


def change(sandbox, indexes, moment=None):
    changed = [sandbox.customers.id_at(index) for index in indexes]
    for one in changed:
        more = {} if moment is None else {"last_change": moment}
        sandbox.customers.update(one, {"state": 0, **more})
    return changed


def timeless(sandbox):
    """Return the customers whose `last_change` is null: they may have changed at any time."""
    found = map(sandbox.customers.get, sandbox.customers.ids())
    return [one["customer_id"] for one in found if one["last_change"] is None]


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
        assert not sandbox.violations


async def test_the_edge_is_in(tmp_path):
    """Records that changed in the very second of the mark are written; those that changed before it are not."""
    sandbox = Sandbox(customers=300, seed=1)
    change(sandbox, [1], "2026-11-10 11:59:59")
    at_edge = change(sandbox, [2], "2026-11-10 12:00:00")
    after = change(sandbox, [3], "2026-11-10 12:00:01")
    async with connect(sandbox) as client:
        for mark in (
            "2026-11-10T12:00",
            datetime.fromisoformat("2026-11-10T12:00"),
            datetime(2026, 11, 10, 11, tzinfo=UTC),
        ):
            await client.customers.list(count=10).export(tmp_path / "c.jsonl", changed_since=mark, overwrite=True)
            assert sorted(ids(tmp_path / "c.jsonl")) == sorted(at_edge + after + timeless(sandbox))


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
    async with connect(sandbox) as client:
        report = await client.customers.list(count=20).export(
            tmp_path / "c.jsonl", changed_since="2026-11-10T12:00", concurrency=concurrency
        )
    found = ids(tmp_path / "c.jsonl")
    assert len(found) == len(set(found))
    assert changed - gone <= set(found)
    assert report.list_changed
    assert report.exact


async def test_shuffled_ties_are_counted_and_read_whole(tmp_path):
    """Many changes in one second, in another order on every page: all are found, in the order of ids at last."""
    sandbox = Sandbox(customers=150, seed=1)
    changed = change(sandbox, range(100), "2026-11-10 12:00:00")
    lie(sandbox, reorder=unstable_ties)
    async with connect(sandbox) as client:
        report = await client.customers.list(count=20).export(tmp_path / "c.jsonl", changed_since="2026-11-10T12:00")
    assert sorted(ids(tmp_path / "c.jsonl")) == sorted(changed + timeless(sandbox))
    assert report.exact


async def test_a_disk_that_was_full_when_the_state_began_leaves_it_free(tmp_path, monkeypatch):
    """The first night fails on a full disk: the next one, of the same process, finds the state unused."""
    connect_to, state = sqlite3.connect, tmp_path / "list.state"

    def connect_to_full(path, *args, **more):
        db = connect_to(path, *args, **more)
        db.execute("PRAGMA max_page_count=1")
        return db

    async with connect(Sandbox(customers=3, seed=1)) as client:
        listing = client.customers.list()
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", connect_to_full)
            with pytest.raises(ExportError, match="disk is full") as caught:
                await listing.export(tmp_path / "c.jsonl", state=state)
        assert (await listing.export(tmp_path / "c.jsonl", state=state)).records == 3
    assert caught.value.fix is not None  # the error is still held, with all that its traceback holds


async def test_resumes_too(tmp_path):
    """Records that were written before the stop are not written again."""
    sandbox = Sandbox(customers=400, seed=1)
    changed = change(sandbox, range(200), "2026-11-10 12:00:00")
    path = tmp_path / "c.jsonl"

    def stop(progress):
        if progress.records > 60:
            raise KeyError

    async with connect(sandbox, clock=every_page()) as client:
        listing = client.customers.list(count=30)
        with pytest.raises(KeyError):
            await listing.export(path, changed_since="2026-11-10T12:00", on_progress=stop)
        report = await listing.export(path, changed_since="2026-11-10T12:00", resume=True)
    assert report.resumed
    assert sorted(one["customer_id"] for one in records(path)) == sorted(changed + timeless(sandbox))


async def test_a_record_without_a_time_that_changed_before_the_resume_comes_again(tmp_path):
    """The file has it as the stopped run read it; what changed meanwhile is in the next export."""
    sandbox, state, path = Sandbox(customers=300, seed=1), tmp_path / "state", tmp_path / "c.jsonl"
    names = timeless(sandbox)

    def update(number):
        for name in names:
            sandbox.customers.update(name, {"state": number, "last_change": None})

    def stop(progress):
        if progress.records > 5:
            raise KeyError

    async with connect(sandbox, clock=every_page()) as client:
        listing = client.customers.list(count=30)
        await listing.export(tmp_path / "first.jsonl", state=state)
        sandbox.advance(3600)
        change(sandbox, range(100))
        update(7)
        with pytest.raises(KeyError):
            await listing.export(path, state=state, resume=True, on_progress=stop)
        update(8)
        assert (await listing.export(path, state=state, resume=True)).resumed
        stale = {one["customer_id"] for one in records(path) if one["state"] == 7}
        assert stale
        await listing.export(tmp_path / "next.jsonl", state=state, resume=True)
    assert stale <= {*ids(tmp_path / "next.jsonl")}


async def test_the_next_mark_is_by_the_servers_clock(tmp_path):
    """`next_changed_since` lies a little before the export's beginning, in the project's zone."""
    sandbox = Sandbox(customers=10, seed=1)
    sandbox.set_time(datetime(2031, 5, 1, 10, tzinfo=UTC))
    sandbox.customers.update(sandbox.customers.id_at(0), {"state": 0})
    async with connect(sandbox) as client:
        report = await client.customers.list().export(tmp_path / "c.jsonl")
    lag = datetime(2031, 5, 1, 10, tzinfo=UTC) - report.next_changed_since
    assert OVERLAP <= lag <= OVERLAP + timedelta(seconds=10)
    assert report.next_changed_since.utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("2026-10-25T02:30", "happens twice"),
        ("2026-03-29T02:30", "does not exist"),
        ("yesterday", "ISO 8601"),
        (20261101, "ISO 8601"),
    ],
)
async def test_times_that_mean_nothing_are_refused(tmp_path, mark, reason):
    """A local time that clocks showed twice or never, or no time at all: one sentence, nothing sent."""
    sandbox = Sandbox(customers=10, seed=1)
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match=reason) as caught:
            await client.customers.list().export(tmp_path / "c.jsonl", changed_since=mark)
    assert isinstance(caught.value, ConfigurationError)
    assert sandbox.count() == 0
    assert "\n" not in str(caught.value)


@given(
    mark=st.datetimes(*DAYS, timezones=st.just(UTC)),
    later=st.timedeltas(timedelta(0), timedelta(hours=30)),
)
def test_no_change_falls_behind_a_mark_when_clocks_go_back(mark, later):
    """Whatever bears a local time after the mark is at or after the mark's earliest local time."""
    read = parse_since(mark, PRAGUE)
    local = (mark + later).astimezone(ZoneInfo("Europe/Prague")).replace(tzinfo=None)
    assert local >= read.local
    assert read.moment == mark


def test_marks_of_another_day_are_exact():
    """Far from a change of clocks the local mark is the mark."""
    read = parse_since("2026-11-01T00:00", PRAGUE)
    assert read.local == datetime.fromisoformat("2026-11-01")
    assert read.moment == datetime(2026, 10, 31, 23, tzinfo=UTC)


async def test_a_sort_of_ones_own_is_refused(tmp_path):
    """Changes are read in their own order."""
    sandbox = Sandbox(customers=10, seed=1)
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match="sort_field"):
            await client.customers.list(sort_field="state").export(tmp_path / "c.jsonl", changed_since="2026-01-01")


async def test_a_state_file_makes_a_nightly_job_one_line(tmp_path):
    """The first run writes everything, a calm night nothing, a night with three changes three records."""
    sandbox = Sandbox(customers=300, seed=1)
    state = tmp_path / "state.json"

    async def night(name):
        sandbox.advance(3600)
        await client.customers.list(count=100).export(tmp_path / name, state=state)
        return sorted(ids(tmp_path / name))

    async with connect(sandbox) as client:
        assert len(await night("1.jsonl")) == 300
        sandbox.advance(3600)
        assert await night("2.jsonl") == []
        changed = change(sandbox, [3, 5, 7])
        assert await night("3.jsonl") == sorted(changed)


@pytest.mark.parametrize("when", [1, 2, 3, *variants(*range(4, 12))])
async def test_a_record_without_a_time_that_changes_during_a_night_is_in_the_next(tmp_path, when):
    """What the state remembers of it is the text in the file, and not the text that a later page showed."""
    names, state = hexes(60), tmp_path / "state"
    server = ChangeServer({**old_times(names), names[7]: ""})
    fresh = iter(hexes(99, seed=2))
    copy = {}

    def after():
        if server.requests == when:
            server.times[names[7]] = "  "
        if server.requests < 9:
            server.change(next(fresh))  # so that the night reads the list more than once

    async def night(name):
        server.now += timedelta(hours=12)
        for one in names[20:50]:
            server.change(one)
        async with server.client() as client:
            await client.customers.list(count=20).export(tmp_path / name, state=state)
        copy.update({one["customer_id"]: one["last_change"] for one in records(tmp_path / name)})

    await night("1.jsonl")
    server.times[names[7]], server.requests, server.after = " ", 0, after
    await night("2.jsonl")
    server.after = None
    await night("3.jsonl")
    assert copy == server.times


async def test_a_failed_run_leaves_the_state_as_it_was(tmp_path):
    """The mark moves only when a file has its final name; the next run brings what the failed one should have."""
    sandbox = Sandbox(customers=300, seed=1)
    state, path = tmp_path / "state.json", tmp_path / "c.jsonl"

    def fail(_):
        raise LookupError

    async with connect(sandbox) as client:
        with pytest.raises(LookupError):
            await client.customers.list(count=100).export(path, state=state, on_progress=fail)
        assert not state.exists()
        await client.customers.list(count=100).export(path, state=state)
        sandbox.advance(3600)
        before = state.read_bytes()
        changed = change(sandbox, [1])
        sandbox.advance(3600)
        with pytest.raises(LookupError):
            await client.customers.list().export(path, state=state, overwrite=True, on_progress=fail)
        assert state.read_bytes() == before
        await client.customers.list().export(path, state=state, overwrite=True)
    assert ids(path) == changed


async def test_a_run_whose_end_was_not_reported_is_repeated_whole(tmp_path):
    """Stopped after the file has its name: the mark stays, and a retry with `overwrite=True` has the same records."""
    sandbox = Sandbox(customers=300, seed=1)
    options = {"state": tmp_path / "state", "overwrite": True}
    async with connect(sandbox) as client:
        listing = client.customers.list()
        await listing.export(tmp_path / "c.jsonl", state=tmp_path / "state")
        sandbox.advance(3600)
        changed = change(sandbox, [1, 2])
        sandbox.advance(3600)
        stopped = await write_export(listing.export_source(), tmp_path / "c.jsonl", **options)
        assert sorted(ids(tmp_path / "c.jsonl")) == sorted(changed)
        stopped.close()
        sandbox.advance(3600)
        await listing.export(tmp_path / "c.jsonl", state=tmp_path / "state", overwrite=True)
        assert sorted(ids(tmp_path / "c.jsonl")) == sorted(changed)
        sandbox.advance(3600)
        await listing.export(tmp_path / "c.jsonl", state=tmp_path / "state", overwrite=True)
        assert ids(tmp_path / "c.jsonl") == []


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv"])
@pytest.mark.parametrize("resume", [False, True])
async def test_a_run_that_was_killed_before_its_mark_is_finished_by_the_same_call(tmp_path, resume, name):
    """The file at the target is the one that it noted: nothing is requested, the mark moves, nothing is left."""
    sandbox, state = Sandbox(customers=300, seed=1), tmp_path / "state"
    options = {"state": state, "resume": resume}
    async with connect(sandbox) as client:
        listing = client.customers.list(count=100)
        killed = await write_export(listing.export_source(), tmp_path / name, **options)
        killed.close()
        requests, content = sandbox.count(), (tmp_path / name).read_bytes()
        sandbox.advance(3600)
        report = await listing.export(tmp_path / name, state=state, resume=resume)
        assert (report.finished_before, report.records, sandbox.count()) == (True, 300, requests)
        assert (tmp_path / name).read_bytes() == content
        assert report.next_changed_since == killed.report.next_changed_since
        assert sorted(one.name for one in tmp_path.iterdir()) == [*([f".{name}.run"] if resume else []), name, "state"]
        sandbox.advance(3600)
        changed = change(sandbox, [1, 2])
        await listing.export(tmp_path / "next.jsonl", state=state)
    assert sorted(ids(tmp_path / "next.jsonl")) == sorted(changed)


@pytest.mark.parametrize("resume", [False, True])
async def test_a_run_that_was_killed_before_its_mark_takes_no_other_file_for_its_own(tmp_path, resume):
    """Changed since, or exported with other arguments: the target exists already, and the mark stays."""
    sandbox, state, path = Sandbox(customers=30, seed=1), tmp_path / "state", tmp_path / "c.jsonl"
    options = {"state": state, "resume": resume}
    async with connect(sandbox) as client:
        listing = client.customers.list()
        (await write_export(listing.export_source(), path, **options)).close()
        with pytest.raises(ExportError, match="exists already"):
            await listing.export(path, state=state, resume=resume, fields=["customer_id"])
        path.write_bytes(path.read_bytes() + b"\n")
        with pytest.raises(ExportError, match="exists already"):
            await listing.export(path, state=state, resume=resume)
        report = await listing.export(tmp_path / "other.jsonl", state=state, resume=resume)
    assert (report.records, report.finished_before) == (30, False)


async def test_a_run_that_was_killed_after_its_mark_moved_has_finished(tmp_path):
    """With `resume=True` the same call returns its report, and the mark stays; other arguments are another export."""
    sandbox, state, path = Sandbox(customers=30, seed=1), tmp_path / "state", tmp_path / "c.jsonl"
    async with connect(sandbox) as client:
        listing = client.customers.list()
        await listing.export(tmp_path / "first.jsonl", state=state, resume=True)
        sandbox.advance(3600)
        changed = change(sandbox, [1, 2])
        sandbox.advance(4 * 3600)  # more than the mark lies before the run
        await listing.export(path, state=state, resume=True)
        assert sorted(ids(path)) == sorted(changed)
        later = change(sandbox, [3])
        requests = sandbox.count()
        report = await listing.export(path, state=state, resume=True)
        assert (report.finished_before, report.records, sandbox.count()) == (True, 2, requests)
        for other in ({"fields": ["customer_id"]}, {"resume": False}):
            with pytest.raises(ExportError, match="exists already"):
                await listing.export(path, state=state, **{"resume": True, **other})
        with pytest.raises(ExportError, match="exists already"):
            await listing.export(tmp_path / "first.jsonl", state=state, resume=True)
        sandbox.advance(3600)
        await listing.export(tmp_path / "next.jsonl", state=state, resume=True)
    assert ids(tmp_path / "next.jsonl") == later


@pytest.mark.parametrize("wrong", ["damaged", "other list", "both"])
async def test_a_state_that_does_not_fit_is_refused(tmp_path, wrong):
    """A damaged state, another list's state, and a state with `changed_since` are errors before anything is written."""
    sandbox = Sandbox(customers=10, seed=1)
    state, path = tmp_path / "state.json", tmp_path / "c.jsonl"
    filters = {"last_name": "Smith"} if wrong == "other list" else {}
    more = {"changed_since": "2026-11-10T12:00"} if wrong == "both" else {}
    async with connect(sandbox) as client:
        await client.customers.list().export(path, state=state)
        if wrong == "damaged":
            state.write_text("{}")
        with pytest.raises(ExportError, match="state"):
            await client.customers.list(**filters).export(path, state=state, overwrite=True, **more)
