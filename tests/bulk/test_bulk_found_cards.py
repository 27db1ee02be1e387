"""Faults that attacks found in earlier versions: a card that one run gives away while another run changes it."""

import anyio
import httpx
import pytest
from bulk_tools import CARD_TYPE, SOURCE, StopError, connect, counts, people, read, stop_while_it_waits, write_csv

from carecloud_async.bulk import BulkWriteError
from carecloud_async.models import CardInput
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

BY_EMAIL = {"match": "email", "defaults": SOURCE}
UNTIL = "2030-01-01 00:00:00"


@pytest.fixture
def sandbox(clock):
    return Sandbox(customers=10, seed=1, clock=clock.time)


class Seen(httpx.AsyncBaseTransport):
    """The sandbox, whose answers may be held back: `answered` is called before the client gets one."""

    def __init__(self, sandbox, answered):
        self.inner, self.answered = sandbox.transport(), answered

    async def handle_async_request(self, request):
        answer = await self.inner.handle_async_request(request)
        await self.answered(request)
        return answer


async def free_card(client):
    """A card without a customer, with the number 5."""
    return await client.cards.create(CardInput(card_type_id=CARD_TYPE, card_number="5", state=1))


async def shown(client, card_id):
    """The end of a card and whether a customer has it."""
    card = await client.cards.get(card_id)
    return f"{card.valid_to:%Y-%m-%d %H:%M:%S}" if card.valid_to else None, bool(card.customer_id)


async def test_a_card_is_changed_while_a_row_takes_it(sandbox, clock):
    """A run that changes a card waits for the part of another run that gives it to a customer: no field is lost."""
    waits, done = anyio.Event(), []

    async def on_request(request):
        if request.method == "PUT" and not done:
            done.append(request.path)
            tasks.start_soon(change)
            await waits.wait()

    def on_progress(progress):
        if progress.waits_for:
            waits.set()

    async def change():
        rows = [{"card_id": card_id, "valid_to": UNTIL}]
        done.append(await client.cards.bulk_write(rows, match="card_id", on_progress=on_progress))
        waits.set()

    async with connect(sandbox, clock=clock) as client, connect(sandbox, clock=clock) as other:
        card_id = await free_card(client)
        sandbox.on_request = on_request
        async with anyio.create_task_group() as tasks:
            report = await other.customers.bulk_write(people(1, card_number="5"), **BY_EMAIL)
        assert counts(report) == {"created": 1}
        assert counts(done[1]) == {"updated": 1}
        assert await shown(client, card_id) == (UNTIL, True)


async def test_a_card_that_was_changed_since_a_row_looked_it_up(sandbox, clock):
    """A part whose card another run has written since its look-up is looked up again: no field is lost."""
    done = []

    async def answered(request):
        is_written = sandbox.count("POST /customers") == 1
        if request.method == "GET" and request.url.path.endswith("/cards") and is_written and not done:
            clock.advance(1)
            done.append(await client.cards.bulk_write([{"card_id": card_id, "valid_to": UNTIL}], match="card_id"))

    async with connect(sandbox, clock=clock) as client:
        card_id = await free_card(client)
        async with connect(sandbox, clock=clock, transport=Seen(sandbox, answered)) as other:
            report = await other.customers.bulk_write(people(1, card_number="5"), **BY_EMAIL)
        assert counts(report) == {"created": 1}
        assert counts(done[0]) == {"updated": 1}
        assert await shown(client, card_id) == (UNTIL, True)


@pytest.mark.parametrize("resumed", [False, True])
async def test_a_card_whose_gift_was_lost(sandbox, clock, tmp_path, resumed):
    """A run that was stopped after it lost the answer keeps the card until its request can take no effect any more."""
    arguments = {**BY_EMAIL, "journal": tmp_path / "journal.db", "resume": True}
    rows = people(1, card_number="5")
    async with connect(sandbox, clock=clock) as client:
        card_id = await free_card(client)
        sandbox.faults.add("PUT /cards/{card_id}", status=504, late=20.0)
        for _ in range(1 + resumed):
            with pytest.raises(StopError):
                await client.customers.bulk_write(rows, on_progress=stop_while_it_waits, **arguments)
        report = await client.cards.bulk_write([{"card_id": card_id, "valid_to": UNTIL}], match="card_id")
        assert counts(report) == {"updated": 1}
        assert counts(await client.customers.bulk_write(rows, **arguments)) == {"created": 1}
        clock.advance(100)
        assert await shown(client, card_id) == (UNTIL, True)


async def test_an_external_id_of_a_customer_that_another_program_made(sandbox, clock):
    """A lost create whose record another program made meanwhile, with equal values, gives it the row's external id."""
    made = []

    async def foreign(request):
        if request.name == "POST /customers" and not made:
            made.append(sandbox.customers.insert({"personal_information": people(1)[0]}))

    sandbox.on_request = foreign
    async with connect(sandbox, clock=clock) as client:
        sandbox.faults.add("POST /customers", status=504)
        row = {**people(1)[0], "external_id": "E1"}
        report = await client.customers.bulk_write([row], match="email", defaults=SOURCE)
        assert counts(report) == {"created": 1}
        customer = await client.customers.list(email="new0@example.com").first()
        records = client.customers.customer_source_records(customer.customer_id).list()
        assert [record.external_id async for record in records] == ["E1"]


async def test_a_record_without_a_key_whose_card_was_refused_is_not_made_again(sandbox, client, tmp_path):
    """A run that ends since cards are refused is an unfinished one: the same call would make its records again."""
    path = write_csv(tmp_path / "people.csv", [{"last_name": "A", "language_id": "en", "card_number": "7771"}])
    options = {"match": None, "defaults": {**SOURCE, "card_type_id": "t"}, "max_refused": 0}
    sandbox.faults.add("POST /cards", status=400, times=None)
    with pytest.raises(BulkWriteError, match="more than allowed"):
        await client.customers.bulk_write(path, **options)
    with pytest.raises(BulkWriteError, match="an earlier run was not finished"):
        await client.customers.bulk_write(path, **options)
    assert sandbox.count("POST /customers") == 1


async def test_rejects_hold_no_row_without_a_key_whose_record_was_made(sandbox, client, tmp_path):
    """Rejects are corrected and given in again: a row whose card was refused would make its record once more."""
    rows = [{"last_name": "A", "language_id": "en", "card_number": "7771"}, {"last_name": "B", "birthdate": "soon"}]
    files = {name: tmp_path / f"{name}.jsonl" for name in ("results", "rejects")}
    options = {"match": None, "defaults": {**SOURCE, "card_type_id": "t"}}
    sandbox.faults.add("POST /cards", status=400, times=None)
    report = await client.customers.bulk_write(rows, **options, **files)
    assert counts(report) == {"refused": 2}
    assert [row["last_name"] for row in read(files["rejects"])] == ["B"]
    assert [bool(row["record_id"]) for row in read(files["results"])] == [True, False]


async def test_a_blocked_card_is_not_free(client, results):
    """A blocked card without a customer is not assigned, and no customer is created for it."""
    card_id = await free_card(client)
    await client.cards.update(card_id, {"state": 0})
    rows = [{**people(1)[0], "card_number": "5"}]
    assert counts(await client.customers.bulk_write(rows, **BY_EMAIL, results=results)) == {"conflict": 1}
    assert read(results)[0]["reasons"] == ["card_number: the card is blocked"]
    assert await client.customers.list().total() == 10
    assert await shown(client, card_id) == (None, False)
