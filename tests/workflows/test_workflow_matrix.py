"""Every writing workflow against every way in which an answer gets lost: no double, and no success that was none."""

import httpx
import pytest
from bills import FINAL
from every import every
from kit import connect, data, through

from benchmarks.api_rules import broken_rules
from carecloud_async import CareCloudError, CustomerInput, CustomerSourceInput, PersonalInformationInput, RetryPolicy
from carecloud_async.models import EventInput
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, FIRST_CUSTOMER_ID, Sandbox
from carecloud_async.workflows import (
    Checkout,
    NewCard,
    assign_card,
    assign_card_number,
    create_customer,
    link_customer,
    record_event,
    resend_purchase,
    sign_up,
    sync_customer,
)

pytestmark = pytest.mark.anyio

SHOP = CUSTOMER_SOURCE_IDS[0]
IDS = {"customer_source_id": SHOP, "external_id": "A1"}
JANE = CustomerInput(
    personal_information=PersonalInformationInput(language_id="en", first_name="Jane", email="jane@example.com")
)

#: How an answer goes wrong, and whether the work was done.
FAULTS = {
    "reset before": {"cut": "before"},
    "reset after": {"cut": "after"},
    "cut in half": {"cut": "half"},
    "unreadable": {"garbage": True},
    "page": {"html": True},
    "no data": {"body": "{}"},
    "200 with an error": {"status": 200, "body": b'{"error": {"title": "maintenance"}}'},
    **{f"{status} before": {"status": status} for status in (500, 502, 503, 504)},
    **{f"{status} after": {"status": status, "worked": True} for status in (500, 502, 503, 504)},
}
#: Variants of others.
MORE_FAULTS = [f"{status} {when}" for status in (500, 502, 503, 504) for when in ("before", "after")][1:-1]


def reach(sandbox):
    return connect(sandbox, retry=RetryPolicy(attempts=2, base=0.001))


def kind(sandbox):
    return sandbox.records("card-types").ids()[0]


async def assign_a_free_number(client, sandbox):
    cards = sandbox.records("cards")
    if not any(card["card_number"] == "77" for card in cards):
        cards.insert({"card_number": "77", "card_type_id": kind(sandbox), "customer_id": None, "state": 1})
    return await number(client, sandbox)


async def number(client, sandbox):
    holder = sandbox.customers.id_at(1)
    return await assign_card_number(client, customer_id=holder, card_type_id=kind(sandbox), card_number="77")


async def any_card(client, sandbox):
    return await assign_card(client, customer_id=sandbox.customers.id_at(1), card_type_id="new type")


async def with_all(client, sandbox):
    card = NewCard(card_type_id=kind(sandbox), card_number="77")
    interests = sandbox.records("interests").ids()[:1]
    return await create_customer(client, **IDS, customer=JANE, card=card, interest_ids=interests)


async def sync(client, sandbox):
    return await sync_customer(client, **IDS, customer=JANE)


async def link(client, sandbox):
    return await link_customer(client, customer_id=FIRST_CUSTOMER_ID, **IDS)


async def event(client, sandbox):
    return await record_event(
        client, event=EventInput(event_type_id="t", external_id="e", customer_id=FIRST_CUSTOMER_ID)
    )


async def purchase(client, sandbox):
    return await resend_purchase(client, checkout=Checkout(store_id="s", cashdesk_number=1), bill=FINAL)


def count(path, **wanted):
    def counted(sandbox):
        records = sandbox.customers if path == "customers" else sandbox.records(path)
        return sum(all(record.get(name) == value for name, value in wanted.items()) for record in records)

    return counted


def janes(sandbox):
    return sum(customer["personal_information"].get("email") == "jane@example.com" for customer in sandbox.customers)


def held_interests(sandbox):
    made = [
        customer["customer_id"]
        for customer in sandbox.customers
        if customer["personal_information"].get("first_name") == "Jane"
    ]
    return sum(len(sandbox.records("customers/interest-records", of=item)) for item in made)


def own_cards(sandbox):
    return count("cards", card_number="77", customer_id=sandbox.customers.id_at(1))(sandbox)


