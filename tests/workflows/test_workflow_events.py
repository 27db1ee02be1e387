"""Marketing events, recorded once."""

import pytest
from attrs import evolve
from kit import RefusedError, listed

from carecloud_async import BadRequestError, ConfigurationError, CustomerSourceInput, OutcomeUnknownError
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
        if any(all(one.get(name) == sent["event"].get(name) for name in ids) for one in events):
            raise RefusedError(400, ("event_id_event_type_id_customer_id_external_id", "relation_already_exists"))
        events.append({"event_id": f"event {len(events)}", **sent["event"]})
        return {"event_id": events[-1]["event_id"]}

    server.on("POST /events", create)
    server.on("GET /events", lambda sent: listed("events", *events))
    return events


async def test_an_event_is_recorded(client, server, events):
    """Event and properties are sent, and the id comes back."""
    properties = [PropertyRecordInput(property_id="page", property_value="/phones")]
    made = await record_event(client, event=EVENT, property_records=properties)
    assert made == RecordedEvent(event_id="event 0", was_there=False)
    assert server.sent("POST /events") == [
        {
            "event": {"event_type_id": "viewed", "external_id": "7", "customer_id": "jane"},
            "property_records": [{"property_id": "page", "property_value": "/phones"}],
        }
    ]


async def test_an_event_that_is_there_is_found(client, events):
    """A second call returns the first one's event; another customer's and a second external id's are not it."""
    for one in (evolve(EVENT, customer_id="john"), evolve(EVENT, secondary_external_id="b"), EVENT):
        await record_event(client, event=one)
    assert await record_event(client, event=EVENT) == RecordedEvent(event_id="event 2", was_there=True)
    assert len(events) == 3


async def test_a_lost_event_is_looked_up(client, server, events):
    """The event that was recorded is found by its ids, and nothing is sent twice."""
    server.lose("POST /events")
    assert await record_event(client, event=EVENT) == RecordedEvent(event_id="event 0", was_there=True)
    assert len(server.sent("POST /events")) == 1


async def test_an_event_that_does_not_show_up_stays_unknown(client, server, events):
    """Without an event to be seen the caller hears that the answer was lost."""
    server.on("POST /events", {"event_id": "1"})
    server.lose("POST /events")
    with pytest.raises(OutcomeUnknownError):
        await record_event(client, event=EVENT)


async def test_an_event_that_cannot_be_looked_up_stays_unknown(client, server, events):
    """If the server is away after a lost answer, the error says that the event may be there."""
    server.fail_after("POST /events", status=503)
    with pytest.raises(OutcomeUnknownError):
        await record_event(client, event=EVENT)


async def test_a_refused_event_is_the_servers_refusal(client, server, events):
    """Another reason than that it is there comes through, and nothing is looked up."""

    def refuse(sent):
        raise RefusedError(400, ("event_type_id", "not_found"))

    server.on("POST /events", refuse)
    with pytest.raises(BadRequestError):
        await record_event(client, event=EVENT)
    assert not server.sent("GET /events")


async def test_a_customer_may_be_named_by_another_id(client, server, events):
    """An external id with its source stands for the customer."""
    source = CustomerSourceInput(customer_source_id="shop", external_id="7ACFY3R")
    event = evolve(EVENT, customer_id=None, customer_identifier_type="external_id", customer_identifier_value=source)
    assert not (await record_event(client, event=event)).was_there
    assert (await record_event(client, event=event)).was_there


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
