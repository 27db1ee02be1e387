"""Rows of customers that carry a card and values of properties: written in order, each once."""

import re

import anyio
import httpx
import pytest
from bulk_tools import (
    CARD_TYPE,
    SOURCE,
    StopError,
    connect,
    counts,
    customer_with_cards,
    denied,
    people,
    properties_of_texts,
    read,
    stop_while_it_waits,
    write_jsonl,
)
from kit import through

from carecloud_async import CustomerInput
from carecloud_async.models import CustomerSourceInput, PersonalInformationInput
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

LOST = {"504 after": {"status": 504, "worked": True}, "504 before": {"status": 504}, "cut": {"cut": "after"}}


async def test_a_row_brings_a_card_and_properties(sandbox, client, results):
    """A new customer gets the row's card and values; the same rows are unchanged, an edited value is an update."""
    properties = properties_of_texts(sandbox)
    rows = [
        {**row, "card_number": f"5550{number}", f"property.{properties[0]}": f"value {number}"}
        for number, row in enumerate(people(4))
    ]
    arguments = {"match": "email", "defaults": {**SOURCE, "card_type_id": CARD_TYPE}}
    assert counts(await client.customers.bulk_write(rows, **arguments)) == {"created": 4}
    assert counts(await client.customers.bulk_write(rows, **arguments)) == {"unchanged": 4}
    rows[2][f"property.{properties[0]}"] = "another"
    report = await client.customers.bulk_write(rows, results=results, **arguments)
    assert counts(report) == {"unchanged": 3, "updated": 1}
    changed = read(results)[2]
    assert changed["changed_fields"] == [f"property.{properties[0]}"]
    cards = [card async for card in client.cards.list(customer_id=changed["record_id"])]
    assert [card.card_number for card in cards] == ["55502"]
    values = client.customers.property_records(changed["record_id"]).list()
    assert [value.property_value async for value in values if value.property_id == properties[0]] == ["another"]


@pytest.mark.parametrize(("match", "part"), [("email", "card_number"), (None, "card_number"), ("email", "external_id")])
async def test_two_rows_with_one_part(client, results, match, part):
    """A card or an id of another system that an earlier row has refuses its row before anything is sent."""
    defaults = {**SOURCE, "card_type_id": CARD_TYPE}
    rows = [{**row, part: "7777"} for row in people(2)]
    report = await client.customers.bulk_write(rows, match=match, defaults=defaults, results=results)
    assert counts(report) == {"created": 1, "refused": 1}
    assert read(results)[1]["reasons"] == [f"{part}: repeats line 1"]
    assert await client.customers.list().total() == 61


async def test_two_rows_of_a_writer_with_one_card(client):
    """Rows with one card that a writer has at once are written one after another: the second is a conflict."""
    defaults, done = {**SOURCE, "card_type_id": CARD_TYPE}, []

    async def write(writer, row):
        done.append((await writer.write({**row, "card_number": "7777"})).outcome)

    async with (
        client.customers.bulk_writer(match="email", defaults=defaults) as writer,
        anyio.create_task_group() as tasks,
    ):
        for row in people(2):
            tasks.start_soon(write, writer, row)
    assert sorted(done) == ["conflict", "created"]
    assert await client.customers.list().total() == 61


@pytest.mark.parametrize("dry_run", [True, False])
async def test_cards_are_looked_up_before_customers_are_created(client, results, dry_run):
    """A taken card is a conflict and a new one without a type is refused, in a dry run too: no customer is created."""
    taken = next(card.card_number for card in [card async for card in client.cards.list()] if card.customer_id)
    first, second, third = people(3)
    rows = [
        {**first, "card_number": taken, "card_type_id": CARD_TYPE},
        {**second, "card_number": "7777"},
        {**third, "card_number": "8888", "card_type_id": CARD_TYPE},
    ]
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, results=results, dry_run=dry_run)
    assert counts(report) == {"created": 1, "refused": 1, "conflict": 1}
    assert [row["reasons"] for row in read(results)] == [
        ["card_number: the card belongs to another customer"],
        ["card_number: a new card needs card_type_id"],
        [],
    ]
    assert read(results)[2]["changed_fields"] == ["card_number"]
    assert await client.customers.list().total() == 60 + (not dry_run)


