"""Nights with a state file or a mark: no change is lost, whatever is killed, empty, or spelled in another way."""

import contextlib
import os
import sqlite3
from datetime import timedelta

import pytest
from clocks import FakeClock
from export_help import NAMES, change, every_page, ids, records, timeless
from kit import connect
from lists import SPELLINGS, ChangeServer, SpellingServer, hexes, old_times
from thorough import variants

from carecloud_async import ExportError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

SINCE = "2026-11-10T12:00"


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


async def test_without_a_date_and_a_time_there_is_no_mark(tmp_path, state):
    """If nothing shows the server's time, the next run reads everything again."""
    async with ChangeServer(dict.fromkeys(NAMES[:30]), dated=False).client() as client:
        report = await client.customers.list().export(tmp_path / "1.jsonl", state=state)
    assert report.next_changed_since is None
    assert not state.exists()


async def test_a_record_without_a_time_that_changed_before_the_resume_comes_again(tmp_path, state):
    """The file has it as the stopped run read it; what changed meanwhile is in the next export."""
    sandbox, path = Sandbox(customers=300, seed=1), tmp_path / "c.jsonl"
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
        stale = {record["customer_id"] for record in records(path) if record["state"] == 7}
        await listing.export(tmp_path / "next.jsonl", state=state, resume=True)
    assert stale
    assert stale <= {*ids(tmp_path / "next.jsonl")}


@pytest.mark.parametrize("when", [1, 2, 3, *variants(*range(4, 12))])
async def test_a_record_without_a_time_that_changes_during_a_night_is_in_the_next(tmp_path, state, when):
    """What the state remembers of it is the text in the file, and not the text that a later page showed."""
    names, fresh, copy = NAMES[:60], iter(hexes(99, seed=2)), {}
    server = ChangeServer({**old_times(names), names[7]: ""})

    def after():
        if server.requests == when:
            server.times[names[7]] = "  "
        if server.requests < 9:
            server.change(next(fresh))  # so that the night reads the list more than once

    async def night(name):
        server.now += timedelta(hours=12)
        server.change(*names[20:50])
        async with server.client() as client:
            await client.customers.list(count=20).export(tmp_path / name, state=state)
        copy.update({record["customer_id"]: record["last_change"] for record in records(tmp_path / name)})

    await night("1.jsonl")
    server.times[names[7]], server.requests, server.after = " ", 0, after
    await night("2.jsonl")
    server.after = None
    await night("3.jsonl")
    assert copy == server.times


async def test_a_failed_run_leaves_the_state_as_it_was(tmp_path, state):
    """The mark moves only when a file has its final name; the next run brings what the failed one should have."""
    sandbox, path = Sandbox(customers=300, seed=1), tmp_path / "c.jsonl"

    def fail(_):
        raise LookupError

    async with connect(sandbox) as client:
        listing = client.customers.list(count=100)
        with pytest.raises(LookupError):
            await listing.export(path, state=state, on_progress=fail)
        assert not state.exists()
        await listing.export(path, state=state)
        sandbox.advance(3600)
        before = state.read_bytes()
        changed = change(sandbox, [1])
        sandbox.advance(3600)
        with pytest.raises(LookupError):
            await listing.export(path, state=state, overwrite=True, on_progress=fail)
        assert state.read_bytes() == before
        await listing.export(path, state=state, overwrite=True)
    assert ids(path) == changed


async def test_a_disk_that_was_full_when_the_state_began_leaves_it_free(tmp_path, state, monkeypatch):
    """The first night fails on a full disk: the next one, of the same process, finds the state unused."""
    connect_to = sqlite3.connect

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


class KilledError(BaseException):
    """A kill: nothing catches it."""


async def export_and_die(listing, path, monkeypatch, **options):
    """Export, and be killed when the file has got its name and the state is not noted yet."""
    link, replace = os.link, os.replace

    def die_after(move):
        def moved(source, target, *args):
            move(source, target, *args)
            if os.fspath(target) == os.fspath(path):
                raise KilledError

        return moved

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", die_after(link))
        patch.setattr(os, "replace", die_after(replace))
        with pytest.raises(KilledError):
            await listing.export(path, **options)


