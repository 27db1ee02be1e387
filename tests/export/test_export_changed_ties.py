"""Changed since, where a server deals records of the same time differently for every page: none is missed silently."""

import pytest
from change_server import ChangeServer, old_times
from export_help import ids

pytestmark = pytest.mark.anyio

NEW = [f"n{number:02}" for number in range(30)]
SINCE = "2026-11-05T12:00"


class TiesServer(ChangeServer):
    """Thirty records of the same time, and sixty older ones: from offset 10 on, n03 is in the place of n25.

    Attributes:
        deletes: whether n29 is deleted before the second pass.
    """

    def __init__(self, *, deletes=False):
        old = old_times([f"a{number:02}" for number in range(60)])
        super().__init__({**dict.fromkeys(NEW, "2026-11-10 11:00:00"), **old})
        self.deletes = deletes
        self.offset = 0
        self.has_shown_end = False

    async def __call__(self, request):
        self.offset = int(request.url.params.get("offset", 0))
        return await super().__call__(request)

    def listed(self, field, descending):
        if field == "last_change" and not descending:
            self.has_shown_end = True
        elif field == "last_change" and self.has_shown_end and self.deletes:
            self.times.pop("n29", None)
        shown = super().listed(field, descending)
        if field == "last_change" and descending and self.offset >= 10:
            here, there = shown.index("n25"), shown.index("n03")
            shown[here], shown[there] = shown[there], shown[here]
        return shown


async def test_a_record_deleted_since_an_earlier_pass_does_not_account_for_a_missing_one(tmp_path):
    """The second pass shows one record twice and one never, and a record of the first pass is gone: it is not exact."""
    async with TiesServer(deletes=True).client() as client:
        report = await client.customers.list(count=6).export(tmp_path / "c.jsonl", changed_since=SINCE)
    assert not {*NEW[:29]} - {*ids(tmp_path / "c.jsonl")}
    assert report.exact
