"""Faults that attacks found in earlier versions: keys and records under several runs, kills and lost answers."""

import json
from functools import partial

import anyio
import anyio.lowlevel
import httpx
import pytest
from bulk_tools import (
    CARD_TYPE,
    SOURCE,
    StopError,
    connect,
    counts,
    customer_with_cards,
    people,
    read,
    stop_while_it_waits,
)
from kit import through
from memory_servers import CustomerServer, client_of

from carecloud_async import CareCloudError
from carecloud_async.bulk import engine
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

BY_EMAIL = {"match": "email", "defaults": SOURCE}


class KilledError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("runs", [3, 5])
async def test_several_runs_at_once_make_no_double(server, clock, runs):
    """The same rows in three and more runs at once: each address is made once."""
    rows, reports = people(60), []

    async def arrived(_request):
        await anyio.lowlevel.checkpoint()

    server.arrived = arrived
    async with client_of(server, clock) as client, anyio.create_task_group() as tasks:

        async def run():
            reports.append(await client.customers.bulk_write(rows, concurrency=3, **BY_EMAIL))

        for _ in range(runs):
            tasks.start_soon(run)
    assert set(server.emails().values()) == {1}
    assert sum(report.created for report in reports) == 60
    assert sum(report.created + report.unchanged for report in reports) == 60 * runs


async def test_a_row_that_was_intended_and_whose_key_another_program_made(server, clock, tmp_path):
    """After a kill its values are written, and it is reported as updated: what is there was not made by the row."""
    journal = tmp_path / "j.db"

    async def arrived(request):
        if request.method == "POST" and request.url.path.endswith("/customers"):
            raise KilledError

    server.arrived = arrived
    arguments = {"journal": journal, "resume": True, **BY_EMAIL}
    async with client_of(server, clock) as client:
        with pytest.raises(BaseException):  # noqa: B017, PT011  (a group, where the task was one of several)
            await client.customers.bulk_write(people(1), **arguments)
        server.arrived = None
        server.add("new0@example.com", last_name="Theirs")
        report = await client.customers.bulk_write(people(1), **arguments)
    assert counts(report) == {"updated": 1}
    assert [customer["personal_information"]["last_name"] for customer in server.customers.values()] == ["No 0"]


@pytest.mark.parametrize("what", ["card", "property"])
async def test_parts_of_known_customers_in_two_runs_at_once(client, what):
    """A card or a property value that two runs bring at the same time is made once."""
    reports = []
    await client.customers.bulk_write(people(12), **BY_EMAIL)
    property_id = (await client.customer_properties.list().first()).property_id
    more = {"card_type_id": CARD_TYPE} if what == "card" else {f"property.{property_id}": "5"}
    rows = [
        {**row, **more, **({"card_number": f"77{number}"} if what == "card" else {})}
        for number, row in enumerate(people(12))
    ]

    async def run():
        reports.append(await client.customers.bulk_write(rows, **BY_EMAIL))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(run)
    assert sum(report.updated for report in reports) == 12
    assert sum(report.unchanged for report in reports) == 24
    if what == "card":
        numbers = [card.card_number async for card in client.cards.list(count=500)]
        assert sorted(number for number in numbers if number.startswith("77")) == sorted(
            f"77{number}" for number in range(12)
        )


@pytest.mark.parametrize(
    ("status", "reason"),
    [(500, "the server failed on it 3 times: 500"), (504, "sent 6 times: each time the answer was lost")],
)
async def test_a_row_on_which_the_server_fails_alone(sandbox, results, status, reason):
    """A batch that is lost is divided: all rows but the one at fault are made, and that one is refused."""
    sizes = []

    def fail(request):
        if request.url.path.endswith("/cards/batch"):
            sizes.append(request.content.count(b"card_number"))
            return httpx.Response(status) if b"88000123" in request.content else None
        return None

    async with connect(sandbox, transport=through(sandbox, fail)) as client:
        rows = [{"card_number": f"88{number:06}", "card_type_id": CARD_TYPE, "state": 1} for number in range(300)]
        report = await client.cards.bulk_write(rows, match="card_number", results=results)
    assert counts(report) == {"created": 299, "refused": 1}
    assert read(results)[123]["reasons"][0].startswith(reason)
    assert (sizes[0], max(sizes[1:])) == (300, 30)
    assert sizes[-3:] == [1, 1, 1]
    assert report.waited > 0


async def test_a_product_that_is_known_by_its_code(client):
    """A batch has the code of each product, so that the endpoint finds it: the product is updated and none is made."""
    rows = [{"code": f"c{number}", "name": f"Old {number}", "plu_ids": []} for number in range(3)]
    assert counts(await client.products.bulk_write(rows, match="code")) == {"created": 3}
    total = await client.products.list().total()
    rows = [{"code": f"c{number}", "name": f"New {number}", "plu_ids": []} for number in range(3)]
    assert counts(await client.products.bulk_write(rows, match="code")) == {"updated": 3}
    assert counts(await client.products.bulk_write(rows, match="code")) == {"unchanged": 3}
    assert await client.products.list().total() == total