async def test_a_run_whose_end_was_not_reported_is_repeated_whole(tmp_path, state, monkeypatch):
    """Stopped after the file has its name: the mark stays, and a retry with `overwrite=True` has the same records."""
    sandbox, path, options = Sandbox(customers=300, seed=1), tmp_path / "c.jsonl", {"state": state, "overwrite": True}
    async with connect(sandbox) as client:
        listing = client.customers.list()
        await listing.export(path, state=state)
        sandbox.advance(3600)
        changed = change(sandbox, [1, 2])
        sandbox.advance(3600)
        await export_and_die(listing, path, monkeypatch, **options)
        for expected in (changed, changed, []):
            assert sorted(ids(path)) == sorted(expected) or expected == []
            sandbox.advance(3600)
            await listing.export(path, **options)
        assert ids(path) == []


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv"])
@pytest.mark.parametrize("resume", [False, True])
async def test_a_run_that_was_killed_before_its_mark_is_finished_by_the_same_call(
    tmp_path, state, monkeypatch, resume, name
):
    """The file at the target is the one that it noted: nothing is requested, the mark moves, nothing is left."""
    sandbox, path, options = Sandbox(customers=300, seed=1), tmp_path / name, {"state": state, "resume": resume}
    async with connect(sandbox) as client:
        listing = client.customers.list(count=100)
        await export_and_die(listing, path, monkeypatch, **options)
        requests, content = sandbox.count(), path.read_bytes()
        sandbox.advance(3600)
        report = await listing.export(path, **options)
        assert (report.finished_before, report.records, sandbox.count()) == (True, 300, requests)
        assert path.read_bytes() == content
        left = sorted(file.name for file in tmp_path.iterdir())
        assert left == [*([f".{name}.run"] if resume else []), name, "state"]
        changed = change(sandbox, [1, 2])
        await listing.export(tmp_path / "next.jsonl", state=state)
    assert sorted(ids(tmp_path / "next.jsonl")) == sorted(changed)


@pytest.mark.parametrize("resume", [False, True])
async def test_a_run_that_was_killed_before_its_mark_takes_no_other_file_for_its_own(
    tmp_path, state, monkeypatch, resume
):
    """Changed since, or exported with other arguments: the target exists already, and the mark stays."""
    path, options = tmp_path / "c.jsonl", {"state": state, "resume": resume}
    async with connect(Sandbox(customers=30, seed=1)) as client:
        listing = client.customers.list()
        await export_and_die(listing, path, monkeypatch, **options)
        with pytest.raises(ExportError, match=r"exists already|its fields differ"):
            await listing.export(path, fields=["customer_id"], **options)
        path.write_bytes(path.read_bytes()[:-1] + b" ")  # as long, and written a second later
        os.utime(path, (path.stat().st_mtime + 1,) * 2)
        with pytest.raises(ExportError, match="exists already"):
            await listing.export(path, **options)
        report = await listing.export(tmp_path / "other.jsonl", **options)
    assert (report.records, report.finished_before) == (30, False)


async def test_a_run_that_was_killed_after_its_mark_moved_has_finished(tmp_path, state):
    """With `resume=True` the same call returns its report, and the mark stays; other arguments are another export."""
    sandbox, path = Sandbox(customers=30, seed=1), tmp_path / "c.jsonl"
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
        for name, other in ((path, {"fields": ["customer_id"]}), (path, {"resume": False}), ("first.jsonl", {})):
            with pytest.raises(ExportError, match="exists already"):
                await listing.export(tmp_path / name, state=state, **{"resume": True, **other})
        sandbox.advance(3600)
        await listing.export(tmp_path / "next.jsonl", state=state, resume=True)
    assert ids(tmp_path / "next.jsonl") == later


@pytest.mark.parametrize("wrong", ["damaged", "other list", "both"])
async def test_a_state_that_does_not_fit_is_refused(tmp_path, state, wrong):
    """A damaged state, another list's state, and a state with `changed_since` are errors before anything is written."""
    path = tmp_path / "c.jsonl"
    filters = {"last_name": "Smith"} if wrong == "other list" else {}
    more = {"changed_since": SINCE} if wrong == "both" else {}
    async with connect(Sandbox(customers=10, seed=1)) as client:
        await client.customers.list().export(path, state=state)
        if wrong == "damaged":
            state.write_text("{}")
        with pytest.raises(ExportError, match="state"):
            await client.customers.list(**filters).export(path, state=state, overwrite=True, **more)


@pytest.mark.parametrize("allowed", [False, True])
async def test_an_empty_list_that_had_records_is_doubted(tmp_path, state, caplog, allowed):
    """A night that finds 17 records gone is not exact, and its mark stays; `allow_shrink=True` believes it."""
    server, reports = ChangeServer(old_times(NAMES[:17])), []
    times = dict(server.times)
    async with server.client(clock=FakeClock()) as client:
        for number, shown in enumerate((times, {}, times)):
            server.times = dict(shown)
            if number == 2:
                server.change(min(times))
            path = tmp_path / f"{number}.jsonl"
            reports.append(await client.customers.list(count=50).export(path, state=state, allow_shrink=allowed))
    assert [report.exact for report in reports] == [True, allowed, True]
    assert ("allow_shrink" in caplog.text) is not allowed
    assert allowed or len(ids(tmp_path / "2.jsonl")) == 1


async def test_a_list_that_never_had_records_is_empty(tmp_path, state):
    """A list that was empty before is exact, and costs one request."""
    server = ChangeServer({})
    async with server.client(clock=FakeClock()) as client:
        for _ in range(2):
            assert (await client.customers.list().export(tmp_path / "c.jsonl", state=state, overwrite=True)).exact
    assert server.requests == 2


async def test_a_file_with_records_is_evidence(tmp_path):
    """An export that replaces a file with records by none is not exact."""
    server = ChangeServer(old_times(NAMES[:17]))
    async with server.client(clock=FakeClock()) as client:
        for exact in (True, False):
            report = await client.customers.list().export(tmp_path / "c.jsonl", overwrite=True)
            assert report.exact is exact
            server.times = {}


