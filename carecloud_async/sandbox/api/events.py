"""Events: the customer of an event, and the refusal of a second event of the same ids."""

from __future__ import annotations

from typing import Final

from carecloud_async.sandbox.api.arguments import arguments, sent_record
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.logins import LOOK_UPS
from carecloud_async.sandbox.api.problems import invalid
from carecloud_async.sandbox.api.records import create_below, created, new_record
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import field_names

_IDENTITY: Final = ("external_id", "secondary_external_id", "event_type_id", "customer_id")
"""The fields that make an event the same as another."""


def create(call: Call) -> JsonObject:
    """`POST /events`.

    Raises:
        RefusalError: 400 for a body that is not valid, for an event that is there already, and for a customer who is
            named by an e-mail, phone or external id that no customer has.
    """
    body, events = arguments(call), call.state.tables.table("/events")
    sent = sent_record(call, body)
    if not sent.get("customer_id") and sent.get("customer_identifier_value"):
        sent["customer_id"] = _customer_named(call, sent)
    record = new_record(call, "Event", {name: value for name, value in sent.items() if name in field_names("Event")})
    same = events.matching("external_id", record["external_id"])
    if any(all((one.get(name) or "") == (record.get(name) or "") for name in _IDENTITY) for _, one in same):
        raise invalid("external_id", "relation_already_exists")
    event_id = events.insert(record)
    create_below(call, body, event_id)
    return created(call, event_id)


def _customer_named(call: Call, event: JsonObject) -> str:
    """The customer whom `customer_identifier_type` and `customer_identifier_value` of an event name."""
    customers, kind = call.state.customers, event.get("customer_identifier_type")
    value = str(event["customer_identifier_value"])
    found: list[str] = []
    if kind in ("email", "phone"):
        found = LOOK_UPS[kind](customers, value)
    elif kind == "external_id":
        sources = call.state.tables.table("/customer-source-records").matching("external_id", value)
        found = [str(source.get("customer_id")) for _, source in sources]
    if not found:
        raise invalid("event.customer_identifier_value", "not_found", value=value)
    return found[0]
