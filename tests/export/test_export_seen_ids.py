"""The memory of seen ids: private, closed only when no thread uses it, and clear about a disk that refuses."""

import contextlib
import json
import sqlite3
import stat
import threading

import anyio
import pytest
from export_help import ListServer, ids

from carecloud_async import ExportError
from carecloud_async.export.reading.seen_ids import SeenIds

MANY = [f"{one:08x}" for one in range(20_000)]


@pytest.fixture(autouse=True)
def every_page(monkeypatch):
    monkeypatch.setattr("carecloud_async.export.progress._EVERY", 0)


def test_the_file_is_private(tmp_path):
    """No other user may read the ids, nor SQLite's journal next to them."""
    with SeenIds(tmp_path / "seen.db") as seen:
        seen.add(["a"], step=1)
        seen._db.connection.execute("BEGIN")
        seen._db.connection.execute("INSERT INTO seen VALUES ('b', 1, 2)")
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    assert modes == {"seen.db": 0o600, "seen.db-journal": 0o600}


@pytest.mark.anyio
async def test_the_ids_are_opened_outside_the_event_loop(tmp_path, monkeypatch):
    """Opening the database and counting what it holds happens in a worker thread."""
    threads = []

    class Watched(SeenIds):
        def __init__(self, path):
            threads.append(threading.get_ident())
            super().__init__(path)

    monkeypatch.setattr("carecloud_async.export.file_export.SeenIds", Watched)
    server = ListServer([f"{one:04x}" for one in range(300)], order="shuffled")
    async with server.client(rate_limit=None) as client:
        await client.customers.list().export(tmp_path / "c.jsonl")
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("name", ["seen.db", None])
def test_a_full_disk_is_one_sentence(tmp_path, name):
    """A disk without room is an ExportError that says so."""
    with SeenIds(name and tmp_path / name) as seen:
        seen._db.connection.execute("PRAGMA max_page_count=3")
        with pytest.raises(ExportError, match="disk is full: make room" if name else "SQLITE_TMPDIR"):
            seen.add(MANY, step=1)


def test_a_damaged_file_is_one_sentence(tmp_path):
    """A file that SQLite did not write is an ExportError, and is closed."""
    path = tmp_path / "seen.db"
    path.write_bytes(b"garbage " * 1000)
    with pytest.raises(ExportError, match=r"seen\.db is damaged: export with resume=False"):
        SeenIds(path)


def test_closing_waits_for_a_thread(tmp_path):
    """`close` while another thread adds ids waits: SQLite would crash the process."""
    for _ in range(20):
        seen = SeenIds(tmp_path / "seen.db")
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
    path, seen = tmp_path / "c.jsonl", tmp_path / "c.jsonl.partial" / "seen.db"
    async with server.client() as client:
        with anyio.CancelScope() as scope:
            await client.customers.list(count=25).export(
                path, on_progress=lambda progress: progress.pages > 8 and scope.cancel()
            )
        assert json.loads((seen.parent / "checkpoint.json").read_bytes())["value"]["strategy"] == "unordered"
        seen.write_bytes(b"garbage " * 1000)
        with pytest.raises(ExportError, match="damaged"):
            await client.customers.list(count=25).export(path, resume=True)
        await client.customers.list(count=25).export(path)
    assert sorted(ids(path)) == sorted(server.names)


@pytest.mark.anyio
async def test_a_full_disk_under_the_ids_loses_nothing(tmp_path, monkeypatch):
    """An export whose ids find no room ends with one sentence, and goes on when there is room."""
    server = ListServer([f"{one:08x}" for one in range(3000)], order="shuffled")
    path, connect = tmp_path / "c.jsonl", sqlite3.connect

    def connect_to_small(*args, **more):
        db = connect(*args, **more)
        db.execute("PRAGMA max_page_count=6")
        return db

    async with server.client() as client:
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", connect_to_small)
            with pytest.raises(ExportError, match="disk is full: make room and go on with resume=True"):
                await client.customers.list(count=50).export(path)
        report = await client.customers.list(count=50).export(path, resume=True)
    assert report.resumed
    assert sorted(ids(path)) == server.names
