"""Look-ups whose answer contradicts itself: an empty list with a total that is not 0 does not prove an absence."""

import pytest
from kit import listed
from test_workflow_cards import card
from test_workflow_checkout import CHECKOUT, FINAL
from test_workflow_customers import IDS, JANE, record

from carecloud_async.models import EventInput
from carecloud_async.workflows import (
    assign_card,
    assign_card_number,
    find_at_point_of_sale,
    find_customer,
    record_event,
    resend_purchase,
    sync_customer,
)

pytestmark = pytest.mark.anyio


def doubt(server, name, key, *records):
    """Answer the first request of a list by an empty page with the total of these records, the others by them."""
    pages = iter([{key: [], "total_items": len(records)}])
    server.on(name, lambda sent: next(pages, listed(key, *records)))


async def test_a_customer_is_not_created_twice(client, server):
    """The customer is found by the second look-up, and updated."""
    doubt(server, "GET /customer-source-records", "customer_source_records", record("jane"))
    server.on("GET /customers/{}", {"customer_id": "jane", "personal_information": {"last_name": "D"}})
    server.on("PUT /customers/{}", None)
    synced = await sync_customer(client, **IDS, customer=JANE)
    assert (synced.customer_id, synced.created) == ("jane", False)


async def test_a_bill_is_not_sent_twice(client, server):
    """The purchase is found by the second look-up, and nothing is sent."""
    purchase = {"purchase_id": "1", "store_id": "store", "external_purchase_id": FINAL.bill_id}
    doubt(server, "GET /purchases", "purchases", purchase)
    assert (await resend_purchase(client, checkout=CHECKOUT, bill=FINAL)).was_there


async def test_a_second_card_is_not_given(client, server):
    """The customer's card is found by the second look-up, by its type and by its number."""
    held = card("held", customer_id="jane")
    doubt(server, "GET /cards", "cards", held)
    assert (await assign_card(client, customer_id="jane", card_type_id=held["card_type_id"])).card_id == "held"
    doubt(server, "GET /cards", "cards", held)
    given = await assign_card_number(
        client, customer_id="jane", card_type_id=held["card_type_id"], card_number=held["card_number"]
    )
    assert given.card_id == "held"


async def test_an_event_that_is_refused_is_found(client, server):
    """An event that the server has already is found by the second look-up."""
    event = {"event_id": "7", "event_type_id": "visit", "external_id": "a", "customer_id": "jane"}
    doubt(server, "GET /events", "events", event)
    server.on("POST /events", {"event_id": "7"})
    server.lose("POST /events")
    found = await record_event(
        client,
        event=EventInput(event_type_id="visit", external_id="a", customer_id="jane", created_at="2026-01-01 10:00:00"),
    )
    assert found.event_id == "7"


async def test_a_till_finds_the_customer(client, server):
    """A customer whom the second look-up shows is found by the e-mail address."""
    person = {"customer_id": "jane", "personal_information": {"email": "jane@example.com"}}
    doubt(server, "GET /customers", "customers", person)
    assert [one.customer_id for one in await find_at_point_of_sale(client, typed="jane@example.com")] == ["jane"]


async def test_a_doubtful_answer_to_a_made_up_id_proves_no_filter(client, server):
    """A server that ignores the filter is not trusted for one empty page whose total is not 0."""
    others = record("jane", external_id="8")
    pages = iter([listed("customer_source_records", others), {"customer_source_records": [], "total_items": 1}])
    server.on("GET /customer-source-records", lambda sent: next(pages, listed("customer_source_records", others)))
    assert await find_customer(client, **IDS) is None


async def test_a_total_that_does_not_count_by_the_filter_is_believed_at_last(client, server):
    """Two empty pages are no record, whatever the total says; a page without doubt is read once."""
    server.on("GET /customer-source-records", {"customer_source_records": [], "total_items": 9})
    assert await find_customer(client, **IDS) is None
    assert len(server.requests) == 2
    server.on("GET /customer-source-records", listed("customer_source_records"))
    assert await find_customer(client, **IDS) is None
    assert len(server.requests) == 3


async def test_more_than_a_page_is_read_to_its_end(client, server):
    """A filter that finds more than one page is read page by page."""
    records = [record("others", external_id=str(number + 10)) for number in range(120)] + [record("jane")]

    def listed(sent):
        begin = int(sent["offset"])
        return {
            "customer_source_records": records[begin : begin + int(sent["count"])],
            "total_items": len(records),
        }

    server.on("GET /customer-source-records", listed)
    assert await find_customer(client, **IDS) == "jane"
