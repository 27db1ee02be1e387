"""A machine that crashes: what was committed when a request left is enough to go on from."""

import shutil
from collections import Counter
from contextlib import contextmanager

import httpx
import pytest
from bulk_tools import SOURCE, StopError, connect, counts, outcomes, people, stop_while_it_waits
from disks import WatchedDisk, file_of, full_database, watch_databases
from memory_servers import client_of

from carecloud_async._base.runtime.durable_files import state_folder
from carecloud_async.bulk import BulkWriteError
from carecloud_async.bulk.machine import State
from carecloud_async.pytest_plugin.clock import FakeClock
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


class CrashError(BaseException):
    """The machine is off."""


class CrashingServer(httpx.AsyncBaseTransport):
    """A server during whose work on a POST the client's machine crashes: what was written later is lost.

    Args:
        server: the server.
        folders: the folders of the client.
        saved: where they are copied when the POST arrives.
        at: the number of that POST.
        is_done: whether the server does its work.
    """

    def __init__(self, server, folders, saved, *, at, is_done):
        self._server, self._folders, self._saved, self._at, self._is_done = server, folders, saved, at, is_done
        self._posts = 0
        self.is_off = False

    async def handle_async_request(self, request):
        is_create = request.method == "POST" and request.url.path.endswith("/customers")
        self._posts += is_create
        if self.is_off or (is_create and self._posts == self._at):
            if not self.is_off:
                for number, folder in enumerate(self._folders):
                    shutil.copytree(folder, self._saved / str(number))
                self.is_off = True
                if self._is_done:
                    await self._server.handle_async_request(request)
            raise CrashError
        return await self._server.handle_async_request(request)

    def restart(self):
        """Bring the client's folders back to what they held when the machine crashed."""
        for number, folder in enumerate(self._folders):
            shutil.rmtree(folder)
            shutil.copytree(self._saved / str(number), folder)


@pytest.mark.parametrize("match", ["email", None])
@pytest.mark.parametrize(("at", "is_done"), [(1, True), (7, False), (23, True)])
async def test_a_crash_loses_what_was_written_after_it(server, clock, write, tmp_path, match, at, is_done):
    """Rows with a key are made once, those without at most once, from the journal as it was when a request left."""
    rows = people(30)
    folder = tmp_path / "work"
    folder.mkdir()
    source, results = folder / "c.csv", folder / "r.csv"
    names = list(rows[0])
    source.write_text("\n".join([",".join(names), *(",".join(row.values()) for row in rows), ""]))
    state_folder().mkdir(parents=True, mode=0o700)
    crashing = CrashingServer(server, [folder, state_folder()], tmp_path / "saved", at=at, is_done=is_done)
    arguments = {"match": match, "defaults": SOURCE, "results": results, "concurrency": 4}
    async with client_of(crashing, clock) as client:
        with pytest.raises(BaseException) as caught:  # noqa: PT011  (a group, where the task was one of several)
            await client.customers.bulk_write(source, **arguments)
    assert "CrashError" in repr(caught.value)
    crashing.restart()
    report = await write(source, resume=True, **arguments)
    made = server.emails()
    found = dict(zip((row["email"] for row in rows), outcomes(results), strict=True))
    if match is not None:
        assert counts(report) == {"created": 30}
        assert all(made[email] == 1 for email in found)
        return
    assert report.created + report.unknown == 30
    assert report.unknown <= 4
    assert all(made[email] == 1 if outcome == "created" else made[email] <= 1 for email, outcome in found.items())


async def test_a_power_cut_leaves_the_journal_of_what_was_sent(server, tmp_path, monkeypatch):
    """From the first write on the journal and its name are on the disk: a row without a key is not sent again."""
    clock, disk = FakeClock(), WatchedDisk(monkeypatch)
    work, left = tmp_path / "work", tmp_path / "left"
    work.mkdir()

    async def arrived(request):
        if request.method == "POST" and request.url.path.endswith("/customers"):
            disk.cut_power(work, left)

    server.arrived = arrived
    async with client_of(server, clock) as client:
        await client.customers.bulk_write(people(1), match=None, defaults=SOURCE, journal=work / "journal")
        server.arrived = None
        again = await client.customers.bulk_write(
            people(1), match=None, defaults=SOURCE, journal=left / "journal", resume=True
        )
    assert counts(again) == {"unknown": 1}
    assert len(server.customers) == 1


