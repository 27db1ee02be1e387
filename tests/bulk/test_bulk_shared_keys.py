"""Rows that ask for one key: none waits for itself, for a refused one, or after another run let go."""

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
    claims_of,
    connect,
    counts,
    customer_with_cards,
    people,
    properties_of_texts,
    read,
    stop_while_it_waits,
)
from kit import through
from memory_servers import CustomerServer, client_of
from thorough import variants

from carecloud_async import CareCloudError, RetryPolicy
from carecloud_async.bulk import engine
from carecloud_async.bulk.claims import Claims
from carecloud_async.pytest_plugin.clock import FakeClock
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

SPOILED = "7.7E+12"


class NoSleep(FakeClock):
    """A clock by which nothing may wait."""

    async def sleep(self, seconds):
        raise AssertionError(f"waits for {seconds} s")


@pytest.mark.parametrize(
    ("match", "between"),
    [
        ("external_id", {}),
        ("email", {"card_number": "7771"}),
        ("card_number", {"language_id": ""}),
        (None, {"gender": "no"}),
    ],
)
async def test_rows_with_one_spoiled_card_number_wait_for_nothing(sandbox, tmp_path, match, between):
    """A card number that a spreadsheet spoiled refuses each row that has it; a row between them is judged alone."""
    rows = [{**row, "external_id": f"Z{number}", "card_number": SPOILED} for number, row in enumerate(people(4))]
    rows[1] |= between
    text = "\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)])
    (tmp_path / "c.csv").write_text(text)
    async with connect(sandbox, clock=NoSleep()) as client:
        report = await client.customers.bulk_write(
            tmp_path / "c.csv",
            match=match,
            defaults={**SOURCE, "card_type_id": CARD_TYPE},
            results=tmp_path / "r.csv",
        )
    written = {"created": 1} if between == {"card_number": "7771"} else {}
    assert counts(report) == written | {"refused": 4 - len(written)}
    assert "card_number: " in read(tmp_path / "r.csv")[3]["reasons"]


@pytest.mark.parametrize("turn", [1, 2, 450])
async def test_a_row_before_one_whose_key_another_run_holds_ends(clock, sandbox, monkeypatch, turn):
    """A row's lost answer is settled while a later row waits for another run, which waits for the first one's key."""
    monkeypatch.setattr(engine, "CHUNK", turn)
    rows = [{**row, "external_id": f"E{number}"} for number, row in enumerate(people(8))]
    sandbox.faults.add("POST /customers", status=504, times=1)
    end = clock.monotonic() + 300.0
    async with connect(sandbox, clock=clock, retry=RetryPolicy(attempts=1)) as client:
        with Claims(project=client.project.origin, clock=clock, settle_seconds=35.0) as other:
            other.claim([f"customers\0external_id\0{SOURCE['customer_source_id']}\x1fE1"])

            def on_progress(progress):
                assert clock.monotonic() <= end, progress.waits_for
                if progress.done == 1:
                    other.release_all()

            arguments = {"match": "external_id", "defaults": SOURCE}
            report = await client.customers.bulk_write(rows, on_progress=on_progress, **arguments)
        assert counts(report) == {"created": 8}
        names = [customer.personal_information.last_name async for customer in client.customers.list(count=500)]
    assert sorted(name for name in names if name and name.startswith("No ")) == [f"No {number}" for number in range(8)]


async def test_a_run_that_waits_for_hours_looks_twice_a_minute(sandbox, clock):
    """While another run holds a key for hours, a run looks twice a minute at most; then it goes on within a minute."""
    began = clock.monotonic()
    async with connect(sandbox, clock=clock) as client:
        with claims_of(clock, client.project.origin) as other:
            other.claim([f"customers\0email\0{people(1)[0]['email']}"])

            def on_progress(_):
                if clock.monotonic() >= began + 3 * 3600:
                    other.release_all()

            report = await client.customers.bulk_write(
                people(1), on_progress=on_progress, match="email", defaults=SOURCE
            )
    assert counts(report) == {"created": 1}
    assert 3 * 3600 <= clock.monotonic() - began < 3 * 3600 + 60
    assert len(clock.sleeps) < 3 * 130


