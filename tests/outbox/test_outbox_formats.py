"""Files of an outbox of each format, as SQL: what becomes of them, and of entries that cannot be read."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from outbox_tools import put_bill

from carecloud_async.outbox import OutboxError
from carecloud_async.outbox.queue import KIND

pytestmark = pytest.mark.anyio

FORMATS = Path(__file__).parent / "formats"
VERSIONS = sorted(int(item.stem.removeprefix("version_")) for item in FORMATS.glob("version_*.sql"))


def restore(path, version):
    """Write the file of a format."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript((FORMATS / f"version_{version}.sql").read_text())


def change(path, statement):
    """Change a closed file, which is left without a seal."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        assert database.execute(statement).rowcount
        database.execute("PRAGMA user_version = 0")


async def test_a_file_of_this_format_goes_on(client, server, path):
    """A waiting bill, points that were being sent, a lost change and a refused bill, kept as a file of this version."""
    # If this fails because a format has changed: raise the version, and keep a file of the new one beside the others.
    assert [*range(1, KIND.version + 1)] == VERSIONS
    restore(path, KIND.version)
    server.customers["c1"] = {"customer_id": "c1", "personal_information": {"first_name": "A", "city": "Brno"}}
    server.points.append({"customer_id": "p", "point_amount": 5.0, "point_operation_note": "[ref: B1]"})
    async with client.outbox(path) as outbox:
        assert (outbox.waiting, outbox.failed) == (3, 1)
        await put_bill(client, outbox, 9, customer_id="s")  # it was sent before
        assert outbox.waiting == 3
        assert not await outbox.flush()
        (failed,) = await outbox.failures()
    assert (failed.label, failed.reasons) == ("purchases.send_purchase 4", ("bill.payment_recap: voucher_used",))
    assert server.bill_ids() == ["1"]
    assert server.notes() == ["[ref: B1]"]
    assert server.customers["c1"]["personal_information"] == {"first_name": "Eva", "city": "Brno"}


async def test_a_new_file_has_the_tables_of_the_kept_one(client, path, tmp_path):
    """A table that changes gets another version: the tables of a new file are those of the kept file of its version."""
    restore(tmp_path / "kept.db", KIND.version)
    async with client.outbox(path):
        pass
    kept, made = (
        {re.sub(r"\s+", " ", sql) for (sql,) in closing_query(value, "SELECT sql FROM sqlite_master WHERE sql NOTNULL")}
        for value in (tmp_path / "kept.db", path)
    )
    assert kept == made


def closing_query(path, query):
    """Return all rows of a query."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


@pytest.mark.parametrize("version", VERSIONS[:-1])
async def test_a_file_of_another_format_is_refused_with_what_to_do(client, path, version):
    """A file of an earlier version is not touched, and the error names that its version goes on with it."""
    restore(path, version)
    with pytest.raises(OutboxError, match="was made by another version of this package: go on with that version, or"):
        async with client.outbox(path):
            pass
    assert closing_query(path, "SELECT count(*) FROM entries") > [(0,)]


@pytest.mark.parametrize(
    ("broken", "outcome"),
    [
        ("SET body = '{'", "refused"),
        ("SET body = '{\"unheard_of\": 1}'", "refused"),
        ("SET kind = 'reviews.write'", "refused"),
        ("SET intent = '[false]', tries = 1", "unknown"),
        ("SET kind = 'reviews.write', intent = '[true, [], null, {}, null]', state = 1", "unknown"),
    ],
)
async def test_an_entry_that_cannot_be_read_fails_alone(client, server, path, broken, outcome):
    """An entry of another version, or a damaged one, is shown as failed; the others, of its customer too, are sent."""
    server.away = True
    async with client.outbox(path) as outbox:
        for number in (1, 2, 3):
            await put_bill(client, outbox, number, customer_id="cc d"[number])
    server.away = False
    change(path, f"UPDATE entries {broken} WHERE id = 1")
    async with client.outbox(path) as outbox:
        assert not await outbox.flush()
        assert outbox.problem is None
        (failed,) = await outbox.failures()
        assert (failed.id, failed.outcome) == (1, outcome)
        assert "this version of carecloud-async cannot" in failed.reasons[0]
        assert await outbox.retry() == 1
        await outbox.flush()
        (failed,) = await outbox.failures()
        assert failed.outcome == outcome
    assert sorted(server.bill_ids()) == ["2", "3"]
