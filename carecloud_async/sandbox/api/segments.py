"""Members of segments. The segment's list decides, and the customer's list follows it."""

from __future__ import annotations

from typing import Final

from carecloud_async.sandbox.api import lists
from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call, Page
from carecloud_async.sandbox.api.records import check_path
from carecloud_async.sandbox.state.table import Table

_MEMBERS: Final = "/segments/{segment_id}/segment-records"


def add_customer(call: Call) -> None:
    """`POST /segments/{segment_id}/actions/add-customer`: does nothing for a member."""
    members, customer_id = _members(call)
    if not members.find("customer_id", customer_id):
        now = call.state.now()
        record = {"segment_id": call.path["segment_id"], "customer_id": customer_id}
        members.insert({**record, "created_at": now, "last_change": now})


def remove_customer(call: Call) -> None:
    """`POST /segments/{segment_id}/actions/remove-customer`: does nothing for a customer who is not a member."""
    members, customer_id = _members(call)
    for record_id in members.find("customer_id", customer_id):
        members.delete(record_id)


def segments_of_customer(call: Call) -> Page:
    """`GET /customers/{customer_id}/segment-records`: made up, except where the segment's list exists."""
    check_path(call)
    own = call.state.tables.table(call.api.template, call.path["customer_id"])
    for segment_id, members in call.state.tables.of_parents(_MEMBERS).items():
        for record_id in own.find("segment_id", segment_id):
            own.delete(record_id)
        for record_id in members.find("customer_id", call.path["customer_id"]):
            own.insert(members.get(record_id))
    return lists.page(call)


def _members(call: Call) -> tuple[Table, str]:
    check_path(call)
    return call.state.tables.table(_MEMBERS, call.path["segment_id"]), arguments(call)["customer_id"]
