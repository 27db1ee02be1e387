"""Formats: the same customers in each, read back by other libraries."""

import csv
import datetime
import gc
import gzip
import json
import os
import subprocess
import sys
import zoneinfo

import anyio
import fsspec
import pytest
from export_help import every_page, export, ids, records
from kit import connect
from lists import sending
from thorough import variants

from carecloud_async import ConfigurationError, ExportError
from carecloud_async.bulk import BulkWriteError
from carecloud_async.export import Sink, register_sink
from carecloud_async.models import Country
from carecloud_async.sandbox import Sandbox

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

pytestmark = pytest.mark.anyio

NASTY = 'a,"b"\r\n;\tč\u2028= 1'


@pytest.fixture
def sandbox():
    made = Sandbox(customers=120, seed=1)
    made.customers.update(
        made.customers.id_at(7),
        {"personal_information": {"last_name": NASTY, "loyalty": {"tier": 3}}, "tags": [{"k": 1}, {"k": 2, "z": "x"}]},
    )
    return made


def emails(rows):
    return [(record["personal_information"] or {}).get("email") for record in rows]


async def test_csv_is_read_back_by_others(sandbox, tmp_path):
    """The csv module reads what JSONL holds: dotted columns, quotes, line ends, unknown fields."""
    await export(sandbox, tmp_path / "c.jsonl")
    report = await export(sandbox, tmp_path / "c.csv")
    expected = records(tmp_path / "c.jsonl")
    with (tmp_path / "c.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == report.records == len(expected)
    assert [row["customer_id"] for row in rows] == ids(tmp_path / "c.jsonl")
    assert [row["personal_information.email"] or None for row in rows] == [
        record or None for record in emails(expected)
    ]
    assert {row["personal_information.last_name"] for row in rows} >= {NASTY}
    odd = next(row for row in rows if row["personal_information.last_name"] == NASTY)
    assert odd["personal_information.loyalty.tier"] == "3"
    assert json.loads(odd["tags"]) == [{"k": 1}, {"k": 2, "z": "x"}]


async def test_parquet_has_real_types(sandbox, tmp_path):
    """Timestamps, structs, lists and what the model does not know are there with types of their own."""
    await export(sandbox, tmp_path / "c.jsonl")
    await export(sandbox, tmp_path / "c.parquet")
    expected = records(tmp_path / "c.jsonl")
    table = pq.read_table(tmp_path / "c.parquet")
    assert table.column("customer_id").to_pylist() == ids(tmp_path / "c.jsonl")
    people = table.column("personal_information").to_pylist()
    assert [record and record["email"] for record in people] == emails(expected)
    assert str(table.schema.field("last_change").type) == "timestamp[us, tz=UTC]"
    assert table.schema.names[-1] == "unknown_fields"
    unknown = [json.loads(text) for text in table.column("unknown_fields").to_pylist() if text]
    assert {"personal_information": {"loyalty": {"tier": 3}}, "tags": [{"k": 1}, {"k": 2, "z": "x"}]} in unknown
    changes = dict(zip(ids(tmp_path / "c.jsonl"), table.column("last_change").to_pylist(), strict=True))
    for record in expected:
        text = record.get("last_change")
        if isinstance(text, str) and text > "1":
            local = datetime.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo("Europe/Prague"))
            assert changes[record["customer_id"]] == local.astimezone(datetime.UTC)