#: Workflow, the write that goes wrong, and how many records there are of what it writes.
CASES = {
    "sync_customer": (sync, "POST /customers", janes),
    "create_customer": (with_all, "POST /customers", janes),
    "create_customer, card": (with_all, "POST /cards", count("cards", card_number="77")),
    "create_customer, interest": (with_all, "POST /customers/{customer_id}/interest-records", held_interests),
    "link_customer": (
        link,
        "POST /customers/{customer_id}/customer-source-records",
        count("customer-source-records", external_id="A1"),
    ),
    "assign_card": (any_card, "POST /cards/actions/assign-free-card", count("cards", card_type_id="new type")),
    "assign_card_number, free": (assign_a_free_number, "PUT /cards/{card_id}", own_cards),
    "assign_card_number, new": (number, "POST /cards", count("cards", card_number="77")),
    "record_event": (event, "POST /events", count("events", external_id="e")),
    "resend_purchase": (
        purchase,
        "POST /purchases/actions/send-purchase",
        count("purchases", external_purchase_id="39475X"),
    ),
}


async def outcome(call):
    """The result of a call, or its error."""
    try:
        return await call, None
    except CareCloudError as error:
        return None, error


@pytest.mark.parametrize("case", CASES)
@every("fault", FAULTS, thorough=MORE_FAULTS)
async def test_a_write_is_made_once(case, fault):
    """A call ends well with one record, or with an error that says whether it may be there; the next call ends well."""
    workflow, write, records = CASES[case]
    sandbox = Sandbox(customers=5, records=3)
    sandbox.faults.add(write, **FAULTS[fault])
    async with reach(sandbox) as client:
        _, failed = await outcome(workflow(client, sandbox))
        made, sent = records(sandbox), sandbox.count(write)
        assert made == 1 if failed is None else failed.may_have_happened
        await workflow(client, sandbox)
    assert records(sandbox) == 1
    # What is there is not written again; of events the server itself refuses a second one.
    assert sandbox.count(write) == sent + (not made or case == "record_event") <= 2
    assert not broken_rules(sandbox)


@every("case", CASES)
async def test_a_write_that_cannot_be_looked_up_stays_unknown(case):
    """If the server is away after a lost answer, the error says that the record may be there; nothing is sent twice."""
    workflow, write, records = CASES[case]
    sandbox = Sandbox(customers=5, records=3)
    sandbox.faults.add(write, cut="after")
    away = through(sandbox, before=lambda request: httpx.Response(503) if sandbox.count(write) else None)
    async with connect(sandbox, retry=RetryPolicy(attempts=1), transport=away) as client:
        _, failed = await outcome(workflow(client, sandbox))
    assert failed.may_have_happened
    assert (sandbox.count(write), records(sandbox)) == (1, 1)


@every("case", CASES)
async def test_an_empty_page_with_a_total_proves_no_absence(case):
    """A look-up that contradicts itself once is made again: the second call finds what the first one made."""
    workflow, _, records = CASES[case]
    sandbox, doubted = Sandbox(customers=5, records=3), set()

    def doubt(request, answer):
        page = answer.json()["data"] if request.method == "GET" else {}
        if page.get("total_items") and request.url.path not in doubted:
            doubted.add(request.url.path)
            return data({name: [] if isinstance(value, list) else value for name, value in page.items()})
        return None

    async with reach(sandbox) as client:
        await workflow(client, sandbox)
    async with connect(sandbox, transport=through(sandbox, after=doubt)) as client:
        await workflow(client, sandbox)
    assert records(sandbox) == 1
    assert doubted


@every("fault", FAULTS, thorough=MORE_FAULTS)
async def test_a_sign_up_is_made_once(fault):
    """A sign-up that loses its answer is found by e-mail and password, or the error says that it may be there."""
    sandbox = Sandbox(customers=5, records=3)
    sandbox.faults.add("POST /customers", **FAULTS[fault])
    source = CustomerSourceInput(customer_source_id=SHOP)
    async with reach(sandbox) as client:
        call = sign_up(client, customer=JANE, customer_source=source, password="Correct-Horse-7", consents={})
        made, failed = await outcome(call)
    if failed is not None:
        assert failed.may_have_happened
    else:
        assert sandbox.customers.get(made)["personal_information"]["email"] == "jane@example.com"
    assert janes(sandbox) == (failed is None)
