"""While an export runs: progress, a slow disk, memory, and the speed of the server."""

import errno
import json
import os
import subprocess
import sys
import threading

import anyio
import pytest
from export_help import every_page, export, ids
from kit import connect

from benchmarks.hosting import Host, serving
from carecloud_async import RetryPolicy
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_progress_tells_how_far_it_is(tmp_path, kind):
    """A plain or an async function gets the progress; the last call has the final figures."""
    sandbox = Sandbox(customers=300, seed=1)
    told = []

    async def later(progress):
        await anyio.lowlevel.checkpoint()
        told.append(progress)

    tell = told.append if kind == "sync" else later
    await export(sandbox, tmp_path / "c.csv", on_progress=tell, count=30, client={"clock": every_page()})
    reading = [step for step in told if step.stage == "reading"]
    assert len(reading) >= 10
    assert [step.records for step in reading] == sorted(step.records for step in reading)
    assert (reading[-1].records, reading[-1].total, reading[-1].requests) == (300, 300, 12)
    assert reading[-1].remaining == 0
    assert any(step.remaining for step in reading)
    assert reading[-1].rate > 0
    assert told[-1].stage == "writing"


@pytest.mark.parametrize("fault", [{"status": 503}, {"garbage": True}])
async def test_repeated_requests_are_reported(tmp_path, fault):
    """Pages that a struggling server refused, or cut off, count as retries while it runs and in the report."""
    sandbox = Sandbox(customers=300, seed=1)
    told = []
    async with connect(sandbox, clock=every_page(), retry=RetryPolicy(base=0.001)) as client:
        await client.login()
        sandbox.faults.add("GET /customers", **fault, after=2, times=2)
        report = await client.customers.list(count=30).export(tmp_path / "c.jsonl", on_progress=told.append)
    assert (report.records, report.requests, report.retries) == (300, 12, 2)
    assert [told[0].retries, told[-1].retries] == [0, 2]
    assert len(set(ids(tmp_path / "c.jsonl"))) == 300


@pytest.mark.parametrize("error", [LookupError("mine"), BrokenPipeError(errno.EPIPE, "mine"), TimeoutError("mine")])
async def test_the_users_own_exception_comes_out_as_itself(tmp_path, error):
    """An exception of `on_progress` is raised as itself: not in a group, and not as an error of the disk."""
    sandbox = Sandbox(customers=300, seed=1)

    def fail(_):
        raise error

    async with connect(sandbox) as client:
        with pytest.raises(type(error), match="mine"):
            await client.customers.list(count=30).export(tmp_path / "c.jsonl", on_progress=fail)
        await client.customers.list(count=30).export(tmp_path / "c.jsonl", resume=True)
    assert len(ids(tmp_path / "c.jsonl")) == 300


async def test_a_slow_disk_slows_the_fetching_and_not_the_loop(tmp_path, monkeypatch):
    """Pages are not fetched far ahead of the disk, and other tasks run meanwhile."""
    sandbox = Sandbox(customers=2000, seed=1)
    written, ahead, turned, fsync = [0], [], threading.Event(), os.fsync

    def slow(descriptor):
        turned.clear()
        assert turned.wait(60)  # it takes as long as another task needs for its turn
        fsync(descriptor)
        records = tmp_path / ".c.jsonl.run" / "records"
        if records.exists():
            written[0] = records.read_bytes().count(b"\n") // 49  # pages overlap by a record

    monkeypatch.setattr(os, "fsync", slow)
    sandbox.on_page = lambda page: ahead.append(sandbox.count("GET /customers") - written[0])

    async def tick():
        while True:
            await anyio.sleep(0.005)
            turned.set()

    async with connect(sandbox) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        await client.customers.list(count=50).export(tmp_path / "c.jsonl", concurrency=4)
        tasks.cancel_scope.cancel()
    assert written[0] == 2000 // 49
    assert max(ahead) <= 4 + 1 + 2 * 4 + 1


async def test_so_many_pages_are_in_flight_as_were_asked_for(tmp_path):
    """With `concurrency=16` sixteen pages are on their way at once, and never more."""
    sandbox = Sandbox(customers=2000, seed=1)
    now, most, enough = [0], [0], anyio.Event()

    async def held(request):
        now[0] += 1
        most[0] = max(most[0], now[0])
        if now[0] == 16:
            enough.set()
        # The first pages come alone, to learn the order of the list.
        if int(dict(request.query).get("offset", 0)) > 100:
            with anyio.fail_after(60):
                await enough.wait()
        now[0] -= 1

    sandbox.on_page = held
    report = await export(sandbox, tmp_path / "c.jsonl", concurrency=16, count=20)
    assert report.records == 2000
    assert most[0] == 16


MEMORY = """
import asyncio, json, resource, sys
from carecloud_async import CareCloud, EnterpriseCredentials

async def main():
    auth = EnterpriseCredentials(external_application_id="89d1a6111b3f", login="fabulous_user", password="secret")
    async with CareCloud(f"http://127.0.0.1:{sys.argv[1]}", auth=auth) as client:
        report = await client.customers.list(count=1000).export(sys.argv[2])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([report.records, peak]))

asyncio.run(main())
"""


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is measured as Linux tells it")
def test_memory_does_not_grow_with_the_list(tmp_path):
    """5,000 against 100,000 customers over a socket: the peaks of the whole processes differ by less than 25 MB."""
    peaks = []
    for customers in (5000, 100_000):
        path = tmp_path / f"{customers}.jsonl"
        with serving(Host(records=customers)) as port:
            command = [sys.executable, "-c", MEMORY, str(port), str(path)]
            environment = {"PYTHONPATH": ":".join(sys.path)}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        records, peak = json.loads(done.stdout)
        assert records == customers
        peaks.append(peak)
        path.unlink()
    assert peaks[1] - peaks[0] < 25
