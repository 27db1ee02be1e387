"""Exports that are killed, stopped, or find a full disk, and go on."""

import errno
import gzip
import json
import os
import sqlite3
import threading
from functools import partial

import anyio
import pytest
from disks import WatchedDisk
from export_help import every_page, export, export_from, ids
from forked_processes import start
from kit import connect
from lists import numbered
from thorough import variants

from carecloud_async import ExportError, RetryPolicy, ServerError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


def leftovers(path):
    return sorted(item.name for item in path.iterdir())


@pytest.mark.parametrize("kills", variants([60, 150], [20, 60, 110, 150]), ids=["twice", "four times"])
def test_killed_several_times_and_complete(tmp_path, kills):
    """20,000 customers, kill -9 several times: the file is complete, no line is broken, and no run starts over."""
    sandbox = Sandbox(customers=20_000, seed=1, latency=0.002)
    left, due, counter, requests = list(kills), threading.Event(), iter(range(10**6)), 0

    def on_page(_):
        if left and next(counter) >= left[0]:
            due.set()

    sandbox.on_page = on_page
    target = tmp_path / "c.jsonl"
    with sandbox.running() as url:
        for _ in kills:
            due.clear()
            child = start(export_from, url, target)
            assert due.wait(240)
            child.kill()
            child.join()
            left.pop(0)
            assert not target.exists()
        for _ in range(2):  # the second one finds that all is done
            child = start(export_from, url, target)
            child.join()
            assert child.exitcode == 0
            requests = requests or sandbox.count("GET /customers")
    assert sandbox.count("GET /customers") == requests
    written = ids(target)
    assert written == sorted(sandbox.customers.ids())
    # From the start after each kill it would take 410, or 540; the age of the last commit depends on the disk.
    assert requests <= 203 + len(kills) * 40
    assert leftovers(tmp_path) == [".c.jsonl.run", "c.jsonl"]


class Crash(BaseException):
    """A killed process: nothing catches it."""


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("suffix", ["", *variants(".gz")])
@pytest.mark.parametrize("step", [0, *variants(1), 2, *variants(3), 4, *variants(5), 6, *variants(7), 8])
async def test_a_crash_between_any_two_steps_is_gone_on_from(tmp_path, monkeypatch, anyio_backend, step, suffix):
    """Whatever step of a commit was the last, the file is complete in the end, without a line twice."""
    sandbox = Sandbox(customers=800, seed=1)
    steps = iter(range(10**6))
    fsync = os.fsync

    def crash_or(function, *args):
        if next(steps) == step + 6:
            raise Crash
        return function(*args)

    class CrashingConnection(sqlite3.Connection):
        def execute(self, statement, *values):
            if statement != "COMMIT":
                return super().execute(statement, *values)
            written = crash_or(super().execute, statement)
            return crash_or(lambda: written)

    path = tmp_path / f"c.jsonl{suffix}"
    async with connect(sandbox) as client:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", partial(crash_or, fsync))
            patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=CrashingConnection))
            with pytest.raises((Crash, BaseExceptionGroup)):
                await client.customers.list(count=25).export(path)
        assert not path.exists()
        place = tmp_path / f".c.jsonl{suffix}.run"
        if (place / "records").exists():
            with (place / "records").open("ab") as file:
                file.write(b'{"customer_id":"half' + b"x" * 10**6)
        report = await client.customers.list(count=25).export(path, resume=True)
    text = gzip.decompress(path.read_bytes()) if suffix else path.read_bytes()
    written = [json.loads(line)["customer_id"] for line in text.splitlines()]
    assert written == sorted(sandbox.customers.ids())
    assert report.records == 800


async def stop_after(listing, path, pages, **more):
    """Export until that many pages are there, and cancel."""
    with anyio.CancelScope() as scope:

        def look(progress):
            if progress.pages >= pages:
                scope.cancel()

        await listing.export(path, on_progress=look, **more)
    assert scope.cancelled_caught


async def test_a_list_without_pages_that_is_stopped_is_written_once(tmp_path):
    """A run is stopped when its only page is written; the next one adds none, and ends with the same report."""
    path = tmp_path / "c.jsonl"

    def stop(_):
        raise LookupError

    async with connect(Sandbox(seed=1)) as client:
        whole = await client.languages.list().export(tmp_path / "whole.jsonl")
        with pytest.raises(LookupError):
            await client.languages.list().export(path, on_progress=stop)
        report = await client.languages.list().export(path, resume=True)
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert (report.records, report.exact) == (whole.records, whole.exact)


