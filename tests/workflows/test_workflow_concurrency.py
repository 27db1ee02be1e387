"""Many tasks with one key, and servers that lose answers: one record, on the sandbox."""

import anyio
import pytest
from kit import connect

from carecloud_async import CustomerInput, PersonalInformationInput, PropertyRecordInput, RetryPolicy
from carecloud_async.models import CardInput
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, FIRST_CUSTOMER_ID, Sandbox
from carecloud_async.workflows import (
    CardOrigin,
    assign_card,
    assign_card_number,
    find_customer,
    sync_customer,
)

pytestmark = pytest.mark.anyio

SHOP = CUSTOMER_SOURCE_IDS[0]
JANE = CustomerInput(personal_information=PersonalInformationInput(language_id="en", first_name="Jane"))


@pytest.fixture
def sandbox():
    # The latency lets every task look before the first one has written.
    return Sandbox(customers=20, records=5, latency=0.01)


@pytest.fixture
async def client(sandbox):
    async with connect(
        sandbox,
        retry=RetryPolicy(attempts=1),
        rate_limit=None,
    ) as client:
        yield client


async def at_once(count, call):
    """The results of a call made by many tasks at once."""
    results = []

    async def one(number):
        results.append(await call(number))

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(one, number)
    return results


async def test_sixteen_tasks_with_one_external_id_make_one_customer(client, sandbox):
    """Tasks of a client and its views take turns: one creates, the others update; other ids do not wait for them."""
    views = [client, client.with_options(language="en")]

    async def sync(number):
        ids = {"customer_source_id": SHOP if number % 2 else SHOP.upper(), "external_id": f"A{number % 8 // 7}"}
        return await sync_customer(views[number % 2], **ids, customer=JANE)

    done = await at_once(16, sync)
    assert sorted(one.created for one in done) == [False] * 14 + [True] * 2
    assert len({one.customer_id for one in done}) == 2
    assert len(sandbox.customers) == 22
    with anyio.fail_after(60):  # nothing is left locked
        assert not (await sync(0)).created


async def test_sixteen_tasks_with_one_card_number_make_one_card(client, sandbox):
    """The number is created once; the other tasks find it held."""
    kind = next(iter(sandbox.records("card-types")))["card_type_id"]
    customer_id = sandbox.customers.id_at(1)
    ids = {"customer_id": customer_id, "card_type_id": kind, "card_number": "7700000000017"}
    done = await at_once(16, lambda _: assign_card_number(client, **ids))
    assert sorted(one.origin for one in done) == [CardOrigin.CREATED] + [CardOrigin.HELD] * 15
    assert sum(card["card_number"] == "7700000000017" for card in sandbox.records("cards")) == 1


async def test_two_processes_of_one_customer_get_one_card(client, sandbox):
    """Clients that share no lock: the server refuses the second assignment, and the card of the first is found."""
    kind = next(iter(sandbox.records("card-types")))["card_type_id"]
    customer_id = sandbox.customers.id_at(1)
    async with connect(sandbox, rate_limit=None) as other:
        clients = [client, other]
        done = await at_once(2, lambda n: assign_card(clients[n], customer_id=customer_id, card_type_id=kind))
    assert len({one.card_id for one in done}) == 1
    assert {one.origin for one in done} == {CardOrigin.ASSIGNED, CardOrigin.HELD}


async def test_a_lost_card_is_replaced(client, sandbox):
    """A customer with a blocked card of the type is given the card with the new number, by a PUT of that card."""
    cards = sandbox.records("cards")
    kind = next(iter(sandbox.records("card-types")))["card_type_id"]
    new = CardInput(card_type_id=kind, card_number="1", state=0, customer_id=FIRST_CUSTOMER_ID)
    await client.cards.create(new)
    free = cards.insert({"card_type_id": kind, "card_number": "2", "customer_id": None, "state": 1, "store_id": "s"})
    ids = {"customer_id": FIRST_CUSTOMER_ID, "card_type_id": kind, "card_number": "2"}
    made = await assign_card_number(client, **ids)
    assert (made.card_id, made.origin) == (free, CardOrigin.ASSIGNED)
    assert cards.get(free)["customer_id"] == FIRST_CUSTOMER_ID
    assert cards.get(free)["store_id"] == "s"
    assert not sandbox.violations


async def test_a_second_external_id_finds_the_customer(client, sandbox):
    """A source record may hold several ids and show one: the customer is found by each, and not created again."""
    made = await sync_customer(client, customer_source_id=SHOP, external_id="A1", customer=JANE)
    records = sandbox.records("customer-source-records")
    own = next(one for one in records if one.get("customer_id") == made.customer_id)
    records.update(own["customer_source_record_id"], {"external_ids": ["B2", "C3"]})
    assert await find_customer(client, customer_source_id=SHOP, external_id="C3") == made.customer_id
    again = await sync_customer(client, customer_source_id=SHOP.upper(), external_id="B2", customer=JANE)
    assert (again.customer_id, again.created) == (made.customer_id, False)
    assert await find_customer(client, customer_source_id=SHOP, external_id="D4") is None
    assert not sandbox.violations


def properties(sandbox, customer_id):
    table = sandbox.records("customers/property-records", of=customer_id)
    return [(one["property_id"], one.get("property_value")) for one in table]


@pytest.mark.parametrize("fault", [{}, {"cut": "after"}, {"status": 504, "worked": True}], ids=["well", "cut", "504"])
async def test_property_records_are_replaced(client, sandbox, fault):
    """The properties of a synchronised customer are those that were named last; `None` leaves them as they are."""
    ids = {"customer_source_id": SHOP, "external_id": "A1", "customer": JANE}
    old = [PropertyRecordInput(property_id="size", property_value=40), PropertyRecordInput(property_id="vip")]
    sandbox.faults.add("POST /customers", **fault)
    made = await sync_customer(client, **ids, property_records=old)
    assert made.created
    assert [name for name, _ in properties(sandbox, made.customer_id)] == ["size", "vip"]
    new = [PropertyRecordInput(property_id="size", property_value=42)]
    await sync_customer(client, **ids, property_records=new)
    assert properties(sandbox, made.customer_id) == [("size", 42)]
    await sync_customer(client, **ids)
    assert properties(sandbox, made.customer_id) == [("size", 42)]
    await sync_customer(client, **ids, property_records=[])
    assert properties(sandbox, made.customer_id) == []
    assert len(sandbox.customers) == 21