async def test_a_row_that_is_put_back_leaves_the_doubt_about_its_key(sandbox, clock):
    """A row that waits behind another one is unknown afterwards, if a killed run may have sent it."""
    busy = set()
    rows = [{**row, "card_number": f"77{number}"} for number, row in enumerate(people(2))]
    first, second = (f"cards\0card_number\0{row['card_number']}" for row in rows)
    async with connect(sandbox, clock=clock) as client:
        with claims_of(clock, client.project.origin) as killed:
            killed.claim([second])
        clock.advance(60)
        with claims_of(clock, client.project.origin) as other:
            other.claim([first])
            options = {"match": "card_number", "defaults": {**SOURCE, "card_type_id": CARD_TYPE}}

            def on_progress(_):
                if clock.monotonic() > 1065:
                    other.release_all()
                else:  # the row that waits holds its key no more
                    busy.update(other.claim([second]).busy)
                    other.abandon([second], settled=True)

            report = await client.customers.bulk_write(rows, on_progress=on_progress, **options)
    assert counts(report) == {"created": 1, "unknown": 1}
    assert busy == set()


@pytest.mark.parametrize(("hours", "outcome"), [(23, "unknown"), (25, "created")])
async def test_a_doubt_about_a_key_is_kept_for_a_day(sandbox, clock, hours, outcome):
    """A killed run may have made the customer of a card: the row is `unknown`, and a day later it is a new one."""
    (row,) = people(1, card_number="770")
    async with connect(sandbox, clock=clock) as client:
        with claims_of(clock, client.project.origin) as killed:
            killed.claim([f"cards\0card_number\0{row['card_number']}"])
        clock.advance(hours * 3600)
        options = {"match": "card_number", "defaults": {**SOURCE, "card_type_id": CARD_TYPE}}
        assert counts(await client.customers.bulk_write([row], **options)) == {outcome: 1}


@pytest.mark.parametrize("match", ["external_id", "email"])
@pytest.mark.parametrize("spoiled", [{"card_number": [7]}, {"card_number": "5551", "card_type_id": [7]}])
async def test_rows_of_a_writer_with_one_unusable_card_wait_for_nothing(sandbox, match, spoiled):
    """Rows that many tasks write at once, each with the same unusable card, are refused one by one without a pause."""
    found = []
    async with (
        connect(sandbox, clock=NoSleep()) as client,
        client.customers.bulk_writer(match=match, defaults=SOURCE) as writer,
        anyio.create_task_group() as tasks,
    ):

        async def write(row):
            found.append(await writer.write(row))

        for number, row in enumerate(people(5)):
            tasks.start_soon(write, {**row, "external_id": f"Z{number}", **spoiled})
    assert [item.outcome for item in found] == ["refused"] * 5


async def test_an_external_id_of_a_row_is_not_written_as_a_record_of_its_own_meanwhile(clock, tmp_path):
    """While a row's lost external id may still be written, a bulk write of the customer's source records waits."""
    sandbox = Sandbox(customers=10, seed=1, clock=clock.time)
    external = {**SOURCE, "external_id": "E1"}
    async with connect(sandbox, clock=clock) as client:
        customer = await client.customers.list().first()
        records = client.customers.customer_source_records(customer.customer_id)
        sandbox.faults.add("POST /customers/{customer_id}/customer-source-records", status=504, late=20.0)
        row = {"customer_id": customer.customer_id, **external}
        with pytest.raises(StopError):
            await client.customers.bulk_write(
                [row], match="customer_id", journal=tmp_path / "j.db", on_progress=stop_while_it_waits
            )
        report = await records.bulk_write([external], match="external_id")
        assert counts(report) == {"unchanged": 1}
        clock.advance(100)
        assert [record.external_id async for record in records.list(external_id="E1")] == ["E1"]