async def test_a_card_that_is_lost_in_a_race(sandbox, client, results):
    """A card that another program takes after the look-up: the reason says that the record was created."""

    async def take(request):
        if request.name == "POST /customers":
            other = sandbox.customers.id_at(3)
            sandbox.records("cards").insert({"card_number": "7771", "customer_id": other, "card_type_id": CARD_TYPE})

    sandbox.on_request = take
    rows = [{**people(1)[0], "card_number": "7771", "card_type_id": CARD_TYPE}]
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, results=results)
    assert counts(report) == {"conflict": 1}
    (row,) = read(results)
    assert row["record_id"] in sandbox.customers.ids()
    assert row["reasons"] == [
        "card_number: the card belongs to another customer",
        "the record was created; this part of the row was not written",
    ]


async def test_parts_are_written_in_their_order(sandbox, client):
    """A row's property is written after its card: a row whose card the server refuses has none."""
    property_id = properties_of_texts(sandbox)[0]
    refused, written = (
        {**row, "card_number": f"777{number}", f"property.{property_id}": "5"} for number, row in enumerate(people(2))
    )
    writes = ("POST /cards", "POST /customers/{customer_id}/property-records")
    defaults = {**SOURCE, "card_type_id": CARD_TYPE}
    sandbox.faults.add(writes[0], status=400)
    report = await client.customers.bulk_write([refused], match="email", defaults=defaults)
    assert (counts(report), sandbox.count(writes[1])) == ({"refused": 1}, 0)
    sandbox.forget_requests()
    report = await client.customers.bulk_write([written], match="email", defaults=defaults)
    assert counts(report) == {"created": 1}
    assert [request.name for request in sandbox.requests if request.name in writes] == [*writes]


async def test_requests_for_cards_are_counted(sandbox, client):
    """The report counts the requests for cards; many cards share a look-up, and rows that have theirs need no other."""
    defaults = {**SOURCE, "card_type_id": CARD_TYPE}
    rows = [{**row, "card_number": f"5550{number}"} for number, row in enumerate(people(10))]
    sandbox.forget_requests()
    report = await client.customers.bulk_write(rows, match="email", defaults=defaults)
    assert (
        report.requests == len([request for request in sandbox.requests if "/login" not in str(request)]) == 3 + 2 * 10
    )
    sandbox.forget_requests()
    report = await client.customers.bulk_write(rows, match="email", defaults=defaults)
    assert counts(report) == {"unchanged": 10}
    assert report.requests == len(sandbox.requests) == 2


async def test_an_external_id_of_two_customers(client, results):
    """A key that two customers have is a conflict, and neither is changed."""
    twice = CustomerSourceInput(**SOURCE, external_id="E1")
    for row in people(2):
        person = PersonalInformationInput(email=row["email"], language_id="en")
        await client.customers.create(CustomerInput(personal_information=person), customer_source=twice)
    row = {"external_id": "E1", "first_name": "Changed", "language_id": "en"}
    report = await client.customers.bulk_write([row], match="external_id", defaults=SOURCE, results=results)
    assert counts(report) == {"conflict": 1}
    assert read(results)[0]["reasons"] == ["external_id: 2 records have this key"]
    both = client.customers.bulk_write(
        [row, {**row, "external_id": "E2"}], match="external_id", defaults=SOURCE, results=results, dry_run=True
    )
    assert (await both).conflict == 1


@pytest.mark.parametrize(("external_id", "asked"), [("abc1", "abc1"), ("E9", "[^&]+")])
async def test_an_external_id_for_which_the_server_shows_another_customer(sandbox, external_id, asked):
    """A server that finds an id in any case, or ignores it, does not let a row overwrite another customer."""
    person = PersonalInformationInput(email="old@example.com", language_id="en", last_name="Old")
    source = CustomerSourceInput(**SOURCE, external_id="ABC1")

    def ask_for_another(request):
        if request.url.path.endswith("/customer-source-records"):
            request.url = httpx.URL(re.sub(f"(external_ids[^=]*)={asked}", r"\1=ABC1", str(request.url)))

    async with connect(sandbox, transport=through(sandbox, ask_for_another)) as client:
        customer_id = await client.customers.create(CustomerInput(personal_information=person), customer_source=source)
        rows = people(1, external_id=external_id)
        report = await client.customers.bulk_write(rows, match="external_id", defaults=SOURCE)
        assert (await client.customers.get(customer_id)).personal_information.last_name == "Old"
    assert counts(report) == {"created": 1}


