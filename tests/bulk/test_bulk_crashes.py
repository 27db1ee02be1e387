"""A machine that crashes: what was committed when a request left is enough to go on from."""

import shutil

import httpx
import pytest
from bulk_tools import SOURCE, counts, outcomes, people
from disks import WatchedDisk, full_database, watch_databases
from memory_servers import client_of

from carecloud_async._base.runtime.durable_files import state_folder
from carecloud_async.bulk import BulkWriteError
from carecloud_async.bulk.machine import State
from carecloud_async.pytest_plugin.clock import FakeClock

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


async def test_what_cannot_be_noted_is_not_sent(server, tmp_path, monkeypatch):
    """Where the journal cannot note that a row is about to be sent, it is not sent, and the error says why."""
    clock, is_full = FakeClock(), True

    def refuse(_database, statement):
        if is_full and statement.startswith(f"UPDATE writes SET state = {State.INTENDED}"):
            raise full_database()

    watch_databases(monkeypatch, refuse)
    arguments = {"match": None, "defaults": SOURCE, "journal": tmp_path / "journal", "resume": True}
    async with client_of(server, clock) as client:
        with pytest.raises(BulkWriteError, match="the disk is full"):
            await client.customers.bulk_write(people(3), **arguments)
        assert server.sent == []
        is_full = False
        assert counts(await client.customers.bulk_write(people(3), **arguments)) == {"created": 3}