@pytest.mark.parametrize("refused", [0, 2])
async def test_a_later_row_of_a_record_does_not_overtake_an_earlier_one(sandbox, client, refused):
    """Two rows that lead to one customer are written in their order, also if the first PUT has to be sent again."""
    row = await customer_with_cards(client, "771", "772", last_name="Second")
    if refused:
        sandbox.faults.add("PUT /customers/{customer_id}", status=429, retry_after=1, times=refused)
    rows = [
        {"card_number": "771", "first_name": "First", "last_name": "First"},
        {"card_number": "772", "last_name": "Second"},
    ]
    report = await client.customers.bulk_write(rows, match="card_number")
    person = (await client.customers.list(email=row["email"]).first()).personal_information
    assert counts(report) == {"updated": 2}
    assert (person.first_name, person.last_name) == ("First", "Second")


async def test_a_later_row_does_not_overtake_one_whose_look_up_failed(sandbox):
    """Two rows that lead to one customer are written in their order, also if the server fails on the first look-up."""
    failures = []

    def fail(request):
        if "771" in str(request.url.query) and len(failures) < 5:
            failures.append(request)
            return httpx.Response(500)
        return None

    async with connect(sandbox) as client:
        row = await customer_with_cards(client, "771", "772", last_name="Second")
    async with connect(sandbox, transport=through(sandbox, fail)) as client:
        rows = [{"card_number": "771", "last_name": "First"}, {"card_number": "772", "last_name": "Second"}]
        report = await client.customers.bulk_write(rows, match="card_number")
        person = (await client.customers.list(email=row["email"]).first()).personal_information
    assert counts(report) == {"updated": 2}
    assert person.last_name == "Second"


async def test_a_later_row_waits_for_a_record_that_a_stopped_run_may_still_write(clock, tmp_path):
    """A run that goes on leaves a record alone for its later rows while a lost PUT of an earlier row may act on it."""
    sandbox = Sandbox(customers=10, seed=1, clock=clock.time)
    rows = [{"card_number": "771", "last_name": "First"}, {"card_number": "772", "first_name": "Second"}]
    options = {"match": "card_number", "journal": tmp_path / "j.db", "resume": True}
    async with connect(sandbox, clock=clock) as client:
        row = await customer_with_cards(client, "771", "772")
        sandbox.faults.add("PUT /customers/{customer_id}", status=504, late=20.0)
        with pytest.raises(StopError):
            await client.customers.bulk_write(rows, on_progress=stop_while_it_waits, **options)
        assert counts(await client.customers.bulk_write(rows, **options)) == {"updated": 2}
        clock.advance(100)
        found = (await client.customers.list(email=row["email"]).first()).personal_information
    assert (found.last_name, found.first_name) == ("First", "Second")


@pytest.mark.parametrize(("most", "known"), [(1, 2), (2, 3), (40, 41), (40, 150)])
async def test_a_look_up_of_several_pages_while_records_go(write, clock, most, known):
    """Known keys are found though the server caps its pages and a record goes between two of them."""
    server, rows = CustomerServer(clock, most=most), people(known)
    for row in rows:
        server.add(row["email"], last_name="Old")
    first = next(iter(server.customers))

    async def arrived(request):
        if request.url.params.get("offset", "0") != "0":
            server.customers.pop(first, None)

    server.arrived = arrived
    await write(rows, transport=server)
    assert set(server.emails().values()) == {1}


async def test_a_server_of_small_pages_is_asked_for_few_keys_at_a_time(clock, write, monkeypatch):
    """When a look-up found more than a page, the next ones are for as many keys as a page holds records."""
    monkeypatch.setattr(engine, "CHUNK", 20)
    server = CustomerServer(clock, most=3)
    for row in people(200):
        server.add(row["email"])
    report = await write(people(200), mode="create", transport=server)
    assert counts(report) == {"conflict": 200}
    assert report.requests < 100


async def test_a_row_that_a_queue_delivers_again(server, clock):
    """A row whose request was lost, and whose writer raised, is looked up after the settle time when it comes again."""
    (row,) = people(1)
    async with client_of(server, clock) as client, client.customers.bulk_writer(**BY_EMAIL) as writer:
        server.faults = [20.0]

        async def arrived(request):
            if server.sent and request.method == "GET" and not denied:
                denied.append(request)
                server.reads = [500] * 10

        denied = []
        server.arrived = arrived
        with pytest.raises(CareCloudError):
            await writer.write(row)
        server.reads = []
        again = await writer.write(row)
        other = await client.customers.bulk_write([row], **BY_EMAIL)
    assert again.outcome in {"updated", "unchanged", "created"}
    assert counts(other) == {"unchanged": 1}
    assert set(server.emails().values()) == {1}


