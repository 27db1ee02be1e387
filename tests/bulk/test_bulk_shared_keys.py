"""Rows that ask for one key: none waits for itself, for a refused one, or after another run let go."""

import anyio
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
from memory_servers import client_of

from carecloud_async import RetryPolicy
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


async def test_runs_that_wait_for_each_others_key_and_record(server, clock, tmp_path):
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
        reports.append(await client.customers.bulk_write([row], on_progress=on_progress, **first))

    async def arrived(request):
        if "email_list" in str(request.url):  # the other run has the key by now
            server.arrived = None
            tasks.start_soon(go_on)
            await waits.wait()

    async with client_of(server, clock) as client:
        with pytest.raises(StopError):
            await client.customers.bulk_write([row], on_progress=stop_while_it_waits, **first)
        clock.advance(60)
        server.arrived = arrived
        async with anyio.create_task_group() as tasks:
            other = {**row, "last_name": "Other"}
            reports.append(await client.customers.bulk_write([other], match="email", on_progress=on_progress))
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
