"""A customer with card, properties and interests, and what a customer can use."""

import pytest
from kit import connect

from carecloud_async import (
    CareCloudError,
    ConflictError,
    CustomerInput,
    PersonalInformationInput,
    PropertyRecordInput,
    RetryPolicy,
)
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, FIRST_CUSTOMER_ID, Sandbox
from carecloud_async.workflows import NewCard, create_customer, customer_offers

pytestmark = pytest.mark.anyio

SHOP = CUSTOMER_SOURCE_IDS[0]
JANE = CustomerInput(personal_information=PersonalInformationInput(language_id="en", first_name="Jane"))
WRITES = ["POST /customers", "POST /cards", "POST /customers/{customer_id}/interest-records"]


@pytest.fixture
def sandbox():
    return Sandbox(customers=20, records=5)


@pytest.fixture
async def client(sandbox):
    async with connect(sandbox, retry=RetryPolicy(attempts=1)) as client:
        yield client


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
    cards = [one for one in sandbox.records("cards") if one.get("customer_id") == customer_id]
    return (
        [(one["property_id"], one["property_value"]) for one in properties],
        [one["card_number"] for one in cards],
        [one["interest_id"] for one in interests],
    )


async def test_all_is_created_once(client, sandbox, wanted):
    """The customer has all that was named; the same call again finds it and writes nothing."""
    made = await create_customer(client, **wanted)
    assert (made.created, made.card.origin, made.interest_ids) == (True, "created", tuple(wanted["interest_ids"]))
    complete = ([("size", 40)], ["7700000000017"], wanted["interest_ids"])
    assert state(sandbox, made.customer_id) == complete
    writes = sum(one.method != "GET" for one in sandbox.requests)
    again = await create_customer(client, **wanted)
    assert (again.customer_id, again.created, again.card.origin) == (made.customer_id, False, "held")
    assert sum(one.method != "GET" for one in sandbox.requests) == writes
    assert state(sandbox, made.customer_id) == complete
    assert not sandbox.violations


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("fault", [{"cut": "before"}, {"status": 503}, {"status": 403}])
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
    sandbox.settings.max_count = 2
    offers = await customer_offers(client, customer_id=FIRST_CUSTOMER_ID)
    asked = [(one.path.partition("/v1.0")[2], dict(one.query)) for one in sandbox.requests if one.method == "GET"]
    assert {path for path, _ in asked} == {
        f"/customers/{FIRST_CUSTOMER_ID}/rewards",
        f"/customers/{FIRST_CUSTOMER_ID}/vouchers",
        "/campaign-products",
    }
    assert all(query["is_valid"] == "true" for _, query in asked)
    valid = [one async for one in client.customers.rewards(FIRST_CUSTOMER_ID).list(is_valid=True)]
    assert list(offers.rewards) == valid
    assert all(one.customer_id == FIRST_CUSTOMER_ID for one in offers.vouchers)
    assert not sandbox.violations


async def test_offers_cost_three_requests():
    """Hundreds of campaign products come in one page."""
    sandbox = Sandbox(customers=2)
    async with connect(sandbox) as client:
        offers = await customer_offers(client, customer_id=FIRST_CUSTOMER_ID)
    assert len(offers.campaign_products) > 100
    assert [one.method for one in sandbox.requests].count("GET") == 3