async def test_a_customer_who_is_deleted_between_two_requests_of_a_look_up(sandbox):
    """A row whose key shows a customer that is deleted before it is read is created, and not refused."""
    person = PersonalInformationInput(email="old@example.com", language_id="en")
    source = CustomerSourceInput(**SOURCE, external_id="E1")
    async with connect(sandbox) as client:
        customer_id = await client.customers.create(CustomerInput(personal_information=person), customer_source=source)

    def delete(record):
        if record.path == "/customer-source-records" and customer_id in sandbox.records("customers").ids():
            sandbox.records("customers").delete(customer_id)
            sources = sandbox.records("customer-source-records")
            for source_id in sources.find("external_id", "E1"):
                sources.delete(source_id)

    async with connect(sandbox, on_call=delete) as client:
        row = {**people(1)[0], "external_id": "E1"}
        assert counts(await client.customers.bulk_write([row], match="external_id", defaults=SOURCE)) == {"created": 1}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
async def test_a_lost_answer_of_a_part_makes_no_double(sandbox, client, fault):
    """A card whose answer was lost is looked up before it is sent again."""
    sandbox.faults.add("POST /cards", **fault, times=2)
    rows = [{**row, "card_number": f"6660{number}"} for number, row in enumerate(people(3))]
    report = await client.customers.bulk_write(
        rows, match="email", defaults={**SOURCE, "card_type_id": CARD_TYPE}, concurrency=1
    )
    assert counts(report) == {"created": 3}
    numbers = [card.card_number async for card in client.cards.list(count=500)]
    assert sorted(number for number in numbers if number.startswith("6660")) == ["66600", "66601", "66602"]


async def test_rows_without_a_key_whose_parts_were_stopped(sandbox, client, tmp_path, results):
    """A keyless row that was created before its card could be written is no second time created: it gets its card."""
    source = write_jsonl(
        tmp_path / "c.jsonl",
        [
            {"email": f"k{number}@example.com", "language_id": "en", "card_number": f"6660{number}"}
            for number in range(5)
        ],
    )
    arguments = {"match": None, "defaults": {**SOURCE, "card_type_id": CARD_TYPE}}
    with denied(sandbox, "POST /cards", after=2):
        await client.customers.bulk_write(source, results=results, concurrency=1, **arguments)
    report = await client.customers.bulk_write(source, results=results, resume=True, **arguments)
    assert counts(report) == {"created": 5}
    assert await client.customers.list().total() == 65
    numbers = [card.card_number async for card in client.cards.list(count=500)]
    assert sorted(number for number in numbers if number.startswith("6660")) == [f"6660{number}" for number in range(5)]
    assert all(row["record_id"] for row in read(results))


async def test_a_keyless_row_of_a_writer_whose_card_fails(sandbox, client):
    """A keyless row of a writer whose card fails is unknown and names its record: again it would be a double."""
    defaults = {**SOURCE, "card_type_id": CARD_TYPE}
    sandbox.faults.add("POST /cards", status=403, times=None)
    async with client.customers.bulk_writer(match=None, defaults=defaults) as writer:
        result = await writer.write({**people(1)[0], "card_number": "66601"})
    assert result.outcome == "unknown"
    assert result.record_id in sandbox.customers.ids()


@pytest.fixture
def slow_sandbox(clock):
    return Sandbox(customers=10, seed=1, clock=clock.time)


async def cards_of(client, number):
    """How many cards have a number."""
    return len([card async for card in client.cards.list(card_number=number)])


PARTS = {
    "a card": ("/cards", {"card_number": "66601"}),
    "a property": ("/customers/{customer_id}/property-records", {"property": "5"}),
    "an external id": ("/customers/{customer_id}/customer-source-records", {"external_id": "E1"}),
}


@pytest.mark.parametrize(("path", "part"), PARTS.values(), ids=PARTS)
async def test_a_part_that_is_written_late(slow_sandbox, clock, path, part):
    """A part whose answer was lost is looked up until the settle time has passed, and sent once."""
    property_id = properties_of_texts(slow_sandbox)[0]
    part = {f"property.{property_id}" if name == "property" else name: value for name, value in part.items()}
    async with connect(slow_sandbox, clock=clock) as client:
        options = {"match": "email", "defaults": {**SOURCE, "card_type_id": CARD_TYPE}}
        await client.customers.bulk_write(people(1), **options)
        slow_sandbox.faults.add(f"POST {path}", status=504, late=20.0)
        with client.record_calls() as calls:
            report = await client.customers.bulk_write([{**people(1)[0], **part}], **options)
        assert counts(report) == {"updated": 1}
        assert len([call for call in calls if (call.method, call.path) == ("POST", path)]) == 1
        clock.advance(100)
        assert await cards_of(client, "66601") == ("card_number" in part)


