"""A list as a stream of Arrow record batches: exact, bounded, resumable, without a file."""

import gc
import json
import random

import anyio
import pytest
from export_help import ids
from kit import connect
from list_machine import ORDERS, numbered
from thorough import variants

from carecloud_async import BadRequestError, ConfigurationError, ExportError
from carecloud_async.sandbox import Sandbox

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

pytestmark = pytest.mark.anyio


def names(batches):
    return [record for batch in batches for record in batch.column("customer_id").to_pylist()]


async def take(listing, **more):
    async with listing.arrow(**more) as batches:
        taken = [batch async for batch in batches]
    return taken, batches


async def test_a_stream_is_what_the_parquet_file_holds(tmp_path):
    """Batches and file have the same schema and the same rows, and the reports agree."""
    sandbox = Sandbox(customers=700, seed=1)
    async with connect(sandbox) as client:
        report = await client.customers.list(count=50).export(tmp_path / "c.parquet")
        taken, batches = await take(client.customers.list(count=50), concurrency=4)
        naive, _ = await take(
            client.customers.list(count=50), timestamps="project", fields=["last_change", "unknown_fields"]
        )
    table = pq.read_table(tmp_path / "c.parquet")
    assert all(isinstance(batch, pa.RecordBatch) and batch.schema == batches.schema for batch in taken)
    assert pa.Table.from_batches(taken).equals(table)
    assert (batches.report.records, batches.report.nulls) == (report.records, report.nulls) == (700, report.nulls)
    assert batches.report.exact
    assert str(naive[0].schema) == "last_change: timestamp[us]\nunknown_fields: string"


async def test_an_empty_list_has_the_schema():
    """An empty list gives no batch, and the same schema as any other."""
    async with connect(Sandbox(customers=0)) as client:
        taken, batches = await take(client.customers.list())
    assert taken == []
    assert batches.schema.names[-1] == "unknown_fields"
    assert batches.report.records == 0


@pytest.mark.parametrize("seed", [0, *variants(1, 2, 3)])
async def test_a_stream_is_exact_under_change(seed):
    """A record that stays in the list is in exactly one batch while others come and go at every page."""
    chance = random.Random(seed)

    def change(server):
        for _ in range(3):
            server.delete(chance.randrange(len(server.records)))
            server.records.append((f"{chance.randrange(16**6):06x}-new", -server.requests))

    server = numbered([f"{record * 5000:06x}" for record in range(400)], churn=change, dice=random.Random(seed))
    before = server.names
    async with server.client() as client:
        taken, batches = await take(client.customers.list(count=20), concurrency=3)
    got = names(taken)
    assert len(got) == len(set(got))
    if batches.report.exact:
        assert before - {record for record, _ in server.gone} <= set(got)
    assert batches.report.records == len(got)


async def test_a_stream_is_continued_by_its_mark():
    """Stopped anywhere, `after=batches.mark` brings the rest: together every record once, and the counts of both."""
    sandbox = Sandbox(customers=500, seed=1)
    async with connect(sandbox) as client:
        whole, complete = await take(client.customers.list(count=40))
        first = []
        async with client.customers.list(count=40).arrow() as batches:
            assert batches.mark is None
            async for batch in batches:
                first.append(batch)
                if len(first) == 4:
                    break
        mark = batches.mark
        requests = sandbox.count("GET /customers")
        rest, continued = await take(client.customers.list(count=40), after=mark)
        assert sandbox.count("GET /customers") - requests < 12
        assert names(first) + names(rest) == names(whole) == sorted(sandbox.customers.ids())
        assert continued.report.records == 500
        assert continued.report.resumed
        assert continued.report.nulls == complete.report.nulls
        again, ended = await take(client.customers.list(count=40), after=continued.mark)
        assert again == []
        assert ended.report.records == 500


async def test_a_mark_of_another_stream_is_refused():
    """The message says what differs; another text is refused as no mark, before anything is sent."""
    sandbox = Sandbox(customers=50, seed=1)
    async with connect(sandbox) as client:
        _, batches = await take(client.customers.list())
        before = sandbox.count()
        with pytest.raises(ConfigurationError, match="filters"):
            client.customers.list(last_name="Smith").arrow(after=batches.mark)
        with pytest.raises(ConfigurationError, match="fields"):
            client.customers.list().arrow(after=batches.mark, fields=["state"])
        for mark in ("", "nonsense", batches.mark[:-9], "č"):
            with pytest.raises(ConfigurationError, match="not a mark"):
                client.customers.list().arrow(after=mark)
    assert sandbox.count() == before


async def test_a_slow_consumer_makes_the_reading_wait():
    """At most the pages in flight and two batches are ahead of a slow consumer."""
    server = numbered([f"{record:04x}" for record in range(1000)])
    async with server.client() as client, client.customers.list(count=10).arrow(concurrency=4) as batches:
        await anext(batches)
        for _ in range(300):
            await anyio.sleep(0.001)
        assert server.requests < 20
        rest = names([batch async for batch in batches])
    assert len(rest) == 990


