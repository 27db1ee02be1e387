"""A list as a stream of Arrow record batches: exact, bounded, resumable, and with the columns of the model."""

import gc
import json
import logging
import random
import subprocess
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import anyio
import pytest
from export_help import ids
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import connect
from lists import ORDERS, numbered, sending
from thorough import examples, variants

from carecloud_async import BadRequestError, ConfigurationError, ExportError
from carecloud_async.models import Customer
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


async def encoded(*records, client=None, **options):
    """Return the table of these records, and the values that were lost."""
    lines = [json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") for record in records]
    async with sending(*lines, **client or {}) as made:
        taken, batches = await take(made.customers.list(count=100), **options)
    return pa.Table.from_batches(taken, schema=batches.schema), batches.report.nulls


async def test_a_stream_is_what_the_parquet_file_holds(tmp_path):
    """Batches and file have the same schema and the same rows, and the reports agree."""
    async with connect(Sandbox(customers=700, seed=1)) as client:
        listing = client.customers.list(count=50)
        report = await listing.export(tmp_path / "c.parquet")
        taken, batches = await take(listing, concurrency=4)
        naive, _ = await take(listing, timestamps="project", fields=["last_change", "unknown_fields"])
    assert all(isinstance(batch, pa.RecordBatch) and batch.schema == batches.schema for batch in taken)
    assert pa.Table.from_batches(taken).equals(pq.read_table(tmp_path / "c.parquet"))
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
    assert len(got) == len(set(got)) == batches.report.records
    if batches.report.exact:
        assert before - {record for record, _ in server.gone} <= set(got)


async def test_a_stream_is_continued_by_its_mark():
    """Stopped anywhere, `after=batches.mark` brings the rest: together every record once, and the counts of both."""
    sandbox = Sandbox(customers=500, seed=1)
    async with connect(sandbox) as client:
        listing = client.customers.list(count=40)
        whole, complete = await take(listing)
        first = []
        async with listing.arrow() as batches:
            assert batches.mark is None
            async for batch in batches:
                first.append(batch)
                if len(first) == 4:
                    break
        requests = sandbox.count("GET /customers")
        rest, continued = await take(listing, after=batches.mark)
        assert sandbox.count("GET /customers") - requests < 12
        assert names(first) + names(rest) == names(whole) == sorted(sandbox.customers.ids())
        assert (continued.report.records, continued.report.resumed) == (500, True)
        assert continued.report.nulls == complete.report.nulls
        again, ended = await take(listing, after=continued.mark)
    assert (again, ended.report.records) == ([], 500)


async def test_the_mark_of_a_list_without_pages_is_its_end():
    """The mark of the only batch belongs to a whole list: what follows it is nothing, and exact."""
    async with connect(Sandbox(seed=1)) as client:
        async with client.languages.list().arrow() as batches:
            first = await anext(batches)
            mark = batches.mark
        rest, batches = await take(client.languages.list(), after=mark)
    assert rest == []
    assert first.num_rows == batches.report.records > 0
    assert batches.report.exact


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
        assert len(names([batch async for batch in batches])) == 990


async def test_only_what_changed(tmp_path):
    """`changed_since` streams what an export with it writes."""
    since = "2024-01-01T00:00"
    async with connect(Sandbox(customers=200, seed=1)) as client:
        report = await client.customers.list(count=20).export(tmp_path / "c.jsonl", changed_since=since)
        taken, batches = await take(client.customers.list(count=20), changed_since=since)
    assert sorted(names(taken)) == sorted(ids(tmp_path / "c.jsonl"))
    assert batches.report.records == report.records > 0
    assert batches.mark is None


@pytest.mark.parametrize("order", ["shuffled", "at first"])
async def test_a_list_in_no_order_is_streamed_too(monkeypatch, order):
    """Pages in no order, all or after the first ones: each record is yielded once, without a mark."""
    monkeypatch.setitem(ORDERS, "at first", lambda name: name if name < "0096" else f"1{name[::-1]}")
    server = numbered([f"{number:04x}" for number in range(300)], order=order)
    async with server.client() as client:
        taken, batches = await take(client.customers.list(count=30))
    assert sorted(names(taken)) == sorted(server.names)
    assert batches.mark is None


async def test_mistakes_say_what_to_do():
    """A stream outside its block, a report too early, an offset and zero pages are errors."""
    async with connect(Sandbox(customers=10, seed=1)) as client:
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


moments = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat(sep=" ")),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes().map(lambda moment: f"{moment:%Y-%m-%d %H:%M}"),
    st.datetimes().map(lambda moment: f"{moment:%Y-%m-%d %H}"),
    st.dates().map(str),
    st.sampled_from(
        ["2019-06-23 10:11:12Z", "2019-06-23 10:11:12+02:00", "2019-06-23T10:11:12-0500", "0000-00-00", ""]
    ),
    st.sampled_from([" 2019-06-23 10:11:12", "2019-06-23 24:00:00", "2019-02-30", "985-02-12", "20190623"]),
    st.sampled_from(["0000-01-01", "0000-06-15 10:11:12", "0001-01-01"]),
)
others = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
anything = st.recursive(others, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner))
persons = st.fixed_dictionaries(
    {},
    optional={
        "birthdate": moments | others,
        "gender": st.integers() | others,
        "phone": st.text(max_size=9) | others,
        "address": st.fixed_dictionaries({}, optional={"city": st.text(max_size=9) | others}) | anything,
        "consents": st.lists(st.fixed_dictionaries({}, optional={"last_change": moments}), max_size=2) | anything,
        "nickname": anything,
    },
)
records = st.fixed_dictionaries(
    {},
    optional={
        "last_change": moments | others,
        "state": st.integers(-(2**64), 2**64) | others,
        "personal_information": persons | anything,
        "extra": anything,
    },
)


