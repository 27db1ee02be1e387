"""Targets and arguments that cannot work, and those that are no regular files."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from export_help import export, ids
from kit import connect
from lists import numbered
from thorough import variants

from carecloud_async import AuthenticationError, CareCloud, ConfigurationError, EnterpriseCredentials, ExportError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "more", "reason"),
    [
        ("c.xml", {}, "suffix"),
        ("c.xlsx", {}, r'workbooks are not written: .* write \.csv with csv=CsvOptions\.excel\(decimal=","\)$'),
        ("c", {"format": "ods"}, "workbooks are not written"),
        ("c", {}, "suffix"),
        ("", {}, "path or a URL"),
        (None, {}, "path or a URL"),
        ("c.parquet.gz", {}, "compresses by itself"),
        ("no/such/c.jsonl", {}, "directory does not exist"),
        (".", {}, "is a directory"),
        ("nope://bucket/c.jsonl", {}, "nope"),
        ("c.jsonl", {"concurrency": 0}, "concurrency"),
        ("c.jsonl", {"concurrency": True}, "concurrency"),
        ("c.jsonl", {"fields": []}, "fields"),
        ("c.jsonl", {"fields": "state"}, "fields"),
        ("there.jsonl", {}, "exists already"),
        ("there.jsonl", {"resume": True}, "exists already"),
    ],
)
async def test_bad_arguments_are_one_sentence(tmp_path, monkeypatch, name, more, reason):
    """Refused before anything is sent; nothing is made and nothing is lost."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.jsonl").write_text("mine")
    sandbox = Sandbox(customers=10, seed=1)
    with pytest.raises(ExportError, match=reason) as caught:
        await export(sandbox, name, **more)
    assert "\n" not in str(caught.value)
    assert sandbox.count() == 0
    assert [item.name for item in tmp_path.iterdir()] == ["there.jsonl"]
    assert (tmp_path / "there.jsonl").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="this system has no /proc")
async def test_a_folder_that_takes_no_files():
    """The error of a folder that exists and takes no files names the folder, and that reason."""
    with pytest.raises(ExportError, match=r"/proc.*: no file can be made in this folder: choose another one"):
        await export(Sandbox(customers=10, seed=1), "/proc/x.jsonl")


async def test_an_offset_is_refused(tmp_path):
    """An export holds the whole list."""
    sandbox = Sandbox(customers=10, seed=1)
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError, match="offset"):
            await client.customers.list(offset=5).export(tmp_path / "c.jsonl")


async def test_overwrite_replaces_at_the_end(tmp_path):
    """The old file stays until the new one is whole."""
    path = tmp_path / "c.jsonl"
    path.write_text("old")
    sandbox = Sandbox(customers=200, seed=1)
    sandbox.on_page = lambda _: seen.append(path.read_text())
    seen = []
    await export(sandbox, path, overwrite=True)
    assert set(seen) == {"old"}
    assert len(ids(path)) == 200


async def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    """Without `overwrite`, a file that another process made during the export is not replaced; the records are kept."""
    path = tmp_path / "c.jsonl"
    sandbox = Sandbox(customers=100, seed=1)
    sandbox.on_page = lambda _: path.write_text("theirs")
    with pytest.raises(ExportError, match="exists already"):
        await export(sandbox, path)
    assert path.read_text() == "theirs"
    assert (tmp_path / ".c.jsonl.run").is_dir()


async def test_a_login_that_fails_leaves_nothing(tmp_path):
    """No half-made directory stays where nothing was fetched."""
    sandbox = Sandbox(customers=10, seed=1)
    auth = EnterpriseCredentials(external_application_id="89d1a6111b3fb6e74665d948", login="nobody", password="wrong")
    async with CareCloud("sandbox.crmcarecloud.com", auth=auth, transport=sandbox.transport()) as client:
        with pytest.raises((AuthenticationError, ExportError)):
            await client.customers.list().export(tmp_path / "c.jsonl")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("overwrite", [True, False])
async def test_a_link_stays_a_link(tmp_path, overwrite):
    """Through a symbolic link the file it names is made or replaced."""
    (tmp_path / "real").mkdir()
    link, real = tmp_path / "c.jsonl", tmp_path / "real" / "c.jsonl"
    if overwrite:
        real.write_text("old")
    link.symlink_to(real)
    await export(Sandbox(customers=20, seed=1), link, overwrite=overwrite)
    assert (link.is_symlink(), len(ids(real))) == (True, 20)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("name", ["pipe", "pipe.csv"])