async def test_changes_between_comparisons_doubt_an_empty_list(state):
    """Between two comparisons an empty list moves no mark: what changed is there when the records are back."""
    server = ChangeServer(old_times(NAMES[:17]))
    times = dict(server.times)
    async with server.client(clock=FakeClock()) as client:
        for number, shown in enumerate((times, {}, times)):
            server.times = dict(shown)
            if number == 2:
                server.change(min(times))
            async with client.customers.list().changes(state=state, compare_every=timedelta(days=7)) as changes:
                taken = [(change.kind, change.id) async for change in changes]
            assert changes.report.exact == (number != 1)
    assert taken == [("updated", min(times))]


@pytest.mark.parametrize("since", [False, True])
async def test_a_list_that_becomes_empty_while_it_is_read_moves_no_mark(tmp_path, state, since):
    """A right that is taken away in the middle hides the rest: what was not read comes when it is back."""
    server = ChangeServer(old_times(NAMES[:60]))
    night = {"state": state, "overwrite": True}
    async with server.client(clock=FakeClock()) as client:
        listing = client.customers.list(count=10)
        if since:
            assert (await listing.export(tmp_path / "c.jsonl", **night)).exact
            server.now += timedelta(hours=1)
            server.change(*server.times)
        times = dict(server.times)
        server.requests = 0
        server.after = lambda: server.requests == 3 and server.times.clear()
        report = await listing.export(tmp_path / "c.jsonl", **night)
        assert report.records < 60
        assert not report.exact
        server.after, server.times = None, times
        await listing.export(tmp_path / "c.jsonl", **night)
    assert len(ids(tmp_path / "c.jsonl")) == 60


async def test_a_stream_that_goes_on_with_an_empty_list_is_not_exact():
    """The list had the records before the mark: a right that was taken away meanwhile looks like that."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    server = ChangeServer(old_times(NAMES[:60]))
    async with server.client(clock=FakeClock()) as client:
        listing = client.customers.list(count=10)
        async with listing.arrow(concurrency=1) as batches:
            await anext(batches)
            mark = batches.mark
        server.times.clear()
        async with listing.arrow(after=mark) as batches:
            assert [batch async for batch in batches] == []
    assert not batches.report.exact


async def by_changed_since(server, folder):
    """Two nights by `next_changed_since`."""
    since = None
    async with server.client() as client:
        for number in (1, 2):
            report = await client.customers.list(count=50).export(folder / f"{number}.jsonl", changed_since=since)
            since = report.next_changed_since
            yield set(ids(folder / f"{number}.jsonl")), report.exact


async def by_state(server, folder):
    """Two nights with a state file."""
    async with server.client() as client:
        for number in (1, 2):
            path = folder / f"{number}.jsonl"
            report = await client.customers.list(count=50).export(path, state=folder / "state")
            yield set(ids(path)), report.exact


async def by_changes(server, folder):
    """Two nights of `changes`, the second between two comparisons."""
    async with server.client() as client:
        for _ in (1, 2):
            listing = client.customers.list(count=50)
            async with listing.changes(state=folder / "state", compare_every=timedelta(days=7)) as changes:
                taken = {change.id async for change in changes}
            yield taken, changes.report.exact


async def by_arrow(server, folder):
    """Two nights of Arrow batches."""
    del folder
    since = None
    async with server.client() as client:
        for _ in (1, 2):
            async with client.customers.list(count=50).arrow(changed_since=since) as batches:
                taken = {name async for batch in batches for name in batch.column("customer_id").to_pylist()}
            since = batches.report.next_changed_since
            yield taken, batches.report.exact


WAYS = [
    (by_changed_since, False, 10),
    *variants((by_changed_since, True, 200), (by_state, False, 10)),
    (by_changes, True, 10),
    *variants((by_arrow, False, 200)),
]


@pytest.mark.parametrize(("way", "by_text", "minutes"), WAYS)
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_change_is_lost(tmp_path, spelling, way, by_text, minutes):
    """A record that changes ten minutes or some hours after the first night is in the second, or that is not exact."""
    names = NAMES[:120]
    server = SpellingServer(names, spelling, by_text=by_text)
    async with contextlib.aclosing(way(server, tmp_path)) as nights:
        assert await anext(nights) == (set(names), True)
        server.now += timedelta(minutes=minutes)
        server.change(names[7], names[100])
        server.now += timedelta(minutes=30)
        taken, exact = await anext(nights)
    assert taken >= {names[7], names[100]} or not exact


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_state_remembers_records_without_a_time(tmp_path, state, spelling):
    """Of records whose time cannot be read, a night with a state file brings only those that are different."""
    server = SpellingServer(NAMES[:120], spelling)
    async with server.client() as client:
        for number, expected in ((1, sorted(NAMES[:120])), (2, [NAMES[7]]), (3, [])):
            path = tmp_path / f"{number}.jsonl"
            assert (await client.customers.list(count=50).export(path, state=state)).exact
            assert sorted(ids(path)) == expected
            server.now += timedelta(hours=5)
            if number == 1:
                server.change(NAMES[7])
            server.now += timedelta(hours=5)