@given(st.lists(records, min_size=1, max_size=4), st.sampled_from(["utc", "project"]))
@settings(max_examples=examples(40))
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_records_that_do_not_match_the_model_give_the_same_rows(anyio_backend, batch, timestamps):
    """A record whose id is a number is read value by value: the same row, alone and beside others that match."""
    del anyio_backend
    tidy = [{"customer_id": f"{n}", **record} for n, record in enumerate(batch)]
    fast, nulls = await encoded(*tidy, timestamps=timestamps)
    assert (fast, nulls) == await encoded(*map(by_number, tidy), timestamps=timestamps)
    assert (fast, nulls) == await encoded(*tidy[:-1], by_number(tidy[-1]), timestamps=timestamps)
    for text, record in zip(fast["unknown_fields"].to_pylist(), tidy, strict=True):
        assert text is None or is_part(json.loads(text), json.loads(json.dumps(record)))


def by_number(record):
    return {**record, "customer_id": int(record["customer_id"])}


def is_part(part, whole):
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and is_part(inner, whole[name]) for name, inner in part.items())
    if isinstance(part, list):
        elements = list(whole.values()) if isinstance(whole, dict) else whole
        return len(part) == len(elements) and all(map(is_part, part, elements))
    return part is None or part == whole


WITHOUT_PANDAS = """
import asyncio, sys
from lists import sending

async def main():
    record = '{"customer_id":"1","last_change":"2019-06-23 11:47:22","personal_information":{"birthdate":"1985-02-12"}}'
    async with sending(record) as client, client.customers.list().arrow() as batches:
        assert [batch.num_rows async for batch in batches] == [1]

asyncio.run(main())
assert "pandas" not in sys.modules
"""


def test_tidy_records_do_not_bring_pandas_in():
    """A tenth of a second and tens of megabytes are saved if pandas is installed but not used."""
    pytest.importorskip("pandas", reason="pandas is not installed")
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", WITHOUT_PANDAS], check=True, env=environment)


async def test_unknown_fields_stand_in_the_last_column():
    """Fields that the model does not know are JSON text, nested as they came; records without have null."""
    consents = [{"last_change": "2019-06-23 11:47:22"}, {"channel": 7}]
    person = {"loyalty": {"tier": 3}, "address": {"city": "Brno", "new": []}, "consents": consents, "extra": {"x": 1}}
    strange = {"customer_id": "1", "tags": ["a"], "personal_information": person}
    table, nulls = await encoded({"customer_id": "0"}, strange, {"customer_id": "2"})
    assert {*table.schema.names[:-1]} == {*Customer.__annotations__} - {"unknown_fields"}
    texts = table["unknown_fields"].to_pylist()
    assert [text and json.loads(text) for text in texts] == [
        None,
        {
            "tags": ["a"],
            "personal_information": {
                "loyalty": {"tier": 3},
                "extra": {"x": 1},
                "address": {"new": []},
                "consents": [None, {"channel": 7}],
            },
        },
        None,
    ]
    assert not nulls


@pytest.mark.parametrize("extra", [{}, {"state": "1"}], ids=["tidy", "untidy"])
@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2026-07-01 12:00:00", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("2026-01-01 00:30:00", datetime(2025, 12, 31, 23, 30, tzinfo=UTC)),
        ("2026-10-25 02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-03-29 02:30:00", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("2040-07-01 12:00:00", datetime(2040, 7, 1, 10, tzinfo=UTC)),
    ],
    ids=["summer", "winter", "repeated", "left out", "far"],
)
async def test_timestamps_are_utc(local, utc, extra):
    """Project-local times become UTC: the earlier where autumn repeats an hour, later where spring skips one."""
    record = {"customer_id": "1", "last_change": local, "personal_information": {"consents": [{"last_change": local}]}}
    table, _ = await encoded({**record, **extra})
    assert str(table.schema.field("last_change").type) == "timestamp[us, tz=UTC]"
    assert table["last_change"].to_pylist() == [utc]
    assert table["personal_information"].to_pylist()[0]["consents"][0]["last_change"] == utc
    naive, _ = await encoded({**record, **extra}, timestamps="project")
    assert naive["last_change"].to_pylist() == [datetime.fromisoformat(local)]


async def test_a_zone_that_pyarrow_does_not_know_converts_too():
    """A system without a zone database for pyarrow gets the same times, more slowly."""

    class Unnamed(ZoneInfo):
        key = "No/Where"

    zone = Unnamed.no_cache("Europe/Prague")
    table, _ = await encoded({"customer_id": "1", "last_change": "2026-07-01 12:00:00"}, client={"timezone": zone})
    assert table["last_change"].to_pylist() == [datetime(2026, 7, 1, 10, tzinfo=UTC)]


async def test_lost_values_are_counted_and_named(caplog):
    """Values that no column can hold are counted by their dotted names, which warnings use as well; blanks are not."""
    lost = {
        "last_change": "0000-00-00 00:00:00",
        "state": 2**64,
        "personal_information": {"birthdate": "12.2.1985", "address": "Brno", "consents": [{"last_change": "soon"}]},
    }
    blank = {"last_change": "", "personal_information": {"birthdate": None, "address": []}}
    rows = [lost, blank, lost, {"personal_information": "?"}]
    with caplog.at_level(logging.WARNING):
        _, nulls = await encoded(*({"customer_id": f"{index}", **row} for index, row in enumerate(rows)))
    assert nulls == {
        "last_change": 2,
        "state": 2,
        "personal_information": 1,
        "personal_information.birthdate": 2,
        "personal_information.address": 2,
        "personal_information.consents.last_change": 2,
    }
    assert "export." not in caplog.text
