"""Points, credits, bills, segments and events: what is written, and how it is found again."""

import pytest

from carecloud_async.sandbox import FIRST_CUSTOMER_EMAIL, FIRST_CUSTOMER_ID, Sandbox
from tests.sandbox.contract_shapes import FACTS, refusals, wrong_in_record

pytestmark = pytest.mark.anyio

ITEM = {
    "plu_ids": [{"list_code": "GLOBAL", "code": "coffee"}],
    "plu_name": "Coffee",
    "vat_rate": 12,
    "quantity": 2,
    "paid_amount": 90,
    "price": 90,
    "bill_item_id": "1",
    "loyalty_off": False,
    "purchase_item_type_id": "goods",
}
BILL = {
    "bill_id": "39475X",
    "payment_time": "2026-11-25 10:15:00",
    "currency_id": "czk",
    "total_price": 90,
    "purchase_type_id": "till",
    "payment_type": "S",
    "canceled": False,
    "bill_items": [ITEM],
}


@pytest.fixture
def anyio_backend():
    """One backend: nothing here waits, and the other packages' tests run the same server on both."""
    return "asyncio"


@pytest.fixture
def sandbox():
    return Sandbox(customers=20, seed=1, records=30, untidy=False)


@pytest.fixture
def act(api):
    """Calls an action and returns the data of its answer."""

    async def act(path, **body):
        answer = await api.call("POST", path, json=body)
        assert answer.status_code in (201, 204), answer.text
        return answer.json()["data"] if answer.content else None

    return act


@pytest.fixture
def listed(api):
    """Returns the records of a list, whose form is checked."""

    async def listed(path, **query):
        answer = await api.get(path, **query)
        data = answer.json()["data"]
        (key,) = set(data) - {"total_items"}
        (schema,) = {operation.answer.type for operation in FACTS.operations.values() if operation.answer.key == key}
        for record in data[key]:
            assert list(wrong_in_record(FACTS.schemas[schema].fields, record, "")) == []
        return data[key]

    return listed


@pytest.mark.parametrize(
    ("action", "history", "filter_name", "amount_name", "amount"),
    [
        ("/points/actions/assign-points", "/point-history", "point_operation_note", "point_amount", 5),
        ("/points/actions/reduce-points", "/point-history", "point_operation_note", "point_amount", -5),
        ("/credits/actions/deposit-credits", "/credit-history", "credit_operation_note", "amount", 5),
        ("/credits/actions/reduce-credits", "/credit-history", "credit_operation_note", "amount", -5),
    ],
)
async def test_a_booking_is_found_by_its_note(
    sandbox, api, act, listed, action, history, filter_name, amount_name, amount
):
    """Points and credits stand in their customer's history, which a part of their note finds, and in a record."""
    partner_id = sandbox.records("partners").ids()[3]
    body = {"customer_id": FIRST_CUSTOMER_ID, "partner_id": partner_id, "amount": 5}
    made = await act(action, **body, note="Bonus for bill B1")
    await act(action, **body, note="Bonus for bill B10")
    await act(action, **{**body, "customer_id": sandbox.customers.id_at(1)}, note="Bonus for bill B1")
    lines = await listed(history, customer_id=FIRST_CUSTOMER_ID, **{filter_name: "bill B1"})
    assert [(line[filter_name], line[amount_name]) for line in lines] == [
        ("Bonus for bill B1", amount),
        ("Bonus for bill B10", amount),
    ]
    ((name, record_id),) = made.items()
    record = (await api.get(f"/{name.removesuffix('_id')}s/{record_id}")).json()["data"]
    assert (record["customer_id"], record["partner_id"]) == (FIRST_CUSTOMER_ID, partner_id)
    assert record["note"] == "Bonus for bill B1"


@pytest.mark.parametrize(("unit", "amount_name"), [("point", "point_amount"), ("credit", "amount")])
async def test_a_transfer_is_in_both_histories(sandbox, act, listed, unit, amount_name):
    """A transfer takes from one customer what it gives to the other, under the same note."""
    sides = {"original_customer_id": FIRST_CUSTOMER_ID, "new_customer_id": sandbox.customers.id_at(1)}
    path = f"/{unit}s/actions/transfer-{unit}s"
    await act(path, **sides, amount=7, **{f"{unit}_type_id": "1"}, note="moved")
    for customer_id, amount in zip(sides.values(), (-7, 7), strict=True):
        note = {f"{unit}_operation_note": "moved"}
        (line,) = await listed(f"/{unit}-history", customer_id=customer_id, **note)
        assert line[amount_name] == amount


