"""The records in the path of a call, and the table that it is about."""

from __future__ import annotations

from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.problems import RefusalError, forbidden, not_found
from carecloud_async.sandbox.state.plans import CUSTOMERS, api_plans
from carecloud_async.sandbox.state.tables import Table


def check_path(call: Call, *, but_last: bool = False) -> None:
    """Check that the records named in the path exist and are the caller's.

    Args:
        call: The request.
        but_last: Leave the last one to the caller.

    Raises:
        RefusalError: 404 for a record that does not exist, 403 for another customer's.
    """
    for name, collection in call.api.path_records[: -1 if but_last else None]:
        record_id = call.path[name]
        if collection == CUSTOMERS and call.customer_id not in (None, record_id):
            raise forbidden("The customer does not belong to the logged in customer")
        if not call.state.tables.exists(collection, record_id):
            raise _missing(collection, record_id)


def table_of(call: Call, collection: str) -> Table:
    """The table of a collection's path; if there are several, that of the parent in the path."""
    plan = api_plans().lists[collection]
    parent = call.path[plan.parent_name] if plan.is_parents_table and plan.parent_name else None
    return call.state.tables.table(plan.table, parent)


def record_in_path(call: Call) -> tuple[Table, str]:
    """The record that the path leads to: its table and its id.

    Raises:
        RefusalError: 404 if it or a parent does not exist, 403 if it is another customer's.
    """
    check_path(call, but_last=True)
    name, collection = call.api.path_records[-1]
    record_id = call.path[name]
    table = table_of(call, collection)
    if record_id not in table:
        raise _missing(collection, record_id)
    owner = table.record(record_id).get("customer_id")
    if None not in (call.customer_id, owner) and owner != call.customer_id:
        raise forbidden("The record does not belong to the logged in customer")
    return table, record_id


def _missing(collection: str, record_id: str) -> RefusalError:
    return not_found(resource=collection.rpartition("/")[2], resource_id=record_id)
