"""Files of changes: formats, and kills between the file and the state."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from disks import FullFile, make_files_of
from kit import connect
from thorough import variants

from carecloud_async import CareCloud, ExportError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

CHILD = Path(__file__).with_name("changes_child.py")


@pytest.fixture
def sandbox():
    return Sandbox(customers=30, seed=1)


def write(client, path, state, **options):
    return client.customers.list().changes(state=state).to_file(path, **options)


def change(sandbox):
    """Update one record and delete another; return their ids."""
    updated, deleted = sandbox.customers.id_at(1), sandbox.customers.id_at(2)
    sandbox.customers.update(updated, {"personal_information": {"first_name": "New"}})
    sandbox.customers.delete(deleted)
    return updated, deleted


def lines(path):
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


async def test_lines_hold_the_change_the_id_and_the_record(sandbox, tmp_path):
    """JSON Lines of a second night: an updated record as the server sends it, a deleted one without a record."""
    async with connect(sandbox) as client:
        await write(client, tmp_path / "1.jsonl", tmp_path / "s")
        updated, deleted = change(sandbox)
        report = await write(client, tmp_path / "2.jsonl", tmp_path / "s")
    assert len(lines(tmp_path / "1.jsonl")) == 30
    found = {line["id"]: line for line in lines(tmp_path / "2.jsonl")}
    assert found[updated]["change"] == "updated"
    assert found[updated]["record"]["personal_information"]["first_name"] == "New"
    assert found[deleted] == {"change": "deleted", "id": deleted, "record": None}
    assert report.counts == {"created": 0, "updated": 1, "deleted": 1}
    assert (tmp_path / "2.jsonl").stat().st_mode & 0o777 == 0o600


async def test_tables_begin_with_the_change(sandbox, tmp_path):
    """CSV and Parquet have a first column `_change`; of a deleted record its id is there."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    async with connect(sandbox) as client:
        for suffix in ("csv", "parquet"):
            await write(client, tmp_path / f"1.{suffix}", tmp_path / suffix)
        updated, deleted = change(sandbox)
        for suffix in ("csv", "parquet"):
            await write(client, tmp_path / f"2.{suffix}", tmp_path / suffix)
    with (tmp_path / "2.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    tables = [parquet.read_table(tmp_path / f"{night}.parquet") for night in (1, 2)]
    assert tables[0].schema == tables[1].schema
    assert [next(iter(rows[0])), tables[1].column_names[0]] == ["_change"] * 2
    for found in (rows, tables[1].to_pylist()):
        assert {(row["_change"], row["customer_id"]) for row in found} == {("updated", updated), ("deleted", deleted)}


async def test_a_file_that_exists_is_not_replaced_unasked(sandbox, tmp_path):
    """Without `overwrite` a target that exists is an error, and the state stays."""
    async with connect(sandbox) as client:
        await write(client, tmp_path / "c.jsonl", tmp_path / "s")
        change(sandbox)
        with pytest.raises(ExportError, match="exists already"):
            await write(client, tmp_path / "c.jsonl", tmp_path / "s")
        report = await write(client, tmp_path / "c.jsonl", tmp_path / "s", overwrite=True)
    assert report.updated == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == ["c.jsonl", "s"]


async def test_a_pipe_is_refused(sandbox, tmp_path):
    """A pipe is refused as a target, since a file in it cannot appear whole."""
    async with connect(sandbox) as client:
        with pytest.raises(ExportError, match="written to a local file"):
            await write(client, "/dev/stdout", tmp_path / "s", format="jsonl")
    assert sandbox.count() == 0


STEPS = [
    *variants("before the file", "after the file"),
    "before the commit",
    *variants("after the commit"),
    "after the rename",
    *variants("before the end"),
]


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_between_the_file_and_the_state_loses_and_doubles_nothing(sandbox, tmp_path, step):
    """After kill -9 at any step the next run delivers the changes once, and the run after it finds no changes."""
    target, state = tmp_path / "c.jsonl", tmp_path / "s"

    async def run(url):
        async with CareCloud(url, auth=sandbox.credentials()) as client:
            return await write(client, target, state, overwrite=True)

    with sandbox.running() as url:
        assert anyio.run(run, url).created == 30
        updated, deleted = change(sandbox)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        killed = subprocess.run(
            [sys.executable, CHILD, url, target, state, step], env=environment, check=False, timeout=240
        )
        assert killed.returncode == -signal.SIGKILL
        assert anyio.run(run, url).counts == {"created": 0, "updated": 1, "deleted": 1}
        assert {(line["change"], line["id"]) for line in lines(target)} == {("updated", updated), ("deleted", deleted)}
        again = anyio.run(run, url)
        assert (again.counts, again.finished_before) == ({"created": 0, "updated": 0, "deleted": 0}, False)
        assert lines(target) == []


async def test_a_full_disk_leaves_the_state_and_the_target(sandbox, tmp_path, monkeypatch):
    """A full disk is an error with its fix; state and target stay, and the next run brings the same changes."""
    async with connect(sandbox) as client:
        await write(client, tmp_path / "c.jsonl", tmp_path / "s")
        before = (tmp_path / "c.jsonl").read_bytes()
        change(sandbox)
        with monkeypatch.context() as patch:
            patch.setattr(FullFile, "room", 0)
            make_files_of(FullFile, patch)
            with pytest.raises(ExportError, match="disk is full"):
                await write(client, tmp_path / "c.jsonl", tmp_path / "s", overwrite=True)
        assert (tmp_path / "c.jsonl").read_bytes() == before
        report = await write(client, tmp_path / "c.jsonl", tmp_path / "s", overwrite=True)
    assert report.counts == {"created": 0, "updated": 1, "deleted": 1}
