"""Lists that are empty and had records: a right that is gone or a server that starts is not an empty list."""

from datetime import timedelta

import httpx
import pytest
from change_server import ChangeServer, hexes, old_times
from clocks import FakeClock
from export_help import ids

pytestmark = pytest.mark.anyio


async def nights(server, folder, **options):
    """Return the reports of a night with records, one with an empty list, and one with all again and a change."""
    times, reports = dict(server.times), []
    async with server.client(clock=FakeClock()) as client:
        for number, shown in enumerate((times, {}, times)):
            server.times = dict(shown)
            if number == 2:
                server.change(min(times))
            path = folder / f"{number}.jsonl"
            reports.append(await client.customers.list(count=50).export(path, state=folder / "state", **options))
    return reports


async def test_an_empty_list_that_had_records_is_doubted(tmp_path, caplog):
    """A night that finds 17 records gone is not exact, and its mark does not move: the next one brings the changes."""
    reports = await nights(ChangeServer(old_times(hexes(17))), tmp_path)
    assert [one.exact for one in reports] == [True, False, True]
    assert "allow_shrink" in caplog.text
    assert len(ids(tmp_path / "2.jsonl")) == 1


async def test_allow_shrink_believes_an_empty_list(tmp_path):
    """With `allow_shrink=True` an empty list is believed, and the mark moves."""
    reports = await nights(ChangeServer(old_times(hexes(17))), tmp_path, allow_shrink=True)
    assert [one.exact for one in reports] == [True, True, True]


async def test_a_list_that_never_had_records_is_empty(tmp_path):
    """A list that was empty before is exact, and costs one request."""
    server = ChangeServer({})
    async with server.client(clock=FakeClock()) as client:
        for _ in range(2):
            report = await client.customers.list().export(
                tmp_path / "c.jsonl", state=tmp_path / "state", overwrite=True
            )
            assert report.exact
    assert server.requests == 2


async def test_a_file_with_records_is_evidence(tmp_path):
    """An export that replaces a file with records by none is not exact."""
    server = ChangeServer(old_times(hexes(17)))
    async with server.client(clock=FakeClock()) as client:
        listing = client.customers.list()
        assert (await listing.export(tmp_path / "c.jsonl", overwrite=True)).exact
        server.times = {}
        assert not (await listing.export(tmp_path / "c.jsonl", overwrite=True)).exact


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_filter_may_hide_everything(tmp_path, allowed):
    """A filtered list that had records is believed to be empty if the caller says so."""
    server = ChangeServer(old_times(hexes(17)))
    answer = server.__call__
    server.is_filtered = False

    async def filtered(request):
        times = server.times
        hides = server.is_filtered
        server.times = {} if hides else times
        try:
            return await answer(request)
        finally:
            server.times = times

    async with server.client(transport=httpx.MockTransport(filtered), clock=FakeClock()) as client:
        for number in range(2):
            server.is_filtered = bool(number)
            listing = client.customers.list(last_name="Smith")
            path = tmp_path / f"{number}.jsonl"
            report = await listing.export(path, state=tmp_path / "state", allow_shrink=allowed)
    assert report.exact == allowed


async def test_changes_between_comparisons_doubt_an_empty_list(tmp_path):
    """Between two comparisons an empty list moves no mark: what changed is there when the records are back."""
    server = ChangeServer(old_times(hexes(17)))
    times = dict(server.times)
    async with server.client(clock=FakeClock()) as client:
        for number, shown in enumerate((times, {}, times)):
            server.times = dict(shown)
            if number == 2:
                server.change(min(times))
            listing = client.customers.list()
            async with listing.changes(state=tmp_path / "state", compare_every=timedelta(days=7)) as changes:
                found = [(one.kind, one.id) async for one in changes]
            assert changes.report.exact == (number != 1)
    assert found == [("updated", min(times))]


@pytest.mark.parametrize("since", [False, True])
async def test_a_list_that_becomes_empty_while_it_is_read_moves_no_mark(tmp_path, since):
    """A right that is taken away in the middle hides the rest: what was not read comes when it is back."""
    server = ChangeServer(old_times(hexes(60)))
    times, night = dict(server.times), {"state": tmp_path / "state", "overwrite": True}
    async with server.client(clock=FakeClock()) as client:
        listing = client.customers.list(count=10)
        if since:
            assert (await listing.export(tmp_path / "c.jsonl", **night)).exact
            server.now += timedelta(hours=1)
            for one in times:
                server.change(one)
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
    server = ChangeServer(old_times(hexes(60)))
    async with server.client(clock=FakeClock()) as client:
        listing = client.customers.list(count=10)
        async with listing.arrow(concurrency=1) as batches:
            await anext(batches)
            mark = batches.mark
        server.times.clear()
        async with listing.arrow(after=mark) as batches:
            assert [one async for one in batches] == []
    assert not batches.report.exact
