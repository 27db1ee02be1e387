"""Files that something damaged, and journals too: a clear message before anything is sent, or a refused row."""

import errno
import os
import sqlite3
import tracemalloc

import pytest
from bulk_tools import CARD_TYPE, SOURCE, connect, counts, denied, people, read

from carecloud_async.bulk import BulkWriteError
from carecloud_async.bulk.sources.files import MAX_LINE

pytestmark = pytest.mark.anyio


async def written(sandbox, path, **more):
    """Write a file; return the reasons of its rows."""
    results = path.with_name("r.jsonl")
    async with connect(sandbox) as client:
        await client.customers.bulk_write(path, match="email", defaults=SOURCE, results=results, **more)
    return [row["reasons"] for row in read(results)]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
async def test_utf16_without_a_mark(sandbox, tmp_path, encoding):
    """UTF-16 without a byte order mark is named as what it is."""
    path = tmp_path / "c.csv"
    path.write_bytes("email,language_id\na@example.com,en\n".encode(encoding))
    with pytest.raises(BulkWriteError, match=r"NUL bytes and no byte order mark: save it .* or name encoding="):
        await written(sandbox, path)


async def test_lines_that_are_too_long(sandbox, tmp_path):
    """A line of 16 MiB and a row of too many cells are refused alone, and a header that long is an error."""
    path, long = tmp_path / "c.csv", "," * MAX_LINE
    path.write_text("\n".join(["email,language_id", "a@example.com,en", long + long, "," * 3000, "b@example.com,en"]))
    assert await written(sandbox, path) == [
        [], ["line 3: it is longer than 16 MiB"], ["line 4: the row has 3,001 cells where the header has 2"], [],
    ]  # fmt: skip
    path.write_text(f"email{long}\na@example.com\n")
    with pytest.raises(BulkWriteError, match="the header line is longer"):
        await written(sandbox, path)


async def test_json_without_line_breaks(sandbox, tmp_path):
    """A large JSON array named `.jsonl` is refused as a line that is too long, and not read into memory."""
    path, row = tmp_path / "c.jsonl", b'{"email":"a@example.com","language_id":"en"},'
    path.write_bytes(b"[" + row * (6 * MAX_LINE // len(row)))
    tracemalloc.start()
    assert await written(sandbox, path) == [["line 1: it is longer than 16 MiB"]]
    assert tracemalloc.get_traced_memory()[1] < 4 * MAX_LINE
    tracemalloc.stop()


async def test_a_key_that_no_url_of_the_server_holds(server, write):
    """A key that the server finds too long for a URL refuses its row alone."""
    server.longest = 600
    rows = [*people(3), {"email": f"{'x' * 700}@example.com", "language_id": "en"}]
    report = await write(rows)
    assert counts(report) == {"created": 3, "refused": 1}


async def test_a_journal_that_is_damaged_between_runs(sandbox, tmp_path):
    """The error of a damaged journal names the file and the fix; the next run makes no duplicate."""
    source, journal = tmp_path / "c.jsonl", tmp_path / "journal.db"
    source.write_text("".join(f'{{"email":"k{number}@example.com","language_id":"en"}}\n' for number in range(600)))
    arguments = {"match": "email", "defaults": SOURCE, "journal": journal, "resume": True}
    async with connect(sandbox) as client:
        with denied(sandbox, "POST /customers", after=100):
            await client.customers.bulk_write(source, **arguments)
        with sqlite3.connect(journal) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        size = journal.stat().st_size
        with journal.open("r+b") as file:
            for place in range(3 * 4096, size, 4096):
                file.seek(place)
                file.write(b"\xa5" * 600)
        with pytest.raises(BulkWriteError, match="is damaged: remove the file to begin again"):
            await client.customers.bulk_write(source, **arguments)
        journal.unlink()
        report = await client.customers.bulk_write(source, **arguments)
        assert report.created + report.unchanged == 600
        assert await client.customers.list().total() == 660


async def test_results_that_do_not_fit_leave_no_part_of_them(client, tmp_path, monkeypatch):
    """When the disk is full while the results are written, no partial file stays; the next run writes them."""
    source, results = tmp_path / "c.jsonl", tmp_path / "r.csv"
    source.write_text('{"email":"a@example.com","language_id":"en"}\n')

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(BulkWriteError, match=r"the disk is full.*resume=True"):
        patch.setattr(os, "fsync", full)
        await client.customers.bulk_write(source, match="email", defaults=SOURCE, results=results)
    assert not list(tmp_path.glob("*partial*")) + list(tmp_path.glob(".*partial*"))
    report = await client.customers.bulk_write(source, match="email", defaults=SOURCE, results=results, resume=True)
    assert counts(report) == {"created": 1}
    assert [row["outcome"] for row in read(results)] == ["created"]


async def test_a_body_that_is_too_large(sandbox, client):
    """A batch that the server finds too large goes in parts."""
    rows = [{"card_number": f"55{number:06}", "card_type_id": CARD_TYPE, "state": 1} for number in range(40)]
    sandbox.faults.add("POST /cards/batch", status=413, times=2)
    assert counts(await client.cards.bulk_write(rows, match="card_number")) == {"created": 40}
