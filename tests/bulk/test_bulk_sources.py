"""Files as shops have them: every row is read, or refused with a reason and a fix."""

import errno
import gzip
import os
import sqlite3
import tracemalloc
from itertools import product

import anyio
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bulk_tools import CARD_TYPE, SOURCE, connect, counts, denied, people, read
from every import every

from carecloud_async._lists.export.formats.csv import FORMULA_STARTS, join_columns
from carecloud_async._lists.export.formats.sinks import CsvOptions
from carecloud_async.bulk import BadSourceError, BulkWriteError
from carecloud_async.bulk.sources import open_source
from carecloud_async.bulk.sources.files import MAX_LINE
from carecloud_async.models import UNSET, PersonalInformationInput

pytestmark = pytest.mark.anyio


async def rows_of(source, **more):
    """All rows of a source: values and faults."""
    opened = open_source(source, **more)
    try:
        return [(dict(row.values), row.fault) async for batch in opened.batches() for row in batch]
    finally:
        opened.close()


@every("encoding, delimiter", product(["utf-8", "utf-8-sig", "utf-16"], [",", ";", "\t", "|"]))
async def test_csv_of_any_delimiter_and_encoding(tmp_path, encoding, delimiter):
    """Delimiter, byte order mark and UTF-16 are recognised."""
    path = tmp_path / "c.csv"
    path.write_text(delimiter.join(["email", "first_name"]) + f"\r\na@b.cz{delimiter}Žofie\r\n", encoding=encoding)
    assert await rows_of(path) == [({"email": "a@b.cz", "first_name": "Žofie"}, None)]


@every(
    "encoding, name",
    [
        ("cp1250", "Žofie Řehořová"),
        ("cp1252", "Gaëlle Fèvre"),
        ("cp852", "Jiří Dvořák"),
        ("iso8859-2", "Růžena Žižková"),
        ("cp1251", "Ольга Петрова"),
    ],
)
async def test_csv_of_another_encoding_says_which_it_probably_is(tmp_path, encoding, name):
    """A file that is not UTF-8 says so, with the line, the probable encoding and no value; named, it is read."""
    path = tmp_path / "c.csv"
    path.write_bytes(f"email,first_name\nb@b.cz,Eva\na@b.cz,{name}\n".encode(encoding))
    problem = f"line 3 is not UTF-8: name its encoding with encoding=, here probably {encoding}"
    with pytest.raises(BulkWriteError, match=f"{problem}$"):
        await rows_of(path)
    assert (await rows_of(path, encoding=encoding))[1] == ({"email": "a@b.cz", "first_name": name}, None)


@every(
    "written, encoding, problem",
    [
        ("utf-8", "cp1250", "its text is utf-8, not cp1250: leave out encoding="),
        ("utf-8-sig", "cp1250", "a byte order mark at its beginning says utf-8, not cp1250: leave out encoding="),
        ("utf-16", "utf-8", "a byte order mark at its beginning says utf-16, not utf-8: leave out encoding="),
        ("cp1250", "ascii", "line 2 is not ascii: name its encoding with encoding=, here probably cp1250"),
        ("iso8859-2", "cp1250", "its text is probably iso8859-2, not cp1250: name that in encoding=, or save the file"),
        ("cp852", "cp1250", "its text is probably cp852, not cp1250: name that in encoding="),
        ("cp1250", "latin2", "its text is probably cp1250, not iso8859-2: name that in encoding="),
        ("cp1250", "latin-1", "its text is probably cp1250, not iso8859-1: name that in encoding="),
        ("cp1250", "cp12500", "encoding='cp12500' is no encoding that Python knows: did you mean cp1250"),
        ("cp1250", "base64", "encoding='base64' is no encoding that Python knows"),
    ],
)
async def test_an_encoding_that_the_file_contradicts(tmp_path, written, encoding, problem):
    """A named encoding that does not exist, or is not the file's, is an error with the fix."""
    path = tmp_path / "c.csv"
    path.write_bytes("email,first_name\na@b.cz,Žofie Dvořáková\n".encode(written))
    with pytest.raises(BulkWriteError, match=problem):
        await rows_of(path, encoding=encoding)


