"""`if_unchanged`: the times of rows and records are compared as times, however either spells them."""

from datetime import UTC, datetime, timedelta

import pytest
from bulk_tools import counts, read

from carecloud_async.pytest_plugin.clock import START

pytestmark = pytest.mark.anyio

#: Ways to write the time of the record, 2026-03-02 12:00:00 in the zone of the server, and a time before it.
SAME = [
    "2026-03-02 12:00:00", "2026-03-02T12:00:00", "2026-03-02 12:00:00.000000", "2.3.2026 12:00:00", "2. 3. 2026 12:00",
    "2026-03-02 12:00", "2026-03-02T11:00:00Z", "2026-03-02 12:00:00+01:00", START.replace(tzinfo=None),
    datetime(2026, 3, 2, 11, tzinfo=UTC),
]  # fmt: skip
BEFORE = [
    "2026-03-02 11:59:59", "2.3.2026 9:00", "28.2.2026 13:00:00", "2026-03-02T11:00:00.5+01:00",
    START.replace(tzinfo=None) - timedelta(seconds=1), "2026-03-02 11:59", "0000-00-00 00:00:00",
]  # fmt: skip


@pytest.mark.parametrize(
    ("last_change", "outcome"),
    [
        *((item, "updated") for item in SAME),
        *((item, "conflict") for item in BEFORE),
        ("soon", "refused"),
        ("", "refused"),
    ],
)
async def test_times_of_any_spelling(server, write, results, last_change, outcome):
    """A row's time is read as spreadsheets, JSON and Python write it; one that is no time refuses the row."""
    row = {"customer_id": server.add("a@x.cz", last_name="Old"), "last_name": "New", "last_change": last_change}
    report = await write([row], match="customer_id", if_unchanged=True, results=results)
    assert counts(report) == {outcome: 1}
    if outcome != "updated":
        assert read(results)[0]["reasons"][0].startswith("last_change: ")
