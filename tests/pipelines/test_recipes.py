"""The recipes of docs/pipelines.md: each runs as far as it can without its scheduler."""

import asyncio
import re
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from carecloud_async import ExportError
from carecloud_async.cli.app import run
from carecloud_async.sandbox import USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD, Sandbox

pyarrow = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

PAGE = (Path(__file__).parents[2] / "docs/pipelines.md").read_text(encoding="utf-8")


def recipe(title, language="python"):
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)[1]
    return re.search(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)[1]


@pytest.fixture
def sandbox(monkeypatch, tmp_path):
    """A project that the environment names, and an empty folder to work in."""
    sandbox = Sandbox(customers=300, seed=1, records=20)
    sandbox.clock.set(datetime(2026, 11, 20, 3, tzinfo=UTC))
    monkeypatch.chdir(tmp_path)
    settings = {"EXTERNAL_APPLICATION_ID": USER_APPLICATION_ID, "LOGIN": USER_LOGIN, "PASSWORD": USER_PASSWORD}
    with sandbox.running() as url:
        for name, value in {"PROJECT_URL": url, **settings}.items():
            monkeypatch.setenv(f"CARECLOUD_{name}", value)
        yield sandbox


def stand_in(monkeypatch, name, **contents):
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), ModuleType(".".join(parts[:depth])))
    vars(sys.modules[name]).update(contents)


def plain(*given, **_):
    """A decorator that changes nothing, with or without options."""
    return given[0] if given else lambda function: function


def rows(file):
    return pyarrow.read_metadata(file).num_rows


def test_the_current_table_has_the_newest_state_of_each_record(tmp_path, monkeypatch):
    """The query of DuckDB takes a record from the newest file that has it, also if its `last_change` is null there."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    pa = pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    then = datetime(2026, 11, 19, tzinfo=UTC)
    nights = {
        "customers-2026-11-20.parquet": {"1": (then, "old"), "2": (then, "old"), "3": (then, "kept")},
        "customers-2026-11-21.parquet": {"1": (None, "new"), "2": (then, "new")},
    }
    for name, records in nights.items():
        changed, states = zip(*records.values(), strict=True)
        pyarrow.write_table(pa.table({"customer_id": [*records], "last_change": changed, "state": states}), name)
    query = re.search(r'sql\("""(.*?)"""\)', recipe("DuckDB, Polars, pandas"), re.DOTALL)[1]
    assert sorted((item[0], item[2]) for item in duckdb.sql(query).fetchall()) == [
        ("1", "new"),
        ("2", "new"),
        ("3", "kept"),
    ]


def next_night(sandbox):
    """A day later, three customers have changed."""
    for index in (3, 77, 200):
        sandbox.customers.update(sandbox.customers.id_at(index), {"state": 0})
    sandbox.advance(86_400)


def test_cron(sandbox, tmp_path):
    """The line's command brings everything, then what changed, then nothing, and reports it."""
    line = recipe("cron", "text").strip()
    assert re.match(r"(\S+ ){5}cd ", line)
    words = shlex.split(line.rpartition("&& .venv/bin/carecloud ")[2])
    for expected in (300, 3, 0):
        assert run(words) == 0
        assert rows("changed.parquet") == expected
        assert f'"records":{expected},' in Path("report.json").read_text().replace(" ", "")
        if expected == 300:
            next_night(sandbox)
        else:
            sandbox.advance(86_400)


def test_airflow(sandbox, monkeypatch):
    """Each run of the graph writes a file of its day: all, then the changes; one that is repeated loses none."""
    stand_in(monkeypatch, "airflow.sdk", dag=plain, task=plain)
    for day, expected in (("today", 300), ("tomorrow", 3)):
        for _ in range(2):  # the retry of a task that failed after its export
            exec(compile(recipe("Airflow").replace("today", day), "airflow", "exec"), {})
            assert rows(f"customers-{day}.parquet") == expected
        next_night(sandbox)


def test_prefect(sandbox, monkeypatch):
    """The flow returns how many records a night brought."""
    stand_in(monkeypatch, "prefect", flow=plain, task=plain)
    names = {}
    exec(compile(recipe("Prefect"), "prefect", "exec"), names)
    assert asyncio.run(names["carecloud_night"]()) == 300
    next_night(sandbox)
    with pytest.raises(ExportError, match="exists already"):
        asyncio.run(names["carecloud_night"]())
    Path("night.parquet").unlink()
    assert asyncio.run(names["carecloud_night"]()) == 3


def test_dagster(sandbox, monkeypatch):
    """The asset's metadata has the number of records, and whether they are exact."""
    stand_in(monkeypatch, "dagster", asset=plain, MaterializeResult=dict)
    names = {}
    exec(compile(recipe("Dagster"), "dagster", "exec"), names)
    assert asyncio.run(names["customers"]()) == {"metadata": {"records": 300, "exact": True}}


def test_dlt(sandbox, monkeypatch, tmp_path):
    """The recipe as it stands loads both lists into a DuckDB in the folder."""
    pytest.importorskip("dlt", reason="dlt is not installed")
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    names = {}
    exec(compile(recipe("dlt"), "dlt", "exec"), names)
    with names["pipeline"].sql_client() as client:
        counts = [client.execute_sql(f"SELECT count(*) FROM {table}")[0][0] for table in ("customers", "cards")]
    assert counts == [300, 20]
