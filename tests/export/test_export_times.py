"""Nights of lists whose `last_change` is spelled in any way: no change is lost, or the night is not exact."""

import contextlib
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from change_server import hexes
from export_help import ids
from spelling_server import SPELLINGS, SpellingServer
from thorough import variants

from carecloud_async._lists.export.reading.times import NEVER, NoTime, read_time

pytestmark = pytest.mark.anyio

PRAGUE = ZoneInfo("Europe/Prague")
NAMES = hexes(120)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2026-11-24 12:00:00", datetime.fromisoformat("2026-11-24 12:00:00")),
        ("2026-11-24T12:00", datetime.fromisoformat("2026-11-24 12:00:00")),
        ("2026-11-24T11:00:00Z", datetime.fromisoformat("2026-11-24 12:00:00")),
        ("2026-11-24 06:00:00-05:00", datetime.fromisoformat("2026-11-24 12:00:00")),
        ("0000-00-00 00:00:00", NEVER),
        ("0000-00-00", NEVER),
        (None, NoTime.BLANK),
        (" ", NoTime.BLANK),
        ("2026-11-24", NoTime.FOREIGN),
        ("24.11.2026 12:00", NoTime.FOREIGN),
        ("2026-13-24 12:00:00", NoTime.FOREIGN),
        ("9999-12-31 23:59:59-12:00", NoTime.FOREIGN),
        (1795518000, NoTime.FOREIGN),
    ],
)
def test_what_a_last_change_says(value, found):
    """A time in the project's zone, an offset honoured; a zero date is never; anything else is not a time."""
    assert read_time(value, PRAGUE) == found


async def by_changed_since(server, folder):
    """Two nights by `next_changed_since`."""
    async with server.client() as client:
        first = await client.customers.list(count=50).export(folder / "1.jsonl")
        yield set(ids(folder / "1.jsonl")), first.exact
        second = await client.customers.list(count=50).export(
            folder / "2.jsonl", changed_since=first.next_changed_since
        )
        yield set(ids(folder / "2.jsonl")), second.exact


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
                found = {one.id async for one in changes}
            yield found, changes.report.exact


async def by_arrow(server, folder):
    """Two nights of Arrow batches."""
    since = None
    async with server.client() as client:
        for _ in (1, 2):
            found = set()
            async with client.customers.list(count=50).arrow(changed_since=since) as batches:
                async for batch in batches:
                    found.update(batch.column("customer_id").to_pylist())
            since = batches.report.next_changed_since
            yield found, batches.report.exact


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
    server = SpellingServer(NAMES, spelling, by_text=by_text)
    async with contextlib.aclosing(way(server, tmp_path)) as nights:
        found, exact = await anext(nights)
        assert found == set(NAMES)
        assert exact
        server.now += timedelta(minutes=minutes)
        server.change(NAMES[7], NAMES[100])
        server.now += timedelta(minutes=30)
        found, exact = await anext(nights)
    assert found >= {NAMES[7], NAMES[100]} or not exact


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_state_remembers_records_without_a_time(tmp_path, spelling):
    """Of records whose time cannot be read, a night with a state file brings only those that are different."""
    server = SpellingServer(NAMES, spelling)
    async with server.client() as client:
        for number in (1, 2, 3):
            report = await client.customers.list(count=50).export(
                tmp_path / f"{number}.jsonl", state=tmp_path / "state"
            )
            assert report.exact
            server.now += timedelta(hours=5)
            if number == 1:
                server.change(NAMES[7])
            server.now += timedelta(hours=5)
    assert ids(tmp_path / "2.jsonl") == [NAMES[7]]
    assert ids(tmp_path / "3.jsonl") == []