@pytest.mark.parametrize("suffix", ["csv", "csv.zst", "jsonl.gz", *variants("csv.gz", "jsonl.zst"), "parquet"])
async def test_duckdb_reads_each_format(sandbox, tmp_path, suffix):
    """DuckDB reads every record of a file, compressed or not, and times of a Parquet file as such."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    await export(sandbox, tmp_path / "c.jsonl")
    await export(sandbox, path := tmp_path / f"d.{suffix}")
    readers = {
        "csv": f"read_csv('{path}', all_varchar=true)",
        "jsonl": f"read_json('{path}', columns={{customer_id: 'VARCHAR'}})",
        "parquet": f"(select customer_id from '{path}' where typeof(last_change) = 'TIMESTAMP WITH TIME ZONE')",
    }
    rows = duckdb.sql(f"select customer_id from {readers[suffix.partition('.')[0]]}").fetchall()
    assert [row[0] for row in rows] == ids(tmp_path / "c.jsonl")


async def test_parquet_is_written_in_row_groups(tmp_path):
    """A group is written once 20,000 records are there, so that memory holds no more than one."""
    async with sending(*(f'{{"country_id":"{number:05}","name":"x"}}' for number in range(22_000))) as client:
        listing = client.listing("countries", into=Country, list_key="customers", id_field="country_id")
        await listing.export(tmp_path / "c.parquet")
    groups = pq.ParquetFile(tmp_path / "c.parquet").metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [20_000, 2_000]


def zstd():
    """The module of Zstandard: the standard library's, else the extra's package."""
    return pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".csv.gz", ".csv.zst"])
async def test_compressed_files_hold_the_same(sandbox, tmp_path, suffix):
    """Gzip and Zstandard read the compressed files; resumed frames are one stream to them."""
    plain, packed = tmp_path / f"c{suffix.rpartition('.')[0]}", tmp_path / f"c{suffix}"
    await export(sandbox, plain)
    await export(sandbox, packed)
    unpack = gzip.decompress if suffix.endswith(".gz") else zstd().decompress
    assert unpack(packed.read_bytes()) == plain.read_bytes()


@pytest.mark.parametrize("damage", [None, lambda data: data[:-5], lambda data: data + b"more", lambda _: b"no frames"])
async def test_rows_of_a_zstandard_file(tmp_path, damage):
    """Consecutive frames are one source of a bulk write; a damaged one stops it, and is not taken for a shorter one."""
    path, rows = tmp_path / "rows.jsonl.zst", b'{"email":"a@example.com"}\n{"email":"b@example.com"}\n'
    frames = zstd().compress(rows[:26]) + zstd().compress(rows[26:])
    path.write_bytes(frames if damage is None else damage(frames))
    async with connect(Sandbox(customers=10, seed=1)) as client:
        write = client.customers.bulk_write(path, match="email", defaults={"language_id": "en"}, dry_run=True)
        if damage is None:
            assert (await write).rows == 2
        else:
            with pytest.raises(BulkWriteError, match="cannot be read"):
                await write


@pytest.mark.skipif(sys.version_info < (3, 14), reason="this Python has no Zstandard of its own")
async def test_a_python_built_without_zstandard_says_so(sandbox, tmp_path, monkeypatch):
    """If the standard library's module is missing, the error names another suffix."""
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.delattr(sys.modules["compression"], "zstd", raising=False)
    with pytest.raises(ConfigurationError, match=r"write \.gz"):
        await export(sandbox, tmp_path / "c.jsonl.zst")


BROKEN = r"""
import asyncio, logging, sys
from lists import sending

async def main():
    async with sending(*(b'{"customer_id":"%d","name":"J\xe1n"}' % number for number in range(3))) as client:
        await client.customers.list().export(sys.argv[1])

logging.basicConfig(format="%(message)s")
asyncio.run(main())
"""


def test_broken_text_is_said(tmp_path):
    """U+FFFD stands for what is not UTF-8, the records are complete, and one warning of a process says so."""
    command = [sys.executable, "-c", BROKEN, tmp_path / "c.jsonl"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=True)
    told = "answers.text: bytes that are not UTF-8, or half a character, are read as U+FFFD (reported once)"
    assert done.stderr.count(told) == 1
    assert [record["name"] for record in records(tmp_path / "c.jsonl")] == ["J\ufffdn"] * 3