async def test_a_bill_becomes_a_purchase_with_items(sandbox, act, listed):
    """A bill is found by its id, with its items in their own list and, on request, in the purchase."""
    sent = {"store_id": "store", "cashdesk_number": 1, "customer_id": FIRST_CUSTOMER_ID}
    made = await act("/purchases/actions/send-purchase", **sent, bill=BILL)
    (plain,) = await listed("/purchases", external_purchase_id="39475X")
    (purchase,) = await listed("/purchases", external_purchase_id="39475X", purchase_items_extension="true")
    assert "purchase_items" not in plain
    assert {**plain, "purchase_items": purchase["purchase_items"]} == purchase
    assert purchase["purchase_id"] == made["purchase_id"]
    assert (purchase["items_count"], purchase["total_price"], purchase["customer_id"]) == (1, 90, FIRST_CUSTOMER_ID)
    items = await listed(f"/purchases/{made['purchase_id']}/purchase-items")
    assert items == purchase["purchase_items"]
    assert [(item["product_id"], item["external_id"], item["amount"]) for item in items] == [("coffee", "1", 2)]


async def test_a_bill_that_is_sent_twice_is_there_twice(act, listed):
    """The API has no idempotency key; a cancellation is a purchase of its own."""
    sent = {"store_id": "store", "cashdesk_number": 1}
    for bill in (BILL, BILL, {**BILL, "bill_id": "C39475X", "bill_number": "39475X", "canceled": True}):
        await act("/purchases/actions/send-purchase", **sent, bill=bill)
    counts = [len(await listed("/purchases", external_purchase_id=item)) for item in ("39475X", "C39475X", "39475")]
    assert counts == [2, 1, 0]


async def test_a_purchase_gets_its_customer_by_card_or_afterwards(sandbox, act, listed):
    """The holder of a card is the customer of the purchase; one without a customer is assigned later."""
    card = next(record for record in sandbox.records("cards") if record["customer_id"] == FIRST_CUSTOMER_ID)[
        "card_number"
    ]
    sent = {"store_id": "store", "cashdesk_number": 1}
    await act("/purchases/actions/send-purchase", **sent, card_number=card, bill={**BILL, "bill_id": "by card"})
    await act("/purchases/actions/send-purchase", **sent, bill={**BILL, "bill_id": "later"})
    owned = {"store_id": "store", "external_purchase_id": "later", "customer_id": FIRST_CUSTOMER_ID}
    await act("/purchases/actions/assign-customer", **owned)
    own = await listed(f"/customers/{FIRST_CUSTOMER_ID}/purchases", count=1000)
    assert {"by card", "later"} <= {item["external_purchase_id"] for item in own}


async def test_a_purchase_that_is_not_there_has_no_customer(api):
    """Assigning a purchase that the store does not have is refused."""
    body = {"store_id": "store", "external_purchase_id": "nothing", "customer_id": FIRST_CUSTOMER_ID}
    answer = await api.call("POST", "/purchases/actions/assign-customer", json=body)
    assert refusals(answer) == [("external_purchase_id", "not_found")]


async def test_members_of_a_segment(sandbox, act, listed):
    """An added customer is once in the lists of the segment and of the customer; a removed one is in neither."""
    segment = await act("/segments", name="Gold")
    path = f"/segments/{segment['segment_id']}"

    async def shown():
        members = await listed(f"{path}/segment-records")
        own = await listed(f"/customers/{FIRST_CUSTOMER_ID}/segment-records")
        return [member["customer_id"] for member in members], sum(
            item["segment_id"] == segment["segment_id"] for item in own
        )

    assert await shown() == ([], 0)
    for _ in range(2):
        await act(f"{path}/actions/add-customer", customer_id=FIRST_CUSTOMER_ID)
    assert await shown() == ([FIRST_CUSTOMER_ID], 1)
    for _ in range(2):
        await act(f"{path}/actions/remove-customer", customer_id=FIRST_CUSTOMER_ID)
    assert await shown() == ([], 0)


@pytest.mark.parametrize(
    ("kind", "value"), [("email", FIRST_CUSTOMER_EMAIL), ("phone", "420523828931"), ("external_id", "shop 1")]
)
async def test_an_event_names_its_customer_in_four_ways(sandbox, act, listed, kind, value):
    """An event's customer is named by id, e-mail, phone or external id; the event is found by its external id."""
    sandbox.records("customer-source-records").insert({"external_id": "shop 1", "customer_id": FIRST_CUSTOMER_ID})
    named = {"customer_identifier_type": kind, "customer_identifier_value": value}
    await act("/events", event={"event_type_id": "t", "external_id": "cart 1", **named})
    (event,) = await listed("/events", external_id="cart 1")
    assert event["customer_id"] == FIRST_CUSTOMER_ID
    assert not named.keys() & event.keys()


async def test_an_event_of_a_stranger_is_refused(api):
    """An e-mail that no customer has is a 400 that names the field."""
    named = {"customer_identifier_type": "email", "customer_identifier_value": "nobody@example.com"}
    body = {"event": {"event_type_id": "t", "external_id": "cart 1", **named}}
    answer = await api.call("POST", "/events", json=body)
    (param,) = answer.json()["error"]["error_data"]["invalid_params"]
    assert (answer.status_code, param["name"]) == (400, "event.customer_identifier_value")