async def test_utf16_without_a_mark_is_read_when_it_is_named(tmp_path):
    """UTF-16 without a byte order mark needs its name."""
    path = tmp_path / "c.csv"
    path.write_bytes("email,first_name\na@b.cz,Žofie\n".encode("utf-16-le"))
    assert await rows_of(path, encoding="UTF-16LE") == [({"email": "a@b.cz", "first_name": "Žofie"}, None)]


@every("encoding", ["cp1250", "cp1252", "iso8859-2", "cp1254"])
async def test_an_encoding_that_is_named_is_taken_where_nothing_contradicts_it(tmp_path, encoding):
    """Names of several languages, signs and quotation marks are no reason to doubt an encoding."""
    names = ["Grünwald", "»Kniha«", "Persil® 3kg", "Szűcs", "Élodie", "5 µm", "½ l", "© 2026", "Łoś", "Gökçe", "Dvořák"]
    names = [name for name in names if name.encode(encoding, "ignore").decode(encoding) == name]
    path = tmp_path / "c.csv"
    path.write_text("first_name\n" + "\n".join(names) + "\n", encoding=encoding)
    assert [row["first_name"] for row, _ in await rows_of(path, encoding=encoding)] == names


async def test_an_encoding_of_what_is_no_csv(tmp_path):
    """JSON Lines, Parquet and rows have no encoding to be named."""
    path = tmp_path / "c.jsonl"
    path.write_text("{}")
    for source in (path, []):
        with pytest.raises(BulkWriteError, match="encoding='cp1250' is for CSV files"):
            await rows_of(source, encoding="cp1250")


async def test_rows_of_another_width_are_refused(tmp_path):
    """A row with more or fewer cells than the header is refused and names both numbers."""
    path = tmp_path / "c.csv"
    path.write_text("a,b\n1,2\n1\n1,2,3\n\n4,5")
    faults = [fault for _, fault in await rows_of(path)]
    assert faults == [
        None,
        "line 3: the row has 1 cells where the header has 2",
        "line 4: the row has 3 cells where the header has 2",
        None,
    ]


async def test_line_that_is_no_json_object_is_refused(tmp_path):
    """A line that is no JSON object is refused with its number; half a line at the end too."""
    path = tmp_path / "c.jsonl"
    path.write_text('{"a": 1}\n[1]\nno\n\n{"a": 2}\n{"a": ')
    assert await rows_of(path) == [
        ({"a": 1}, None),
        ({}, "line 2: it is no JSON object"),
        ({}, "line 3: it is no JSON"),
        ({"a": 2}, None),
        ({}, "line 6: it is no JSON"),
    ]