async def test_a_card_that_was_sent_right_before_a_stop(slow_sandbox, clock, tmp_path):
    """A card that a stopped run sent is not sent again before the settle time has passed."""
    arguments = {"match": "email", "defaults": {**SOURCE, "card_type_id": CARD_TYPE}, "journal": tmp_path / "j.db"}
    rows = people(1, card_number="66601")
    slow_sandbox.faults.add("POST /cards", status=504, late=20.0)
    async with connect(slow_sandbox, clock=clock) as client:
        with pytest.raises(StopError):
            await client.customers.bulk_write(rows, on_progress=stop_while_it_waits, **arguments)
        assert counts(await client.customers.bulk_write(rows, resume=True, **arguments)) == {"created": 1}
        clock.advance(100)
        assert await cards_of(client, "66601") == 1


async def test_a_property_that_two_rows_of_a_resumed_run_have(slow_sandbox, clock, tmp_path):
    """A later row of a resumed run leaves a property alone that a stopped one may still be writing for another row."""
    property_id = properties_of_texts(slow_sandbox)[0]
    arguments = {"match": "card_number", "journal": tmp_path / "j.db"}
    async with connect(slow_sandbox, clock=clock) as client:
        row = await customer_with_cards(client, "7701", "7702")
        rows = [{"card_number": f"770{number}", f"property.{property_id}": f"value {number}"} for number in (1, 2)]
        slow_sandbox.faults.add("POST /customers/{customer_id}/property-records", status=504, late=20.0)
        with pytest.raises(StopError):
            await client.customers.bulk_write(rows, on_progress=stop_while_it_waits, **arguments)
        report = await client.customers.bulk_write(rows, resume=True, **arguments)
        clock.advance(100)
        customer = await client.customers.list(email=row["email"]).first()
        records = [record async for record in client.customers.property_records(customer.customer_id).list()]
    assert [record.property_value for record in records if record.property_id == property_id] == ["value 2"]
    assert counts(report) == {"updated": 2}


async def source_ids(client, email):
    """The external ids of a customer."""
    customer = await client.customers.list(email=email).first()
    return [
        record.external_id async for record in client.customers.customer_source_records(customer.customer_id).list()
    ]


async def test_a_known_customer_gets_an_external_id(sandbox, client, results):
    """The external id of a row is added to a customer who lacks it; one of another customer is a conflict."""
    rows = [{**row, "external_id": f"E{number}"} for number, row in enumerate(people(3))]
    arguments = {"match": "email", "defaults": SOURCE}
    await client.customers.bulk_write([rows[0], *people(3)[1:]], **arguments)
    taken = {**rows.pop(), "external_id": "E0"}
    for dry_run in (True, False):
        report = await client.customers.bulk_write([taken], results=results, dry_run=dry_run, **arguments)
        assert counts(report) == {"conflict": 1}
        assert read(results)[0]["reasons"] == ["external_id: another customer of this source has it"]
    trial = await client.customers.bulk_write(rows, dry_run=True, **arguments)
    assert counts(trial) == {"unchanged": 1, "updated": 1}
    report = await client.customers.bulk_write(rows, results=results, **arguments)
    assert counts(report) == {"unchanged": 1, "updated": 1}
    assert read(results)[1]["changed_fields"] == ["external_id"]
    assert "E1" in await source_ids(client, "new1@example.com")
    sandbox.forget_requests()
    assert counts(await client.customers.bulk_write(rows[:2], **arguments)) == {"unchanged": 2}
    assert len(sandbox.requests) == 2


async def test_a_part_that_is_looked_up_when_its_run_ends_is_written_by_the_next_one(sandbox, client, tmp_path):
    """The look-up of a card is denied after its customer was made: the run that goes on writes the card."""
    arguments = {"match": "email", "defaults": {**SOURCE, "card_type_id": CARD_TYPE}, "journal": tmp_path / "j.db"}
    rows = people(1, card_number="66601")
    with denied(sandbox, "GET /cards", after=1):
        await client.customers.bulk_write(rows, **arguments)
    assert counts(await client.customers.bulk_write(rows, resume=True, **arguments)) == {"created": 1}
    assert await cards_of(client, "66601") == 1
