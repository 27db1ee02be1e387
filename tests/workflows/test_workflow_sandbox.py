"""Many tasks with one key, customers with card, properties and interests, and what they can use, on the sandbox."""

import anyio
import pytest
from kit import connect
from thorough import variants

from benchmarks.api_rules import broken_rules
from carecloud_async import (
    CareCloudError,
    ConflictError,
    CustomerInput,
    PersonalInformationInput,
    PropertyRecordInput,
    RetryPolicy,
)
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, FIRST_CUSTOMER_ID, Sandbox
from carecloud_async.workflows import (
    CardOrigin,
    NewCard,
    assign_card_number,
    create_customer,
    customer_offers,
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
    async with connect(sandbox, retry=RetryPolicy(attempts=1), rate_limit=None) as client:
        yield client


async def at_once(count, call):
    """The results of a call made by many tasks at once."""
    results = []

    async def call_and_note(number):
        results.append(await call(number))

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(call_and_note, number)
    return results


async def test_sixteen_tasks_with_one_external_id_make_one_customer(client, sandbox):
    """Tasks of a client and its views take turns: one creates, the others update; other ids do not wait for them."""
    views = [client, client.with_options(language="en")]

    async def sync(number):
        ids = {"customer_source_id": SHOP if number % 2 else SHOP.upper(), "external_id": f"A{number % 8 // 7}"}
        return await sync_customer(views[number % 2], **ids, customer=JANE)

    done = await at_once(16, sync)
    assert sorted(item.created for item in done) == [False] * 14 + [True] * 2
    assert len({item.customer_id for item in done}) == 2
    assert len(sandbox.customers) == 22
    with anyio.fail_after(60):  # nothing is left locked
        assert not (await sync(0)).created


async def test_sixteen_tasks_with_one_card_number_make_one_card(client, sandbox):
    """The number is created once; the other tasks find it held."""
    kind = next(iter(sandbox.records("card-types")))["card_type_id"]
    customer_id = sandbox.customers.id_at(1)
    ids = {"customer_id": customer_id, "card_type_id": kind, "card_number": "7700000000017"}
    done = await at_once(16, lambda _: assign_card_number(client, **ids))
    assert sorted(item.origin for item in done) == [CardOrigin.CREATED] + [CardOrigin.HELD] * 15
    assert sum(card["card_number"] == "7700000000017" for card in sandbox.records("cards")) == 1


def properties(sandbox, customer_id):
    table = sandbox.records("customers/property-records", of=customer_id)
    return [(item["property_id"], item.get("property_value")) for item in table]


async def test_property_records_are_replaced(client, sandbox):
    """The properties of a synchronised customer are those that were named last; `None` leaves them as they are."""
    ids = {"customer_source_id": SHOP, "external_id": "A1", "customer": JANE}
    old = [PropertyRecordInput(property_id="size", property_value=40), PropertyRecordInput(property_id="vip")]
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


WRITES = ["POST /customers", "POST /cards", "POST /customers/{customer_id}/interest-records"]


@pytest.fixture
def wanted(sandbox):
    kind = sandbox.records("card-types").ids()[0]
    return {
        "customer_source_id": SHOP,
        "external_id": "A1",
        "customer": JANE,
        "property_records": [PropertyRecordInput(property_id="size", property_value=40)],
        "card": NewCard(card_type_id=kind, card_number="7700000000017"),
        "interest_ids": sandbox.records("interests").ids()[:2],
    }


def state(sandbox, customer_id):
    """What the server has of a customer: properties, cards, interests."""
    properties = sandbox.records("customers/property-records", of=customer_id)
    interests = sandbox.records("customers/interest-records", of=customer_id)
    cards = [record for record in sandbox.records("cards") if record.get("customer_id") == customer_id]
    return (
        [(prop["property_id"], prop["property_value"]) for prop in properties],
        [card["card_number"] for card in cards],
        [interest["interest_id"] for interest in interests],
    )


async def test_all_is_created_once(client, sandbox, wanted):
    """The customer has all that was named; the same call again finds it and writes nothing."""
    made = await create_customer(client, **wanted)
    assert (made.created, made.card.origin, made.interest_ids) == (True, "created", tuple(wanted["interest_ids"]))
    complete = ([("size", 40)], ["7700000000017"], wanted["interest_ids"])
    assert state(sandbox, made.customer_id) == complete
    writes = sum(request.method != "GET" for request in sandbox.requests)
    again = await create_customer(client, **wanted)
    assert (again.customer_id, again.created, again.card.origin) == (made.customer_id, False, "held")
    assert sum(request.method != "GET" for request in sandbox.requests) == writes
    assert state(sandbox, made.customer_id) == complete
    assert not broken_rules(sandbox)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("fault", [{"cut": "before"}, *variants({"status": 503}), {"status": 403}])
async def test_a_step_that_failed_is_taken_up_again(client, sandbox, wanted, write, fault):
    """The error carries the steps that were taken; the same call again takes the others."""
    sandbox.faults.add(write, **fault)
    with pytest.raises(CareCloudError) as caught:
        await create_customer(client, **wanted)
    done = caught.value.report
    assert (done is None) is (write == "POST /customers")
    if done is not None:
        assert (done.card is None) is (write == "POST /cards")
        assert done.interest_ids == ()
    made = await create_customer(client, **wanted)
    assert made.created is (write == "POST /customers")
    assert state(sandbox, made.customer_id) == ([("size", 40)], ["7700000000017"], wanted["interest_ids"])
    assert len(sandbox.customers) == 21


async def test_any_free_card_will_do(client, sandbox, wanted):
    """Without a number the customer gets one card of the type, also by a second call."""
    wanted["card"] = NewCard(card_type_id=wanted["card"].card_type_id)
    made = await create_customer(client, **wanted)
    again = await create_customer(client, **wanted)
    assert made.card.card_id == again.card.card_id
    assert len(state(sandbox, made.customer_id)[1]) == 1


async def test_a_card_of_another_customer_stops_the_rest(client, sandbox, wanted):
    """The customer is there, the card stays where it is, and the error says both."""
    kind = wanted["card"].card_type_id
    number = {"card_number": "7700000000017", "card_type_id": kind, "state": 1}
    card = sandbox.records("cards").insert({**number, "customer_id": FIRST_CUSTOMER_ID})
    with pytest.raises(ConflictError) as caught:
        await create_customer(client, **wanted)
    assert caught.value.report.created
    assert sandbox.records("cards").get(card)["customer_id"] == FIRST_CUSTOMER_ID


async def test_offers_come_together(client, sandbox):
    """Valid rewards, unused vouchers of the customer and campaign products come from all pages of three lists."""
    sandbox.max_count = 2
    offers = await customer_offers(client, customer_id=FIRST_CUSTOMER_ID)
    asked = [
        (request.path.partition("/v1.0")[2], dict(request.query))
        for request in sandbox.requests
        if request.method == "GET"
    ]
    assert {path for path, _ in asked} == {
        f"/customers/{FIRST_CUSTOMER_ID}/rewards",
        f"/customers/{FIRST_CUSTOMER_ID}/vouchers",
        "/campaign-products",
    }
    assert all(query["is_valid"] == "true" for _, query in asked)
    valid = [item async for item in client.customers.rewards(FIRST_CUSTOMER_ID).list(is_valid=True)]
    assert list(offers.rewards) == valid
    assert all(voucher.customer_id == FIRST_CUSTOMER_ID for voucher in offers.vouchers)
    assert not broken_rules(sandbox)


async def test_offers_cost_three_requests():
    """Hundreds of campaign products come in one page."""
    sandbox = Sandbox(customers=2, records=150)
    async with connect(sandbox) as client:
        offers = await customer_offers(client, customer_id=FIRST_CUSTOMER_ID)
    assert len(offers.campaign_products) > 100
    assert [request.method for request in sandbox.requests].count("GET") == 3