async def test_a_pipe_is_written_directly(tmp_path, name):
    """A named pipe gets the records as they come, is no file afterwards, and cannot be resumed."""
    pipe = tmp_path / name
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    sandbox = Sandbox(customers=120, seed=1)
    async with connect(sandbox) as client:
        report = await client.customers.list(count=50).export(pipe)
        with pytest.raises(ConfigurationError, match="resumed"):
            await client.customers.list().export(pipe, resume=True)
    await anyio.to_thread.run_sync(reader.join)
    assert report.records == 120
    if name == "pipe":
        assert len([json.loads(line) for line in got[0].splitlines()]) == 120
    else:
        assert got[0].startswith(b"customer_id,personal_information.salutation")
    assert [item.name for item in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
async def test_a_full_device_is_one_sentence():
    """ENOSPC of a target that is written directly."""
    sandbox = Sandbox(customers=120, seed=1)
    with pytest.raises(ExportError, match="disk is full"):
        await export(sandbox, "/dev/full")


STDOUT = """
import asyncio
from carecloud_async import CareCloud
from carecloud_async.sandbox import Sandbox

async def main():
    sandbox = Sandbox(customers=250, seed=1)
    auth = {"auth": sandbox.credentials(), "transport": sandbox.transport()}
    async with CareCloud("sandbox.crmcarecloud.com", **auth) as client:
        await client.customers.list(count=50).export("/dev/stdout")

print("before", flush=True)
asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout on this system")
@pytest.mark.parametrize("target", ["/dev/stdout", *variants("-")])
def test_standard_output_is_written_after_what_is_there(tmp_path, target):
    """An export is appended to standard output: nothing is truncated or replaced; `-` with `format=` names it too."""
    program = STDOUT if target == "/dev/stdout" else STDOUT.replace('"/dev/stdout"', '"-", format="csv"')
    with (tmp_path / "out").open("wb") as out:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", program], stdout=out, check=True, env=environment)
    before, first, *rows = (tmp_path / "out").read_bytes().splitlines()
    assert before == b"before"
    assert first.startswith(b'{"customer_id"' if target == "/dev/stdout" else b"customer_id,")
    assert len(rows) >= 249


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no /dev/null on this system")
async def test_columns_that_a_stream_lacks_are_reported(caplog):
    """A field that turns up after the header was written to a pipe is not dropped in silence."""
    sandbox = Sandbox(customers=120, seed=1)
    sandbox.customers.update(sorted(sandbox.customers.ids())[-1], {"new_at_the_end": "here"})
    await export(sandbox, "/dev/null", format="csv", count=20)
    assert "export to a file to have them all" in caplog.text


async def test_a_list_without_order_can_go_to_a_pipe():
    """Records in no order of ids are written to a pipe as they come, each once."""
    server = numbered([f"{number:04x}" for number in range(100)], order="shuffled")
    async with server.client() as client:
        report = await client.customers.list(count=10).export("/dev/null")
    assert (report.records, report.exact) == (100, True)


@pytest.mark.parametrize("state", ["c.jsonl", "link", "none/state.json"])
async def test_a_state_that_cannot_be_kept_is_refused_first(tmp_path, state):
    """A state that is the target, or whose folder is missing, is refused before anything is sent."""
    sandbox = Sandbox(customers=5)
    (tmp_path / "c.jsonl").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "c.jsonl")
    with pytest.raises(ConfigurationError, match="same file" if "/" not in state else "no folder"):
        await export(sandbox, tmp_path / "c.jsonl", overwrite=True, state=tmp_path / state)
    assert sandbox.count("GET /customers") == 0
    assert (tmp_path / "c.jsonl").read_text() == "mine"


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv"])
async def test_a_pipe_that_is_not_read_does_not_hold_up_a_cancelled_export(tmp_path, name):
    """Cancelled while a write to a full pipe waits for its reader, an export ends and closes the pipe."""
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    pipe, full, read = tmp_path / name, threading.Event(), threading.Event()
    os.mkfifo(pipe)

    def reader():
        with pipe.open("rb", buffering=0) as file:
            while int.from_bytes(fcntl.ioctl(file, termios.FIONREAD, bytes(4)), sys.byteorder) < 1 << 15:
                time.sleep(0.001)
            full.set()
            assert read.wait(60)
            while file.read(1 << 16):
                pass

    thread = threading.Thread(target=reader)
    thread.start()
    watchdog = threading.Timer(300, read.set)
    watchdog.start()
    async with connect(Sandbox(customers=2000, seed=1)) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.customers.list(count=500).export, pipe)
        await anyio.to_thread.run_sync(full.wait)
        tasks.cancel_scope.cancel()
    assert not read.is_set()
    watchdog.cancel()
    read.set()
    thread.join(60)
    assert not thread.is_alive()


UNREAD = """
import asyncio, sys
from carecloud_async import CareCloud
from carecloud_async.sandbox import Sandbox

async def main():
    sandbox = Sandbox(customers=50, seed=1)
    auth = {"auth": sandbox.credentials(), "transport": sandbox.transport()}
    async with CareCloud("sandbox.crmcarecloud.com", **auth) as client:
        await asyncio.wait_for(client.customers.list().export(sys.argv[1]), 0.2)

try:
    asyncio.run(main())
except TimeoutError:
    print("timed out")
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_process_ends_after_an_export_into_a_pipe_without_a_reader(tmp_path):
    """An export that waits for the reader of a pipe and is cancelled leaves no thread for which Python would wait."""
    os.mkfifo(tmp_path / "pipe.csv")
    done = subprocess.run(
        [sys.executable, "-c", UNREAD, tmp_path / "pipe.csv"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "timed out\n", "")


async def published(tmp_path, monkeypatch, link):
    """Export with another `os.link`; returns the first bytes of the target."""
    target = tmp_path / "c.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", link)
        await export(Sandbox(customers=20, seed=1), target)
    return target.read_text()[:5]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV, errno.ENOSYS])
async def test_without_hard_links_a_file_is_renamed(tmp_path, monkeypatch, code):
    """A file system without hard links gets the file all the same, and a file that is there already is kept."""

    def no_link(file, path):
        raise OSError(code, "no hard links")

    def taken_meanwhile(file, path):
        path.write_text("other")
        no_link(file, path)

    assert await published(tmp_path, monkeypatch, no_link) == '{"cus'
    assert [item.name for item in tmp_path.iterdir()] == ["c.jsonl"]
    (tmp_path / "c.jsonl").unlink()
    with pytest.raises(ExportError, match="exists already"):
        await published(tmp_path, monkeypatch, taken_meanwhile)
    assert (tmp_path / "c.jsonl").read_text() == "other"


async def test_a_failing_disk_does_not_publish_by_another_way(tmp_path, monkeypatch):
    """An error that says nothing of hard links is raised, and the file is not renamed."""

    def broken(file, path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(ExportError, match="Input/output error"):
        await published(tmp_path, monkeypatch, broken)
    assert not (tmp_path / "c.jsonl").exists()