async def test_rows_of_a_writer_that_lead_to_one_record(sandbox, client):
    """Two rows with two cards of one customer that a writer has at once lose no value of either."""
    row = await customer_with_cards(client, "771", "772", last_name="Old")
    sent = anyio.Event()

    async def on_request(request):
        if request.method == "PUT" and not sent.is_set():
            sent.set()
            for _ in range(300):  # the other row is looked up meanwhile
                await anyio.lowlevel.checkpoint()

    async def write(writer, row):
        assert (await writer.write(row)).outcome == "updated"

    sandbox.on_request = on_request
    async with (
        client.customers.bulk_writer(match="card_number") as writer,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(write, writer, {"card_number": "771", "last_name": "Newer"})
        await sent.wait()
        tasks.start_soon(write, writer, {"card_number": "772", "first_name": "Newest"})
    found = await client.customers.list(email=row["email"]).first()
    person = found.personal_information
    assert (person.first_name, person.last_name) == ("Newest", "Newer")


@pytest.mark.parametrize("status", [404, 405, 409, 413, 422])
async def test_a_card_that_the_server_refuses(sandbox, client, results, status):
    """Any refusal of one card is its row's alone: the others are made, and the results have them all."""
    refusal = json.dumps({"error": {"type": "x", "exception": "CardRefused", "title": "t"}})
    rows = [{**row, "card_number": f"77{number}", "card_type_id": CARD_TYPE} for number, row in enumerate(people(4))]
    sandbox.faults.add("POST /cards", status=status, body=refusal, after=1)
    report = await client.customers.bulk_write(rows, concurrency=1, results=results, **BY_EMAIL)
    assert counts(report) == {"created": 3, "refused": 1}
    reasons = [row["reasons"] for row in read(results) if row["outcome"] == "refused"]
    assert reasons[0][0] == f"card_number: the server refused it with {status} CardRefused"


async def test_an_id_that_is_no_id(client, results):
    """An id that cannot stand in a path refuses its row, and the others are written."""
    known = await client.cards.list().first()
    rows = [{"card_id": "..", "state": 1}, {"card_id": known.card_id, "state": 1}]
    report = await client.cards.bulk_write(rows, match="card_id", results=results)
    assert report.refused == 1
    assert read(results)[0]["reasons"][0].startswith("card_id: ")


async def test_a_lost_batch_of_brands_reads_the_list_once(sandbox, client):
    """Keys that only the list finds are looked up together, not one after another."""
    rows = [{"external_id": f"b{number}", "name": f"Brand {number}"} for number in range(200)]
    sandbox.faults.add("POST /product-brands/batch", status=504, worked=True)
    report = await client.product_brands.bulk_write(rows, match="external_id")
    brands = [brand.external_id async for brand in client.product_brands.list(count=500)]
    assert counts(report) == {"created": 200}
    assert sorted(brand for brand in brands if brand and brand[0] == "b" and brand[1:].isdigit()) == sorted(
        row["external_id"] for row in rows
    )
    assert report.requests < 12


async def test_records_by_an_id_that_only_their_list_shows(sandbox, client):
    """Records of a family that has no GET of one record are found by their ids in the list, which is read once."""
    customer_id = (await client.customers.list().first()).customer_id
    records = client.customers.property_records(customer_id)
    for property_id in sandbox.records("customer-properties").ids()[:3]:
        await records.bulk_write([{"property_id": property_id, "property_value": "old"}], match="property_id")
    ids = [record.property_record_id async for record in records.list() if record.property_value == "old"]
    rows = [{"property_record_id": value, "property_value": "new"} for value in ids]
    report = await records.bulk_write(rows, match="property_record_id")
    values = [record.property_value async for record in records.list()]
    assert counts(report) == {"updated": len(ids)}
    assert (len(ids), values.count("new"), report.requests) == (3, 3, 1 + 3)


async def test_two_letters_are_not_one(server, clock):
    """`ß` and `ss` are two e-mail addresses."""
    rows = [{**people(1)[0], "email": f"{name}@example.com"} for name in ("strauß", "strauss")]
    async with client_of(server, clock) as client:
        assert counts(await client.customers.bulk_write(rows, **BY_EMAIL)) == {"created": 2}


async def test_two_runs_change_one_record_by_two_keys(server, clock):
    """A row that finds its record by id and one by e-mail are written one after the other, and nothing is lost."""
    read = anyio.Event()
    customer_id = server.add("a@example.com", first_name="Old", last_name="Old")

    async def arrived(request):
        if request.method == "GET" and "email_list" in str(request.url):
            read.set()
        if request.method == "PUT":
            await read.wait()
            for _ in range(50):  # the answer of the other run's look-up, which has the old record, comes first
                await anyio.lowlevel.checkpoint()

    server.arrived = arrived
    async with client_of(server, clock) as client, anyio.create_task_group() as tasks:
        by_id = [{"customer_id": customer_id, "first_name": "New"}]
        tasks.start_soon(partial(client.customers.bulk_write, by_id, match="customer_id"))
        by_email = [{"email": "a@example.com", "last_name": "New"}]
        tasks.start_soon(partial(client.customers.bulk_write, by_email, match="email"))
    person = server.customers[customer_id]["personal_information"]
    assert (person["first_name"], person["last_name"]) == ("New", "New")
    assert server.sent == ["PUT", "PUT"]
