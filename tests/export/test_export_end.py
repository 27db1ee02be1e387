"""The end of an export: killed at any step, the next run ends well; a failed upload is not taken for a finished one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from export_help import ids
from fsspec.implementations.memory import MemoryFileSystem
from kit import connect
from thorough import variants

from carecloud_async import ExportError
from carecloud_async.sandbox import Sandbox

CHILD = Path(__file__).with_name("end_child.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize(
    ("name", "protocol", "resume", "overwrite"),
    [
        *variants(("c.jsonl", "", True, True)),
        *variants(("c.jsonl", "", True, False)),
        *variants(("c.jsonl", "", False, True)),
        *variants(("c.csv.gz", "", True, True)),
        *variants(("c.csv", "", True, False)),
        *variants(("c.parquet", "", True, True)),
        ("c.jsonl", "local://", True, True),
        *variants(("c.csv", "local://", True, False)),
    ],
)
def test_killed_at_any_step_of_the_end(tmp_path, name, protocol, resume, overwrite):
    """The target holds nothing, the old file or the new one whole; the same command with resume=True ends well."""
    folder = tmp_path / "place"
    flags = [f"resume-{'yes' if resume else 'no'}", f"overwrite-{'yes' if overwrite else 'no'}"]
    done = subprocess.run(
        [sys.executable, CHILD, folder, name, protocol, *flags],
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) >= 5
    assert {line["code"] for line in lines[:-1]} == {-9}
    assert lines[-1]["code"] == 0
    for line in lines:
        assert (line["next"], line["whole"]) == (0, True), line
        assert set(line["left"]) == {name} if protocol else set(line["left"]) == {name, f".{name}.run"}
    contents = [line["content"] for line in lines]
    # A storage service that shows files before they are whole has a moment without any.
    order = ["old", "nothing", "new"] if protocol else ["old" if overwrite else "nothing", "new"]
    assert contents == sorted(contents, key=order.index)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["c.jsonl", "c.csv"])
async def test_a_failed_upload_is_not_taken_for_a_finished_one(tmp_path, monkeypatch, name):
    """After an upload over an old object failed, resume=True does not report the old object as the export."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    url = f"memory://failed-{name}/{name}"
    system = fsspec.filesystem("memory")
    sandbox = Sandbox(customers=120, seed=1)

    def refuse(*_, **__):
        raise OSError("connection lost")

    async with connect(sandbox) as client:
        listing = client.customers.list()
        await listing.export(tmp_path / name)
        old = b"x" * (tmp_path / name).stat().st_size  # the size does not tell them apart
        system.pipe_file(url, old)
        with monkeypatch.context() as patch:
            patch.setattr(MemoryFileSystem, "put_file", refuse)
            with pytest.raises(ExportError, match="connection lost"):
                await listing.export(url, resume=True, overwrite=True)
        with pytest.raises(ExportError, match="exists already"):
            await listing.export(url, resume=True)
        assert system.cat_file(url) == old
        requests = sandbox.count()
        report = await listing.export(url, resume=True, overwrite=True)
        assert (report.resumed, report.finished_before, sandbox.count()) == (True, False, requests)
        again = await listing.export(url, resume=True)
        assert again.finished_before
    assert system.cat_file(url) == (tmp_path / name).read_bytes()


@pytest.mark.anyio
async def test_a_run_that_overwrites_is_gone_on_from(tmp_path):
    """A finished file that a new run is about to replace does not count as that run's end."""
    sandbox = Sandbox(customers=600, seed=1)
    path = tmp_path / "c.jsonl"
    async with connect(sandbox) as client:
        listing = client.customers.list(count=50)
        await listing.export(path, resume=True)
        before = sandbox.count("GET /customers")
        await listing.export(path, resume=True, overwrite=True)
        assert sandbox.count("GET /customers") >= 2 * before - 1
        sandbox.on_page = lambda *_: (_ for _ in ()).throw(RuntimeError)
        with pytest.raises(ExportError, match="exists already"):
            await listing.export(path)
    assert ids(path) == sorted(sandbox.customers.ids())


AT_ONCE = """
import asyncio, sys
from carecloud_async import CareCloud, ExportError
from carecloud_async.sandbox import Sandbox

async def main(url, target, rounds):
    done = 0
    async with CareCloud(url, auth=Sandbox(customers=0).credentials(), rate_limit=None) as client:
        listing = client.customers.list(count=50)
        while done < rounds:
            try:
                report = await listing.export(target, resume=True, overwrite=True, state=sys.argv[4] or None)
            except ExportError as error:
                if "another" not in str(error) or "is using it" not in str(error):
                    raise
                await asyncio.sleep(0.005)
            else:
                assert report.exact, report
                done += 1

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@pytest.mark.parametrize("state", ["", *variants("state")])
@pytest.mark.parametrize("rounds", variants(3, 100))
def test_processes_that_export_to_one_file_take_turns(tmp_path, rounds, state):
    """Three at once: each is refused while another one exports, none fails otherwise, and the file is whole."""
    sandbox, target = Sandbox(customers=120, seed=1), tmp_path / "c.jsonl"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    where = str(tmp_path / state) if state else ""
    with sandbox.running() as url:
        command = [sys.executable, "-c", AT_ONCE, url, target, str(rounds), where]
        running = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(3)]
        ends = [item.communicate(timeout=500)[1] for item in running]
    assert ends == [""] * 3
    assert state or ids(target) == sorted(sandbox.customers.ids())
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted(
        [".c.jsonl.run", "c.jsonl", *([state] if state else [])]
    )