async def test_cancelled_is_resumable(tmp_path):
    """A cancelled export leaves what it has, and goes on from there with few requests more."""
    sandbox = Sandbox(customers=900, seed=1)
    path = tmp_path / "c.jsonl"
    async with connect(sandbox, clock=every_page()) as client:
        await stop_after(client.customers.list(count=30), path, 10)
        assert leftovers(tmp_path) == [".c.jsonl.run"]
        before = sandbox.count("GET /customers")
        report = await client.customers.list(count=30).export(path, resume=True)
    assert ids(path) == sorted(sandbox.customers.ids())
    assert report.resumed
    assert sandbox.count("GET /customers") - before <= 22
    assert leftovers(tmp_path) == [".c.jsonl.run", "c.jsonl"]


async def test_a_list_that_changes_between_the_runs_is_whole(tmp_path):
    """Records that went while nothing ran make no gap, also if the next run asks for pages of another size."""
    sandbox = Sandbox(customers=1000, seed=1)
    path = tmp_path / "c.jsonl"
    async with connect(sandbox, clock=every_page()) as client:
        await stop_after(client.customers.list(count=50), path, 8)
        early = sorted(sandbox.customers.ids())[:300]
        for item in early:
            sandbox.customers.delete(item)
        report = await client.customers.list(count=300).export(path, resume=True, concurrency=1)
    written = ids(path)
    assert len(written) == len(set(written))
    assert set(sandbox.customers.ids()) <= set(written)
    assert report.list_changed


async def test_a_list_without_order_goes_on_too(tmp_path):
    """The ids that were seen survive; nothing is written twice."""
    server = numbered([f"{number:04x}" for number in range(500)], order="shuffled")
    path = tmp_path / "c.jsonl"
    async with server.client(clock=every_page()) as client:
        await stop_after(client.customers.list(count=25), path, 8)
        before = server.requests
        await client.customers.list(count=25).export(path, resume=True)
    assert sorted(ids(path)) == sorted(server.names)
    assert server.requests - before <= 20


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"last_name": "Smith"}, "filters"),
        ({"fields": ["customer_id"]}, "fields"),
        ({"changed_since": "2026-01-01T00:00+00:00"}, "changed_since"),
    ],
)
async def test_a_checkpoint_of_another_query_is_refused(tmp_path, change, reason):
    """Other filters, fields or marks do not go on from it; the message says what differs, and nothing is lost."""
    sandbox = Sandbox(customers=600, seed=1)
    path = tmp_path / "c.jsonl"
    async with connect(sandbox, clock=every_page()) as client:
        await stop_after(client.customers.list(count=50), path, 5)
        filters = {name: value for name, value in change.items() if name == "last_name"}
        more = {name: value for name, value in change.items() if name not in filters}
        with pytest.raises(ExportError, match=reason):
            await client.customers.list(count=50, **filters).export(path, resume=True, **more)
        report = await client.customers.list(count=50).export(path, resume=True)
    assert report.resumed
    assert report.records == 600


@pytest.mark.parametrize("damage", ["changed", "short", "gone", "second name", "run file"])
async def test_changed_files_are_refused(tmp_path, damage):
    """Records or a checkpoint that are not what was written are refused; without resume, the export starts over."""
    sandbox = Sandbox(customers=600, seed=1)
    path, place = tmp_path / "c.jsonl", tmp_path / ".c.jsonl.run"
    async with connect(sandbox, clock=every_page()) as client:
        await stop_after(client.customers.list(count=50), path, 5)
        data = (place / "records").read_bytes()
        if damage == "changed":
            (place / "records").write_bytes(data[:100] + b"X" + data[101:])
        elif damage == "short":
            (place / "records").write_bytes(data[:-1000])
        elif damage == "gone":
            (place / "records").unlink()
        elif damage == "second name":
            os.link(place / "records", tmp_path / "other")
        else:
            run = bytearray((place / "run.db").read_bytes())
            run[5000] ^= 1
            (place / "run.db").write_bytes(run)
        with pytest.raises(ExportError, match=r"(cannot resume|run\.db is damaged): ?.*resume=False"):
            await client.customers.list(count=50).export(path, resume=True)
        report = await client.customers.list(count=50).export(path)
    assert not report.resumed
    assert ids(path) == sorted(sandbox.customers.ids())