async def test_fields_are_chosen(sandbox, tmp_path):
    """`fields` cuts JSONL, CSV and Parquet alike, in its order."""
    fields = ["state", "personal_information.email", "customer_id"]
    for name in ("c.jsonl", "c.csv", "c.parquet"):
        await export(sandbox, tmp_path / name, fields=fields)
    first = records(tmp_path / "c.jsonl")[0]
    assert list(first) == [name for name in ("state", "personal_information", "customer_id") if name in first]
    assert set(first.get("personal_information") or {}) <= {"email"}
    with (tmp_path / "c.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == fields
    assert pq.read_schema(tmp_path / "c.parquet").names == ["state", "personal_information", "customer_id"]


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv"])
async def test_an_unknown_field_names_the_nearest(sandbox, tmp_path, name):
    """A name that the model does not know is refused before anything is sent, also where another object has it."""
    for wrong in ("personal_information.emial", "email", "emial"):
        with pytest.raises(ExportError, match=rf"no field {wrong}: did you mean personal_information\.email\?"):
            await export(sandbox, tmp_path / name, fields=["customer_id", wrong])
    with pytest.raises(ExportError, match=r"no field loyalty_tier: .*allow_unknown=True"):
        await export(sandbox, tmp_path / name, fields=["loyalty_tier"])
    assert sandbox.count() == 0


@pytest.mark.parametrize("name", [*variants("c.jsonl", "c.csv.gz"), "c.parquet"])
async def test_a_url_is_a_target(sandbox, tmp_path, monkeypatch, name):
    """URLs of fsspec are written whole, refused when they exist, and remembered by a resume."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    system.store.clear()
    url = f"memory://bucket-{name}/deep/{name}"
    report = await export(sandbox, url)
    assert report.target == url
    await export(sandbox, tmp_path / name)
    assert system.cat_file(f"/bucket-{name}/deep/{name}") == (tmp_path / name).read_bytes()
    assert system.ls(f"/bucket-{name}/deep", detail=False) == [f"/bucket-{name}/deep/{name}"]
    with pytest.raises(ExportError, match="exists already"):
        await export(sandbox, url)
    await export(sandbox, url, overwrite=True, resume=True)
    requests = sandbox.count()
    await export(sandbox, url, resume=True)
    assert sandbox.count() == requests
    assert not list((tmp_path / "cache").rglob("*.partial"))


class Names(Sink):
    """One id a line."""

    def write(self, lines):
        for line in lines:
            self.file.write(json.loads(line)["customer_id"].encode() + b"\n")

    def close(self):
        self.file.write(b"end\n")


async def test_a_sink_of_ones_own(sandbox, tmp_path):
    """A registered suffix is a format, compressed too; what a sink raises comes out as itself."""
    register_sink(".names", Names)
    await export(sandbox, tmp_path / "c.names")
    await export(sandbox, tmp_path / "c.names.gz")
    text = (tmp_path / "c.names").read_bytes()
    assert text == gzip.decompress((tmp_path / "c.names.gz").read_bytes())
    assert text.splitlines() == [record.encode() for record in sorted(sandbox.customers.ids())] + [b"end"]

    class Broken(Names):
        def close(self):
            raise ZeroDivisionError

    register_sink(".broken", Broken)
    with pytest.raises(ZeroDivisionError):
        await export(sandbox, tmp_path / "c.broken")
    assert not (tmp_path / "c.broken").exists()
    with pytest.raises(ConfigurationError):
        register_sink("gz", Names)
    register_sink(".broken", Names)
    requests = sandbox.count("GET /customers")
    report = await export(sandbox, tmp_path / "c.broken", resume=True)
    assert report.records == 120
    assert sandbox.count("GET /customers") == requests


async def test_an_empty_list_is_a_sound_file(tmp_path):
    """An empty list gives an empty JSONL, the header of a CSV and a Parquet with its schema."""
    sandbox = Sandbox(customers=0)
    for name in ("c.jsonl", "c.csv", "c.parquet", "c.jsonl.gz"):
        report = await export(sandbox, tmp_path / name)
        assert report.records == 0
    assert (tmp_path / "c.jsonl").read_bytes() == b""
    assert (tmp_path / "c.csv").read_bytes().startswith(b"customer_id,")
    assert pq.read_table(tmp_path / "c.parquet").num_rows == 0
    assert (tmp_path / "c.jsonl.gz").stat().st_size > 0
    assert gzip.decompress((tmp_path / "c.jsonl.gz").read_bytes()) == b""


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("c.parquet", "pyarrow.parquet", "parquet"),
        pytest.param(
            *("c.csv.zst", "backports.zstd", "zstd"),
            marks=pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python brings Zstandard"),
        ),
        ("s3://b/c.csv", "fsspec.core", "fsspec"),
    ],
)
async def test_a_missing_extra_is_named(sandbox, tmp_path, monkeypatch, name, module, extra):
    """Without the package, the message says what to install, before anything is sent."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf"pip install 'carecloud-async\[{extra}\]'"):
        await export(sandbox, name if "://" in name else tmp_path / name)
    assert sandbox.count() == 0


@pytest.mark.parametrize("name", ["s3fs", None])
async def test_what_a_storage_library_lacks_is_named_as_it_says(sandbox, monkeypatch, name):
    """A library that fsspec needs for a URL is no extra of ours: the message is the library's own, with the target."""

    def lacking(_):
        raise ImportError("install s3fs to read s3", name=name)

    monkeypatch.setattr("fsspec.core.url_to_fs", lacking)
    with pytest.raises(ExportError, match=r"^s3://b/c\.csv: install s3fs to read s3$"):
        await export(sandbox, "s3://b/c.csv")
    assert sandbox.count() == 0


WILD = {
    "too large": b'{"customer_id":"1","new":1e400}',
    "too long": b'{"customer_id":"1","new":%b}' % (b"7" * 5000),
    "long": b'{"customer_id":"1","new":123456789012345678901234567890}',
    "deep": b'{"customer_id":"1","new":%b}' % (b"[" * 860 + b"]" * 860),
}


@pytest.mark.parametrize("kind", WILD)
@pytest.mark.parametrize("name", ["c.csv", "c.parquet", "c.jsonl"])
async def test_values_that_no_program_can_hold_end_no_export(tmp_path, kind, name):
    """A number out of all range is null or text; a record nested past reading is an ExportError that names a way."""
    fields = ["customer_id"] if name == "c.jsonl" else None
    async with sending(WILD[kind]) as client:
        export = client.customers.list(count=10).export(tmp_path / name, fields=fields)
        # Parquet keeps fields that the model does not know as text, without taking them apart.
        if kind == "deep" and name == "c.csv":
            with pytest.raises(ExportError, match="jsonl"):
                await export
        else:
            assert (await export).records == 1


NUMBERS = '{"a":0.12345678901234567890,"b":[1.50,{"c":1e400}],"d":5E3}'


@pytest.mark.parametrize("damage", ["", "\t"])
async def test_numbers_of_unknown_fields_keep_their_digits(tmp_path, damage):
    """Chosen fields of JSONL and `unknown_fields` hold the server's digits, also on a page that has broken text."""
    record = f'{{"customer_id":"1","salutation":"{damage}","new":{NUMBERS}}}'.encode()
    async with sending(record) as client:
        await client.customers.list(count=10).export(
            tmp_path / "c.jsonl", fields=["customer_id", "new"], allow_unknown=True
        )
        await client.customers.list(count=10).export(tmp_path / "c.parquet", fields=["customer_id", "unknown_fields"])
        raw = [item async for item in client.customers.list(count=10).raw()]
    assert (tmp_path / "c.jsonl").read_text() == f'{{"customer_id":"1","new":{NUMBERS}}}\n'
    [rows] = pq.read_table(tmp_path / "c.parquet")["unknown_fields"].to_pylist()
    assert f'"new":{NUMBERS}' in rows
    assert f'"new":{NUMBERS}'.encode() in raw[0]


async def test_a_number_beyond_a_column_is_counted(tmp_path):
    """A number that no float can hold is null in a column of texts, and `report.nulls` counts it."""
    async with sending(b'{"customer_id":"1","last_change":1e400,"state":1e400}') as client:
        report = await client.customers.list(count=10).export(tmp_path / "c.parquet")
    assert report.nulls == {"last_change": 1, "state": 1}


async def test_a_parquet_export_that_is_stopped_leaves_no_noise(tmp_path):
    """The half-written file is let go, while records come and in the end: nothing complains when it is collected."""

    def stop_at(stage):
        def stop(progress):
            if progress.stage == stage and progress.records:
                raise KeyError("mine")

        return stop

    sandbox = Sandbox(customers=3000, seed=1)
    async with connect(sandbox) as client:
        for stage in ("reading", "writing"):
            with pytest.raises(KeyError, match="mine"):
                await client.customers.list(count=1000).export(
                    tmp_path / "c.parquet", on_progress=stop_at(stage), resume=True
                )
    gc.collect()


@pytest.mark.parametrize("name", [*variants("c.csv"), "c.csv.gz", "c.parquet"])
async def test_a_resumed_file_is_the_same(tmp_path, name):
    """Written from the journal after a stop, or as the records come: the bytes are the same."""
    sandbox = Sandbox(customers=360, seed=1)
    async with connect(sandbox, clock=every_page()) as client:
        await client.customers.list(count=30).export(tmp_path / name)
        (tmp_path / "again").mkdir()
        with anyio.CancelScope() as scope:
            await client.customers.list(count=30).export(
                tmp_path / "again" / name, on_progress=lambda progress: progress.pages > 4 and scope.cancel()
            )
        assert scope.cancelled_caught
        report = await client.customers.list(count=30).export(tmp_path / "again" / name, resume=True)
    assert report.resumed
    if name == "c.parquet":
        assert pq.read_table(tmp_path / name).equals(pq.read_table(tmp_path / "again" / name))
    else:
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


async def test_columns_that_turn_up_late_are_in_the_csv(tmp_path):
    """A field that only the last page has is a column of the file."""
    sandbox = Sandbox(customers=300, seed=1)
    sandbox.customers.update(sorted(sandbox.customers.ids())[-1], {"new_at_the_end": "here"})
    await export(sandbox, tmp_path / "c.csv")
    with (tmp_path / "c.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 300
    assert [row["new_at_the_end"] for row in rows][-1] == "here"


async def test_the_parquet_files_of_two_nights_fit_together(tmp_path):
    """A full night, one with unknown fields and an empty one have the same schema and read as one table."""
    strange = Sandbox(customers=20, seed=2)
    strange.customers.update(strange.customers.id_at(3), {"brand_new": {"deep": [1]}})
    for night, made in enumerate([Sandbox(customers=0), Sandbox(customers=50, seed=1), strange]):
        await export(made, tmp_path / f"{night}.parquet")
    names = [tmp_path / f"{night}.parquet" for night in range(3)]
    schemas = [pq.read_schema(name) for name in names]
    assert schemas[0] == schemas[1] == schemas[2]
    assert schemas[0].names[-1] == "unknown_fields"
    assert pq.ParquetDataset(names).read().num_rows == 70
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    assert duckdb.sql(f"select count(*) from '{tmp_path}/*.parquet'").fetchall() == [(70,)]
    polars = pytest.importorskip("polars", reason="polars is not installed")
    assert polars.read_parquet(f"{tmp_path}/*.parquet").shape == (70, len(schemas[0].names))


async def test_a_url_needs_a_folder_of_this_machine(sandbox, tmp_path, monkeypatch):
    """If the folder in which its file is prepared cannot be made, the error names it and the setting."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ExportError, match=r"^memory://b/c.jsonl is prepared in .*exports: .*: set XDG_CACHE_HOME to a"):
        await export(sandbox, "memory://b/c.jsonl")


@pytest.mark.parametrize("options", [{"columns": "all"}, {"timestamps": "local"}, {"csv": ";"}, {"mode": 0o400}])
async def test_options_of_formats_are_checked(tmp_path, options):
    """Options of a file's format that cannot work are refused before anything is sent."""
    sandbox = Sandbox(customers=10, seed=1)
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        await export(sandbox, tmp_path / "c.csv", **options)
    assert sandbox.count() == 0


async def test_found_columns_and_naive_timestamps(sandbox, tmp_path):
    """`columns="found"` gives unknown fields columns of their own, `timestamps="project"` leaves times as sent."""
    path = tmp_path / "c.parquet"
    await export(sandbox, path, columns="found", timestamps="project")
    schema = pq.read_schema(path)
    assert str(schema.field("tags").type) == "list<element: struct<k: int64, z: string>>"
    assert str(schema.field("last_change").type) == "timestamp[us]"
    assert "unknown_fields" not in schema.names
    await export(sandbox, path, overwrite=True, fields=["state", "unknown_fields"])
    table = pq.read_table(path)
    assert table.schema.names == ["state", "unknown_fields"]
    assert {"tags"} <= {name for text in table["unknown_fields"].to_pylist() if text for name in json.loads(text)}


@pytest.mark.parametrize("mode", [0o640, 0o644])
async def test_the_permissions_of_the_file_can_be_asked_for(tmp_path, mode):
    """`mode=` is what the finished file has, new or in place of another."""
    for _ in range(2):
        await export(Sandbox(customers=20, seed=1), tmp_path / "c.csv", mode=mode, overwrite=True)
        assert (tmp_path / "c.csv").stat().st_mode & 0o777 == mode