@pytest.mark.parametrize("kind", ["results", "export"])
async def test_a_power_cut_leaves_a_file_that_was_reported(client, tmp_path, monkeypatch, kind):
    """When a run returns its report, the file and its name are on the disk."""
    disk, work, left = WatchedDisk(monkeypatch), tmp_path / "work", tmp_path / "left"
    work.mkdir()
    if kind == "results":
        await client.customers.bulk_write(people(1), match=None, defaults=SOURCE, results=work / "file.csv")
    else:
        await client.stores.list().export(work / "file.csv")
    disk.cut_power(work, left)
    assert (left / "file.csv").read_bytes() == (work / "file.csv").read_bytes() != b""


async def test_what_cannot_be_noted_is_not_sent(server, write, tmp_path, monkeypatch):
    """Where the journal cannot note that a row is about to be sent, it is not sent, and the error says why."""
    is_full = True

    def refuse(_database, statement):
        if is_full and statement.startswith(f"UPDATE writes SET state = {State.INTENDED}"):
            raise full_database()

    watch_databases(monkeypatch, refuse)
    arguments = {"match": None, "defaults": SOURCE, "journal": tmp_path / "journal", "resume": True}
    with pytest.raises(BulkWriteError, match="the disk is full"):
        await write(people(3), **arguments)
    assert server.sent == []
    is_full = False
    assert counts(await write(people(3), **arguments)) == {"created": 3}


@contextmanager
def full_disk(server, file):
    """Let a disk be full from the first write to the server on, for a file of this name."""

    def refuse(database, statement):
        is_change = statement.startswith(("INSERT", "UPDATE", "DELETE"))
        if server.sent and is_change and file_of(database).startswith(file):
            raise full_database()

    with pytest.MonkeyPatch.context() as patch:
        watch_databases(patch, refuse)
        yield


async def test_a_loss_that_cannot_be_noted_keeps_its_key(server, write, clock, tmp_path):
    """The disk is full when a lost answer is noted: another run waits until the request can take no effect."""
    server.faults = [20.0]
    with full_disk(server, "1.db"), pytest.raises(BulkWriteError, match="full"):
        await write(people(1), journal=tmp_path / "1.db")
    began = clock.monotonic()
    report = await write(people(1), journal=tmp_path / "2.db")
    assert counts(report) == {"unchanged": 1}
    assert 120 <= clock.monotonic() - began < 150
    assert server.emails() == Counter({"new0@example.com": 1})


async def test_an_outcome_that_cannot_be_noted_is_found_again(server, write, tmp_path):
    """The disk is full when a created row is noted: the run that goes on finds the record, and says created."""
    options = {"journal": tmp_path / "j.db", "resume": True}
    with full_disk(server, "j.db"), pytest.raises(BulkWriteError, match="full"):
        await write(people(1), **options)
    report = await write(people(1), **options)
    assert (counts(report), server.sent) == ({"created": 1}, ["POST"])


async def test_a_run_that_goes_on_and_stops_again_keeps_what_it_holds(server, write, tmp_path):
    """A lost create, and a second run whose look-up fails: the third finds the record, and says created."""
    server.faults = ["after"]
    options = {"journal": tmp_path / "j.db", "resume": True}
    with pytest.raises(StopError):
        await write(people(1), on_progress=stop_while_it_waits, **options)
    server.reads = [403] * 10
    with pytest.raises(Exception, match="403"):
        await write(people(1), **options)
    server.reads = []
    report = await write(people(1), **options)
    assert (counts(report), server.sent) == ({"created": 1}, ["POST"])


@pytest.mark.parametrize("stops", [1, 2])
async def test_a_family_is_held_while_a_batch_of_it_is_in_doubt(clock, tmp_path, stops):
    """A run that holds the whole family stops, also when it went on: another run waits for its lost batch."""
    sandbox, rows = Sandbox(customers=1, clock=clock.time), [{"external_id": "x1", "name": "X"}]
    sandbox.faults.add("POST /product-brands/batch", status=504, late=20.0)
    first = {"match": "external_id", "journal": tmp_path / "1.db", "resume": True, "on_progress": stop_while_it_waits}
    async with connect(sandbox, clock=clock) as client:
        for _ in range(stops):
            with pytest.raises(StopError):
                await client.product_brands.bulk_write(rows, **first)
        report = await client.product_brands.bulk_write(rows, match="external_id", journal=tmp_path / "2.db")
        clock.advance(100)
        brands = [brand.external_id async for brand in client.product_brands.list()]
    assert counts(report) == {"unchanged": 1}
    assert brands.count("x1") == 1


async def test_a_row_has_its_outcome_though_its_key_cannot_be_released(server, clock):
    """The claims cannot be changed when a row of a writer has been written: it gets its outcome all the same."""
    with full_disk(server, "claims"):
        async with (
            client_of(server, clock) as client,
            client.customers.bulk_writer(match="email", defaults=SOURCE) as writer,
        ):
            assert (await writer.write(people(1)[0])).outcome == "created"