async def test_a_power_cut_leaves_what_the_checkpoint_names(tmp_path, monkeypatch):
    """Records and their file's name are on the disk before the checkpoint: the next run goes on with them."""
    sandbox, disk, left = Sandbox(customers=600, seed=1), WatchedDisk(monkeypatch), tmp_path / "left"
    left.mkdir()

    def cut_power(progress):
        if progress.pages > 5:
            disk.cut_power(tmp_path / ".c.jsonl.run", left / ".c.jsonl.run")
            raise LookupError

    async with connect(sandbox, clock=every_page()) as client:
        listing = client.customers.list(count=50)
        with pytest.raises(LookupError):
            await listing.export(tmp_path / "c.jsonl", on_progress=cut_power)
        assert (await listing.export(left / "c.jsonl", resume=True)).resumed
    assert ids(left / "c.jsonl") == sorted(sandbox.customers.ids())


async def test_a_finished_resume_is_remembered(tmp_path):
    """The same export again asks nothing; a file that was changed since is not taken for it."""
    sandbox = Sandbox(customers=100, seed=1)
    path = tmp_path / "c.jsonl"
    async with connect(sandbox) as client:
        first = await client.customers.list().export(path, resume=True)
        requests = sandbox.count()
        again = await client.customers.list().export(path, resume=True)
        assert (again.records, again.next_changed_since) == (first.records, first.next_changed_since)
        assert (first.finished_before, again.finished_before) == (False, True)
        assert sandbox.count() == requests
        assert leftovers(tmp_path) == [".c.jsonl.run", "c.jsonl"]
        with pytest.raises(ExportError, match="exists already"):
            await client.customers.list(last_name="Smith").export(path, resume=True)
        path.write_text("mine")
        with pytest.raises(ExportError, match="exists already"):
            await client.customers.list().export(path, resume=True)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("number", [errno.ENOSPC, *variants(errno.EIO)])
async def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, number):
    """A disk that refuses ends the export with one sentence; with room again it goes on."""
    sandbox = Sandbox(customers=1000, seed=1)
    path = tmp_path / "c.jsonl"
    calls = iter(range(10**6))
    fsync = os.fsync

    def fail(descriptor):
        if next(calls) > 4:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    async with connect(sandbox) as client:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(ExportError, match="disk is full" if number == errno.ENOSPC else "c.jsonl"):
                await client.customers.list(count=50).export(path)
        assert leftovers(tmp_path) == [".c.jsonl.run"]
        report = await client.customers.list(count=50).export(path, resume=True)
    assert report.resumed
    assert ids(path) == sorted(sandbox.customers.ids())


async def test_a_server_that_fails_is_gone_on_from(tmp_path):
    """An error of the server comes out as itself; what was fetched is kept."""
    sandbox = Sandbox(customers=1000, seed=1)
    sandbox.faults.add("GET /customers", status=500, times=50, after=10)
    path = tmp_path / "c.jsonl"
    async with connect(sandbox, retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(ServerError):
            await client.customers.list(count=50).export(path, concurrency=1)  # ten pages, in their order
    sandbox.faults.clear()
    before = sandbox.count("GET /customers")
    await export(sandbox, path, resume=True)
    assert ids(path) == sorted(sandbox.customers.ids())
    assert sandbox.count("GET /customers") - before < 21  # a reading from the start


async def test_two_exports_to_one_file_are_refused(tmp_path):
    """The second fails, because another is running; the first is not disturbed."""
    sandbox = Sandbox(customers=500, seed=1)
    path = tmp_path / "c.jsonl"
    refused = []
    async with connect(sandbox) as client:

        async def second(_):
            if not refused:
                refused.append(None)
                with pytest.raises(ExportError, match="another export"):
                    await client.customers.list().export(path)

        report = await client.customers.list(count=50).export(path, on_progress=second)
    assert refused
    assert report.records == 500
    assert len(ids(path)) == 500
