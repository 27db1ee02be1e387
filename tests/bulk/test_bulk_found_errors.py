"""Faults that attacks found in earlier versions: options, sources, results and errors of bulk writes."""

import itertools
import json
import sqlite3

import pytest
from bulk_tools import CARD_TYPE, SOURCE, counts, denied, long, people, read
from memory_servers import CustomerServer, client_of

from carecloud_async import CareCloudError
from carecloud_async.bulk import BadSourceError, BulkWriteError

pytestmark = pytest.mark.anyio

BY_EMAIL = {"match": "email", "defaults": SOURCE}


@pytest.fixture
def server(clock):
    return CustomerServer(clock)


async def test_defaults_fill_new_records_and_values_set_every_row(server, write):
    """A known customer keeps what it has where a default differs, or is no value; a value is set in every row."""
    server.add("new0@example.com", last_name="No 0", first_name="Kept", language_id="cs")
    rows = [{"email": f"new{number}@example.com", "last_name": "Row"} for number in (0, 1)]
    defaults, values = {**SOURCE, "first_name": "Default", "language_id": "en"}, {"last_name": "Value"}
    assert counts(await write(rows, defaults=defaults, values=values)) == {"created": 1, "updated": 1}
    known, new = [record["personal_information"] for record in server.customers.values()]
    assert (known["first_name"], known["last_name"], known["language_id"]) == ("Kept", "Value", "cs")
    assert (new["first_name"], new["last_name"], new["language_id"]) == ("Default", "Value", "en")
    rows += [{"email": "new2@example.com", "last_name": "Row"}]
    report = await write(rows, defaults={**defaults, "birthdate": "soon"}, values=values)
    assert counts(report) == {"unchanged": 2, "refused": 1}


async def test_the_first_rows_of_an_iterable_are_resumed(sandbox, client, tmp_path):
    """`limit=` ends rows that have no end, in a run that is resumed too."""
    arguments = {"journal": tmp_path / "j.db", "resume": True, "limit": 5, **BY_EMAIL}

    def endless():
        return ({**people(1)[0], "email": f"e{item}@example.com"} for item in itertools.count())

    with denied(sandbox, "POST /customers", after=2):
        await client.customers.bulk_write(endless(), concurrency=1, **arguments)
    with pytest.raises(BulkWriteError, match="its limit differs"):
        await client.customers.bulk_write(endless(), **{**arguments, "limit": 6})
    assert counts(await client.customers.bulk_write(endless(), **arguments)) == {"created": 5}


@pytest.mark.parametrize(
    "error", [sqlite3.DatabaseError("theirs"), ConnectionResetError(104, "reset"), OSError(30, "ro")]
)
async def test_an_error_of_the_rows_is_their_own(server, clock, tmp_path, error):
    """An exception of the user's rows or progress function is raised unchanged, and is not blamed on the journal."""

    def rows():
        yield from people(3)
        raise error

    def on_progress(_progress):
        raise error

    async with client_of(server, clock) as client:
        for source, more in ((rows(), {}), (people(3), {"on_progress": on_progress})):
            with pytest.raises(type(error)) as caught:
                await client.customers.bulk_write(source, journal=tmp_path / "j.db", **more, **BY_EMAIL)
            assert caught.value is error


async def test_results_that_cannot_be_written_show_before_any_row_is(server, clock, tmp_path):
    """A path of results that is a directory, or in none, is an error before anything is sent."""
    directory = tmp_path / "r.csv"
    directory.mkdir()
    async with client_of(server, clock) as client:
        for path in (directory, tmp_path / "none" / "r.csv"):
            with pytest.raises(BadSourceError):
                await client.customers.bulk_write(people(3), results=path, **BY_EMAIL)
    assert server.requests == []


async def test_results_that_are_a_link_are_written_through(write, tmp_path, results):
    """A link as results keeps pointing to its file, which gets them."""
    link, target = results, tmp_path / "kept" / "target.jsonl"
    target.parent.mkdir()
    link.symlink_to(target)
    await write(people(2), results=link)
    assert link.is_symlink()
    assert [json.loads(line)["outcome"] for line in target.read_text().splitlines()] == ["created"] * 2


async def test_a_file_without_names_shows_no_data(server, clock, tmp_path):
    """A file whose first line is a row of data is refused without a word of it."""
    source = tmp_path / "c.csv"
    source.write_text("ada@example.com,Ada,Lovelace\nbob@example.com,Bob,Bobson\n")
    async with client_of(server, clock) as client:
        with pytest.raises(BadSourceError, match="no column has the name of a field") as caught:
            await client.customers.bulk_write(source, **BY_EMAIL)
    assert "ada" not in repr(caught.value).lower()


async def test_a_column_that_a_frame_has_twice(server, clock):
    """A frame or a file with two columns of one name is refused, with the name."""
    pyarrow = pytest.importorskip("pyarrow")
    names = ["email", "first_name", "first_name"]
    table = pyarrow.Table.from_arrays([pyarrow.array(["a@example.com"])] * 3, names=names)
    async with client_of(server, clock) as client:
        with pytest.raises(BadSourceError, match=r"first_name.* twice"):
            await client.customers.bulk_write(table, **BY_EMAIL)


async def test_changed_fields_of_parts_that_were_written_before_a_stop(sandbox, client, results):
    """The results of a run that was stopped between a card and a property name both."""
    await client.customers.bulk_write(people(1), **BY_EMAIL)
    property_id = (await client.customer_properties.list().first()).property_id
    rows = [{**people(1)[0], "card_number": "771", "card_type_id": CARD_TYPE, f"property.{property_id}": "5"}]
    fault = sandbox.faults.add("POST /customers/{customer_id}/property-records", status=403, times=None)
    arguments = {"results": results, "resume": True, **BY_EMAIL}
    with pytest.raises(CareCloudError):
        await client.customers.bulk_write(rows, **arguments)
    sandbox.faults.remove(fault)
    report = await client.customers.bulk_write(rows, **arguments)
    assert counts(report) == {"updated": 1}
    assert read(results)[0]["changed_fields"] == ["card_number", f"property.{property_id}"]


async def test_a_record_that_the_list_showed_and_that_is_gone(server, write):
    """A row whose listed record is gone makes a new record; it is neither reported as updated nor left in conflict."""
    rows = [{**row, "email": long(row["email"])} for row in people(20)]
    for row in rows:
        server.add(row["email"], last_name="Old")
    first = next(iter(server.customers))

    async def arrived(request):
        if "email_list" in str(request.url) and first in server.customers:
            del server.customers[first]
            server.faults = ["after"]

    server.arrived = arrived
    report = await write(rows)
    assert counts(report) == {"created": 1, "updated": 19}
    assert set(server.emails().values()) == {1}
