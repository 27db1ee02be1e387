"""The memory of seen ids: private, closed only when no thread uses it, and clear about a disk that refuses."""

import contextlib
import sqlite3
import threading

import anyio
import pytest
from export_help import ListServer, every_page, ids

from carecloud_async import ExportError
from carecloud_async._base.runs import IN_MEMORY, Database
from carecloud_async._lists.export.reading.seen_ids import SEEN_TABLE, SeenIds, TemporarySeenIds

MANY = [f"{one:08x}" for one in range(20_000)]


@pytest.mark.anyio
async def test_the_ids_are_opened_outside_the_event_loop(tmp_path, monkeypatch):
    """A run that goes on opens the database and counts the ids that it holds in a worker thread."""
    threads, connect = [], sqlite3.connect

    def fail(progress):
        if progress.pages >= 3:
            raise RuntimeError

    def connect_watched(*args, **more):
        threads.append(threading.get_ident())
        db = connect(*args, **more)
        db.set_trace_callback(lambda _statement: threads.append(threading.get_ident()))
        return db

    server = ListServer([f"{one:04x}" for one in range(300)], order="shuffled")
    async with server.client(rate_limit=None, clock=every_page()) as client:
        listing = client.customers.list(count=50)
        with pytest.raises(RuntimeError):
            await listing.export(tmp_path / "c.jsonl", on_progress=fail)
        monkeypatch.setattr(sqlite3, "connect", connect_watched)
        assert (await listing.export(tmp_path / "c.jsonl", resume=True)).resumed
    assert threads
    assert threading.get_ident() not in threads


def small_databases(pages):
    """Return an `sqlite3.connect` whose databases are full after that many pages."""
    connect = sqlite3.connect

    def connect_to_small(*args, **more):
        db = connect(*args, **more)
        db.execute(f"PRAGMA max_page_count={pages}")
        return db

    return connect_to_small


def test_a_full_temporary_folder_is_one_sentence(monkeypatch):
    """A disk without room is an ExportError that says so."""
    monkeypatch.setattr(sqlite3, "connect", small_databases(3))
    with TemporarySeenIds() as seen, pytest.raises(ExportError, match="SQLITE_TMPDIR"):
        seen.add(MANY, step=1)


def test_what_was_added_and_not_stored_is_known():
    """An id is found in memory, in the database, and between the two."""
    with contextlib.closing(Database(IN_MEMORY, explain=ExportError)) as db:
        db.execute(SEEN_TABLE)
        seen = SeenIds()
        assert seen.add(["a", "b", b"5"], step=1) == ([0, 1, 2], [1, 2, 3])
        assert seen.add(["b", "c", "c"], step=2) == ([1], [2, 4, 4])
        seen.store(db, through=1)
        assert len(db.execute("SELECT * FROM seen")) == 3
        assert seen.add(["a", "c", "5"], step=3) == ([2], [1, 4, 5])
        resumed = SeenIds(db)
        assert resumed.add(["c", "b"], step=2) == ([0], [4, 2])


def test_closing_waits_for_a_thread():
    """`close` while another thread adds ids waits: SQLite would crash the process."""
    for _ in range(20):
        seen = TemporarySeenIds()
        begun = threading.Event()
        ended = []

        def add(seen=seen, begun=begun, ended=ended):
            begun.set()
            with contextlib.suppress(ExportError):  # closed before it began
                seen.add(MANY[:2000], step=1)
            ended.append(True)

        thread = threading.Thread(target=add)
        thread.start()
        begun.wait()
        seen.close()
        thread.join()
        assert ended


@pytest.mark.anyio
async def test_damaged_ids_on_resume_are_refused(tmp_path):
    """A resume whose ids are damaged says so; without resume, the export starts over."""
    server = ListServer([f"{one:04x}" for one in range(500)], order="shuffled")
    path, run = tmp_path / "c.jsonl", tmp_path / ".c.jsonl.run" / "run.db"
    async with server.client(clock=every_page()) as client:
        with anyio.CancelScope() as scope:
            await client.customers.list(count=25).export(
                path, on_progress=lambda progress: progress.pages > 8 and scope.cancel()
            )
        content = bytearray(run.read_bytes())
        assert b'"strategy":"unordered"' in content
        content[60:64] = bytes(4)  # as after a kill: without the checksum of a closed file
        content[4096:] = b"g" * (len(content) - 4096)
        run.write_bytes(content)
        with pytest.raises(ExportError, match="damaged"):
            await client.customers.list(count=25).export(path, resume=True)
        await client.customers.list(count=25).export(path)
    assert sorted(ids(path)) == sorted(server.names)


@pytest.mark.anyio
async def test_a_full_disk_under_the_ids_loses_nothing(tmp_path, monkeypatch):
    """An export whose ids find no room ends with one sentence, and goes on when there is room."""
    server = ListServer([f"{one:08x}" for one in range(1500)], order="shuffled")
    path = tmp_path / "c.jsonl"
    async with server.client() as client:
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", small_databases(6))
            with pytest.raises(ExportError, match="disk is full: free some space and go on with resume=True"):
                await client.customers.list(count=50).export(path)
        report = await client.customers.list(count=50).export(path, resume=True)
    assert report.resumed
    assert sorted(ids(path)) == server.names
