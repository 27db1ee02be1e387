"""Marketing events, recorded once."""

import pytest
from attrs import evolve
from kit import RefusedError, listed

from carecloud_async import BadRequestError, ConfigurationError, CustomerSourceInput
from carecloud_async.models import EventInput, PropertyRecordInput
from carecloud_async.workflows import RecordedEvent, record_event

pytestmark = pytest.mark.anyio

EVENT = EventInput(event_type_id="viewed", external_id="7", customer_id="jane")


@pytest.fixture
def events(server):
    """The events of the server, which refuses a second one with the same ids."""
    events = []

    def create(sent):
        ids = ("event_type_id", "customer_id", "external_id", "secondary_external_id")
        if any(all(event.get(name) == sent["event"].get(name) for name in ids) for event in events):
            raise RefusedError(400, ("event_id_event_type_id_customer_id_external_id", "relation_already_exists"))
        events.append({"event_id": f"event {len(events)}", **sent["event"]})
        return {"event_id": events[-1]["event_id"]}

    server.on("POST /events", create)
    server.on("GET /events", lambda sent: listed("events", *events))
    return events


async def test_an_event_is_recorded_once(client, server, events):
    """A second call returns the first one's event; another customer's and a second external id's are not it."""
    properties = [PropertyRecordInput(property_id="page", property_value="/phones")]
    made = await record_event(client, event=EVENT, property_records=properties)
    assert made == RecordedEvent(event_id="event 0", was_there=False)
    assert server.sent("POST /events") == [
        {
            "event": {"event_type_id": "viewed", "external_id": "7", "customer_id": "jane"},
            "property_records": [{"property_id": "page", "property_value": "/phones"}],
        }
    ]
    source = CustomerSourceInput(customer_source_id="shop", external_id="7ACFY3R")
    by_source = {"customer_identifier_type": "external_id", "customer_identifier_value": source}
    for other in ({"customer_id": "john"}, {"secondary_external_id": "b"}, {"customer_id": None, **by_source}):
        assert not (await record_event(client, event=evolve(EVENT, **other))).was_there
    assert (await record_event(client, event=evolve(EVENT, customer_id=None, **by_source))).was_there
    assert await record_event(client, event=EVENT) == RecordedEvent(event_id="event 0", was_there=True)
    assert len(events) == 4


async def test_a_refused_event_is_the_servers_refusal(client, server, events):
    """Another reason than that it is there comes through, and nothing is looked up."""

    def refuse(sent):
        raise RefusedError(400, ("event_type_id", "not_found"))

    server.on("POST /events", refuse)
    with pytest.raises(BadRequestError):
        await record_event(client, event=EVENT)
    assert not server.sent("GET /events")


@pytest.mark.parametrize(
    "names",
    [
        {"customer_id": None},
        {"customer_identifier_type": "email", "customer_identifier_value": "a@example.com"},
        {"customer_id": None, "customer_identifier_type": "email"},
        {"customer_identifier_value": "a@example.com"},
    ],
    ids=["nobody", "twice", "half", "half beside the id"],
)
async def test_a_customer_is_named_in_one_way(client, names):
    """No customer, two, or half of one is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match="customer_id alone"):
        await record_event(client, event=evolve(EVENT, **names))