async def test_only_what_changed(tmp_path):
    """`changed_since` streams what an export with it writes."""
    sandbox = Sandbox(customers=200, seed=1)
    since = "2024-01-01T00:00"
    async with connect(sandbox) as client:
        report = await client.customers.list(count=20).export(tmp_path / "c.jsonl", changed_since=since)
        taken, batches = await take(client.customers.list(count=20), changed_since=since)
    assert sorted(names(taken)) == sorted(ids(tmp_path / "c.jsonl"))
    assert batches.report.records == report.records > 0
    assert batches.mark is None


@pytest.mark.parametrize("order", ["shuffled", "at first"])
async def test_a_list_in_no_order_is_streamed_too(monkeypatch, order):
    """Pages in no order, all or after the first ones: each record is yielded once, without a mark."""
    monkeypatch.setitem(ORDERS, "at first", lambda name: name if name < "0096" else f"1{name[::-1]}")
    server = numbered([f"{number:04x}" for number in range(300)], order=(order,))
    async with server.client() as client:
        taken, batches = await take(client.customers.list(count=30))
    assert sorted(names(taken)) == sorted(server.names)
    assert batches.mark is None


async def test_mistakes_say_what_to_do():
    """A stream outside its block, a report too early, an offset and zero pages are errors."""
    sandbox = Sandbox(customers=10, seed=1)
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match="async with"):
            await anext(aiter(client.customers.list().arrow()))
        with pytest.raises(ConfigurationError, match="offset"):
            client.customers.list(offset=5).arrow()
        with pytest.raises(ConfigurationError, match="concurrency"):
            client.customers.list().arrow(concurrency=0)
        async with client.customers.list().arrow() as batches:
            with pytest.raises(ExportError, match="has not ended"):
                _ = batches.report


async def test_errors_come_out_as_themselves():
    """A server's error, and the user's own inside the block, are what they are."""
    sandbox = Sandbox(customers=300, seed=1)
    async with connect(sandbox) as client:
        with pytest.raises(KeyError, match="mine"):
            async with client.customers.list(count=20).arrow() as batches:
                async for _ in batches:
                    raise KeyError("mine")
        sandbox.faults.add("GET /customers", status=400, times=99, after=3)
        with pytest.raises(BadRequestError):
            await take(client.customers.list(count=20))


@pytest.mark.parametrize("options", [{"columns": "all"}, {"timestamps": "local"}, {"csv": ";"}, {"mode": 0o400}])
async def test_options_of_formats_are_checked(tmp_path, options):
    """Options of a file's format that cannot work are refused before anything is sent."""
    sandbox = Sandbox(customers=10, seed=1)
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            await client.customers.list().export(tmp_path / "c.csv", **options)
    assert sandbox.count() == 0


async def test_found_columns_and_naive_timestamps(tmp_path):
    """`columns="found"` gives unknown fields columns of their own, `timestamps="project"` leaves times as sent."""
    sandbox = Sandbox(customers=60, seed=1)
    sandbox.customers.update(sandbox.customers.id_at(7), {"tags": [{"k": 1}, {"k": 2, "z": "x"}]})
    path = tmp_path / "c.parquet"
    async with connect(sandbox) as client:
        await client.customers.list(count=20).export(path, columns="found", timestamps="project")
        schema = pq.read_schema(path)
        assert str(schema.field("tags").type) == "list<element: struct<k: int64, z: string>>"
        assert str(schema.field("last_change").type) == "timestamp[us]"
        assert "unknown_fields" not in schema.names
        await client.customers.list(count=20).export(path, overwrite=True, fields=["state", "unknown_fields"])
    table = pq.read_table(path)
    assert table.schema.names == ["state", "unknown_fields"]
    assert {"tags"} <= {name for text in table["unknown_fields"].to_pylist() if text for name in json.loads(text)}


@pytest.mark.parametrize("mode", [0o640, 0o644])
async def test_the_permissions_of_the_file_can_be_asked_for(tmp_path, mode):
    """`mode=` is what the finished file has, new or in place of another."""
    async with connect(Sandbox(customers=20, seed=1)) as client:
        for _ in range(2):
            await client.customers.list().export(tmp_path / "c.csv", mode=mode, overwrite=True)
            assert (tmp_path / "c.csv").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("checkpoints", range(4))
async def test_a_stream_that_is_cancelled_leaves_nothing_open(checkpoints):
    """Cancelled before it begins, as it begins and while it waits, a stream closes both ends of what it hands over."""
    async with connect(Sandbox(customers=300, seed=1)) as client:
        await client.ping()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def cancel():
                    for _ in range(checkpoints):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()

                tasks.start_soon(cancel)
                await take(client.customers.list(count=50))
        assert scope.cancelled_caught
    gc.collect()  # a stream that is left open warns when it is collected, which fails the test