@every(
    "name, content, message",
    [
        ("c.txt", b"", "name the format by the suffix"),
        ("c.xlsx", b"", "it is a workbook: save its sheet as CSV UTF-8, or read it in Python with polars.read_excel"),
        ("c.csv", b"PK\x03\x04\x14\0", "it is a workbook"),
        ("c.csv", b"\xd0\xcf\x11\xe0\xa1", "it is a workbook"),
        ("c.csv", b"", "no header line"),
        ("c.csv", b"a,a\n1,2\n", "'a' stands twice in the header"),
        ("c.parquet", b"nonsense", "it is no Parquet file"),
        ("c.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 100, mtime=0)[:-20], "cannot be read: EOFError"),
        ("missing.csv", None, "No such file"),
    ],
)
async def test_files_that_cannot_be_taken(tmp_path, name, content, message):
    """A file that cannot be taken says why."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BulkWriteError, match=message):
        await rows_of(path)


async def test_a_damaged_page_of_a_parquet_file_says_where(tmp_path):
    """A Parquet file whose end is sound and whose pages are damaged names itself and the row."""
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"a": ["x" * 50] * 3000}), path, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[1000:2000] = b"\xff" * 1000
    path.write_bytes(content)
    with pytest.raises(BadSourceError, match=r"c\.parquet: after row 0 it cannot be read"):
        await rows_of(path)


async def test_spreadsheet_escapes_are_taken_back(tmp_path):
    """The apostrophe before a formula in a spreadsheet's file is taken off; elsewhere it stays."""
    path = tmp_path / "c.csv"
    path.write_text("phone;note\n'+420777;'=x\n")
    assert await rows_of(path) == [({"phone": "+420777", "note": "=x"}, None)]
    path.write_text("phone,note\n'+420777,'=x\n")
    assert await rows_of(path) == [({"phone": "'+420777", "note": "'=x"}, None)]


@every("start", FORMULA_STARTS)
async def test_every_escape_of_exports_is_taken_back(tmp_path, start):
    """Whatever an export for spreadsheets puts an apostrophe before is read without it: line ends, apostrophes too."""
    path = tmp_path / "c.csv"
    values = [f"{start}x", f"'{start}x", "'x", "x"]
    cells = join_columns([[value] for value in values], CsvOptions.excel(), rows=1)
    path.write_bytes(b"a;b;c;d\r\n" + cells + f'"{start}y";;;\r\n'.encode())
    assert [[*row.values()] for row, _ in await rows_of(path)] == [values, [f"{start}y", "", "", ""]]


async def test_results_keep_the_escapes_of_the_source(client, tmp_path):
    """Results and rejects hold the cells of a spreadsheet's file as they are: no formula loses its apostrophe."""
    source, results, rejects = (tmp_path / f"{name}.csv" for name in ("c", "r", "bad"))
    source.write_text("email;first_name;language_id\na@example.com;'=1+1;en\n;'=1+2;en\n", encoding="utf-8-sig")
    await client.customers.bulk_write(source, match="email", defaults=SOURCE, results=results, rejects=rejects)
    assert [line.split(";")[1] for line in results.read_text().splitlines()] == ["first_name", "'=1+1", "'=1+2"]
    assert rejects.read_text().splitlines()[1].startswith(";'=1+2;en;")
    made = await client.customers.list(email="a@example.com").first()
    assert made.personal_information.first_name == "=1+1"


async def test_frames_and_async_rows(client):
    """Tables and readers of pyarrow, iterables and async iterables are sources."""
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pylist(people(3))

    async def stream():
        for row in people(3):
            await anyio.lowlevel.checkpoint()
            yield row

    for source in (table, table.to_reader(), iter(people(3)), stream()):
        report = await client.customers.bulk_write(source, match="email", defaults=SOURCE)
        assert report.created + report.unchanged == 3


async def test_a_polars_frame_is_a_source(client):
    """A data frame of polars is read by its Arrow stream."""
    polars = pytest.importorskip("polars", reason="polars is not installed")
    report = await client.customers.bulk_write(polars.DataFrame(people(3)), match="email", defaults=SOURCE)
    assert report.created == 3


async def test_inputs_are_rows_and_records_are_not(client):
    """Inputs of the family are rows; a record that was read is refused: it cannot tell absent from null."""
    from carecloud_async import CustomerInput

    one = await client.customers.list().first()
    row = CustomerInput(personal_information=PersonalInformationInput(email="i@example.com", language_id="en"))
    unset = {"email": "i@example.com", "personal_information": {"first_name": UNSET}, "last_name": UNSET}
    report = await client.customers.bulk_write([row], match="email", defaults=SOURCE)
    assert counts(report) == {"created": 1}
    assert counts(await client.customers.bulk_write([unset], match="email")) == {"unchanged": 1}
    assert counts(await client.customers.bulk_write([one], match="customer_id")) == {"refused": 1}


async def test_results_are_never_the_source(client, tmp_path):
    """Results over the source, by path or by link, are refused before anything is read."""
    path = tmp_path / "c.csv"
    path.write_text("email\na@example.com\n")
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    for results in (path, link):
        with pytest.raises(BulkWriteError, match="are the same file"):
            await client.customers.bulk_write(path, match="email", results=results)
    assert path.read_text() == "email\na@example.com\n"


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
    source.write_text("".join(f'{{"email":"k{number}@example.com","language_id":"en"}}\n' for number in range(200)))
    arguments = {"match": "email", "defaults": SOURCE, "journal": journal, "resume": True}
    async with connect(sandbox) as client:
        with denied(sandbox, "POST /customers", after=50):
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
        assert report.created + report.unchanged == 200
        assert await client.customers.list().total() == 260


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