async def test_two_rows_of_a_writer_that_set_a_property_of_one_customer(sandbox, clock):
    """Rows that find one customer by two cards, one after the other, make one record of the property."""
    path = "/customers/{customer_id}/property-records"
    owner = sandbox.customers.id_at(3)
    had = sandbox.records("customers/property-records", of=owner)
    had = {had.get(record)["property_id"] for record in had.ids()}
    property_id = next(value for value in properties_of_texts(sandbox) if value not in had)
    for number in ("7771", "7772"):
        sandbox.records("cards").insert({"card_number": number, "customer_id": owner, "card_type_id": CARD_TYPE})
    begun, looked_up, done = anyio.Event(), anyio.Event(), []

    async def hold(request):
        if request.name == f"POST {path}" and not begun.is_set():
            begun.set()
            await looked_up.wait()

    class Waiting(FakeClock):
        async def sleep(self, seconds):
            looked_up.set()  # the second row waits for the first one
            await super().sleep(seconds)

    sandbox.on_request = hold
    async with connect(sandbox, clock=Waiting()) as client:

        async def write(writer, number):
            done.append((await writer.write({"card_number": number, f"property.{property_id}": number})).outcome)
            looked_up.set()

        async with (
            client.customers.bulk_writer(match="card_number") as writer,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(write, writer, "7771")
            await begun.wait()
            tasks.start_soon(write, writer, "7772")
        values = [value async for value in client.customers.property_records(owner).list()]
    assert done == ["updated", "updated"]
    assert [value.property_value for value in values if value.property_id == property_id] == ["7772"]


async def test_runs_that_wait_for_each_others_key_and_record(server, write, clock, tmp_path):
    """A run that goes on waits for a key without its record, which the run with the key needs: both end."""
    (row,), waits, reports = people(1), anyio.Event(), []
    server.add(row["email"], last_name="Old")
    server.faults = ["before"]
    first = {"match": "email", "journal": tmp_path / "1.db", "resume": True}
    end = clock.monotonic() + 600

    def on_progress(progress):
        assert clock.monotonic() < end, progress.waits_for
        if progress.waits_for:
            waits.set()

    async def go_on():
        reports.append(await write([row], on_progress=on_progress, **first))

    async def arrived(request):
        if "email_list" in str(request.url):  # the other run has the key by now
            server.arrived = None
            tasks.start_soon(go_on)
            await waits.wait()

    with pytest.raises(StopError):
        await write([row], on_progress=stop_while_it_waits, **first)
    clock.advance(60)
    server.arrived = arrived
    async with anyio.create_task_group() as tasks:
        other = {**row, "last_name": "Other"}
        reports.append(await write([other], match="email", on_progress=on_progress))
    assert [counts(report) for report in reports] == [{"updated": 1}, {"conflict": 1}]


async def test_a_row_overtakes_no_earlier_one_that_waits_for_its_record(sandbox, clock):
    """Of three rows with cards of one customer the last one is written last, though the second waits longer."""
    inner, works_from = sandbox.transport(), clock.monotonic()

    class FailsOnTheThird(httpx.AsyncBaseTransport):
        """The sandbox, whose look-ups of one card fail for most of a minute."""

        async def handle_async_request(self, request):
            if "7773" in str(request.url) and clock.monotonic() < works_from:
                return httpx.Response(502)
            return await inner.handle_async_request(request)

    retry = RetryPolicy(attempts=1)
    async with connect(sandbox, clock=clock, transport=FailsOnTheThird(), retry=retry) as client:
        row = await customer_with_cards(client, "7771", "7772", "7773")
        works_from = clock.monotonic() + 50
        sandbox.faults.add("PUT /customers/{customer_id}", status=504, worked=True, times=1)
        rows = [{"card_number": f"777{value}", "last_name": f"Name {value}"} for value in (1, 2, 3)]
        report = await client.customers.bulk_write(rows, match="card_number")
        customer = await client.customers.list(email=row["email"]).first()
    assert counts(report) == {"updated": 3}
    assert customer.personal_information.last_name == "Name 3"


BY_EMAIL = {"match": "email", "defaults": SOURCE}


class KilledError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("runs", [3, *variants(5)])
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


async def test_a_row_that_was_intended_and_whose_key_another_program_made(server, write, tmp_path):
    """After a kill its values are written, and it is reported as updated: what is there was not made by the row."""
    journal = tmp_path / "j.db"

    async def arrived(request):
        if request.method == "POST" and request.url.path.endswith("/customers"):
            raise KilledError

    server.arrived = arrived
    arguments = {"journal": journal, "resume": True, **BY_EMAIL}
    with pytest.raises(BaseException):  # noqa: B017, PT011  (a group, where the task was one of several)
        await write(people(1), **arguments)
    server.arrived = None
    server.add("new0@example.com", last_name="Theirs")
    report = await write(people(1), **arguments)
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


@pytest.mark.parametrize(("most", "known"), [(1, 2), (40, 41), *variants((2, 3), (40, 150))])
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


async def test_a_server_of_small_pages_is_asked_for_few_keys_at_a_time(clock, write, monkeypatch, threads_at_once):
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


@pytest.mark.parametrize("status", [404, 413, *variants(405, 409, 422)])
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


async def test_two_letters_are_not_one(write):
    """`ß` and `ss` are two e-mail addresses."""
    rows = [{**people(1)[0], "email": f"{name}@example.com"} for name in ("strauß", "strauss")]
    assert counts(await write(rows)) == {"created": 2}


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
