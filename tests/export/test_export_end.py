"""The end of an export, killed or cancelled at any step: the next run ends well; a failed upload has not finished."""

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
from thorough import is_thorough, variants

from carecloud_async import ExportError
from carecloud_async.sandbox import Sandbox

HERE = Path(__file__).parent


def run(child, *arguments, options=(), **environment):
    """Run a child of these tests to its end; return what it has printed, and its errors."""
    done = subprocess.run(
        [sys.executable, *options, HERE / child, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


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
    printed, errors = run("end_child.py", folder, name, protocol, *flags, XDG_CACHE_HOME=str(folder / "cache"))
    assert errors == ""
    lines = [json.loads(line) for line in printed.splitlines()]
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


def cancel(*arguments):
    """Run exports that are cancelled; return how often each end came, and the errors."""
    options = ("-X", "faulthandler", "-W", "error::ResourceWarning")
    printed, errors = run("cancel_child.py", *arguments, options=options)
    return json.loads(printed), errors


CASES = [
    ("changed", "text"),
    *variants(("jsonl", "shuffled"), ("csv", "shuffled"), ("parquet", "shuffled"), ("gz", "shuffled")),
    *variants(("csv", "text"), ("arrow", "text")),
]
if hasattr(os, "mkfifo"):
    CASES += [("pipe.csv.gz", "text"), *variants(("pipe.jsonl", "text"), ("pipe.parquet", "text"))]


@pytest.mark.parametrize(("kind", "order"), CASES)
def test_task_cancel_at_any_step(kind, order):
    """Cancelled once and again, an export ends cancelled or done, and the next one to the same file goes on."""
    ends, errors = cancel("cancel", kind, order, 0, 64, 7 if is_thorough() else 13)
    assert errors == ""
    assert set(ends) <= {"cancelled", "done"}
    assert ends["cancelled"] >= 3


@pytest.mark.parametrize(("kind", "order"), [("changed", "text"), *variants(("csv", "shuffled"))])
def test_ctrl_c_at_any_time(kind, order):
    """Ctrl-C ends an export with KeyboardInterrupt and nothing else."""
    ends, errors = cancel("ctrl-c", kind, order, 1, 60, 7 if is_thorough() else 12)
    # Raised between a coroutine's creation and its first step, KeyboardInterrupt makes Python warn of the coroutine.
    assert "Exception in thread" not in errors
    assert set(ends) <= {"cancelled", "done"}
    assert ends["cancelled"] >= 3
