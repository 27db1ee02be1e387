"""Reading and writing records of tables, one by one and in batches; the records in the path of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from carecloud_async.sandbox.api.arguments import arguments, invalid_params_of_rows, sent_record
from carecloud_async.sandbox.api.calls import (
    Answer,
    Call,
    Handler,
    InvalidParam,
    bad_request,
    forbidden,
    not_found,
)
from carecloud_async.sandbox.json_text import JsonObject, json_bytes
from carecloud_async.sandbox.state.facts import CUSTOMERS, api_plans, field_names, fields_of, read_only_names
from carecloud_async.sandbox.state.table import Table, written

#: Further external ids of a record, which answers do not show.
HIDDEN_IDS: Final = "external_ids"
#: Parameters of lists, with the field that records show only if they are true.
_ON_REQUEST: Final = {"include_property_records": "property_records", "purchase_items_extension": "purchase_items"}
_MOST_ROWS: Final = 1000
#: The `error_processing` that keeps the valid rows of a batch with invalid ones.
_KEEP_VALID: Final = 2
#: Fields that identify a record of a batch that comes without an id.
_KEYS: Final = ("external_id", "code")


def read(call: Call) -> Answer:
    """Return one record.

    Raises:
        RefusalError: 404 if it does not exist, 403 if it is another customer's.
    """
    table, record_id = record_in_path(call)
    body = b'{"data":%b}' % writer(call, table, arguments(call))(table.known_number(record_id))
    return Answer(body=body, content_type="application/json")


def replace(call: Call) -> None:
    """Replace one record: omitted fields are deleted, except those that only the server sets.

    Raises:
        RefusalError: 404 or 403 as for `read`, 400 for a body that is not valid.
    """
    sent = sent_record(call, arguments(call))
    table, record_id = record_in_path(call)
    names = field_names(table.plan.schema)
    # A body whose fields are declared one by one changes these and no others.
    dotted = {field.name.partition(".")[2] for field in call.api.body if "." in field.name}
    changeable = dotted or {field.name for field in fields_of(table.plan.schema) if not field.read_only}
    # A field that the API does not know is deleted as well.
    kept = {name: value for name, value in table.record(record_id).items() if name in names - changeable}
    changed = {name: value for name, value in sent.items() if name in changeable}
    dated = {"last_change": call.state.clock.local_now()} if "last_change" in names else {}
    table.replace(record_id, {**kept, **changed, **dated})


def delete(call: Call) -> None:
    """Delete one record.

    Raises:
        RefusalError: 404 or 403 as for `read`.
    """
    table, record_id = record_in_path(call)
    table.delete(record_id)


def create(call: Call) -> JsonObject:
    """Create a record and return its id.

    Raises:
        RefusalError: 404 or 403 for a parent as for `read`, 400 for a body that is not valid.
    """
    check_path(call)
    table = table_of(call, call.api.template)
    return created(call, table.insert(new_record(call, table.plan.schema, sent_record(call, arguments(call)))))


#: Handlers by method.
HANDLERS: Final[dict[str, Handler]] = {"GET": read, "POST": create, "PUT": replace, "DELETE": delete}


# Parts, which batches, actions and lists use too


def check_path(call: Call, *, but_last: bool = False) -> None:
    """Check that the records named in the path exist and are the caller's.

    Args:
        call: the request.
        but_last: leave the last one to the caller.

    Raises:
        RefusalError: 404 for a record that does not exist, 403 for another customer's.
    """
    for name, collection in call.api.path_records[: -1 if but_last else None]:
        record_id = call.path[name]
        if collection == "/tokens":  # `admit` has compared it
            continue
        if collection == CUSTOMERS and call.customer_id not in (None, record_id):
            raise forbidden("The customer does not belong to the logged in customer")
        if not call.state.tables.exists(collection, record_id):
            raise not_found(resource=collection.rpartition("/")[2], resource_id=record_id)


def table_of(call: Call, collection: str) -> Table:
    """The table of a collection's path; if there are several, that of the parent in the path."""
    plan = api_plans().lists[collection]
    parent = call.path[plan.parent_name] if plan.is_parents_table and plan.parent_name else None
    return call.table(plan.table, parent)


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
        raise not_found(resource=collection.rpartition("/")[2], resource_id=record_id)
    owner = table.record(record_id).get("customer_id")
    if None not in (call.customer_id, owner) and owner != call.customer_id:
        raise forbidden("The record does not belong to the logged in customer")
    return table, record_id


def writer(call: Call, table: Table, sent: JsonObject) -> Callable[[int], bytes]:
    """Return the function that writes a record, by its number, as the arguments of the request ask for it."""
    optional = (parameter.name for parameter in call.api.query if parameter.name in _ON_REQUEST)
    hidden = {HIDDEN_IDS, *(_ON_REQUEST[name] for name in optional if not sent.get(name))}

    def write(number: int) -> bytes:
        record = table.record_at(number)
        if hidden & record.keys():
            record = {name: value for name, value in record.items() if name not in hidden}
        return written(record, number=number)

    return write


def new_record(call: Call, schema: str, sent: JsonObject) -> JsonObject:
    """The record that is stored: what was sent, and what the server sets."""
    now, names = call.state.clock.local_now(), field_names(schema)
    record = {name: value for name, value in sent.items() if name not in read_only_names(schema)}
    set_by_server: JsonObject = {"last_change": now, "created_at": now, "state": 1, **call.path}
    missing = {name: value for name, value in set_by_server.items() if name in names and name not in record}
    return {**record, **missing}


def created(call: Call, record_id: str) -> JsonObject:
    """The data of the answer that names a new record."""
    return {field.name: record_id for field in call.api.fields}


# Batches: many records of a table in one request


def write_batch(call: Call) -> None:
    """Create or change each record of a batch; one without an id is known by its external id or code.

    One invalid row undoes the whole batch, unless the body asks to keep the valid rows.

    Raises:
        RefusalError: 404 or 403 for a parent, 400 for a body that is not valid, or for invalid rows where the valid
            ones were kept.
    """
    check_path(call)
    call, invalid = _valid_rows(call)
    rows, collection = _rows(call), call.api.template.removesuffix("/batch")
    if collection not in api_plans().lists:
        return  # nothing lists these records
    table = table_of(call, collection)
    for row in rows:
        record_id = _known_id(table, row)
        if record_id is None:
            table.insert(new_record(call, table.plan.schema, row))
        else:
            table.update(record_id, row)
    if invalid:
        raise bad_request(*invalid)


def delete_batch(call: Call) -> None:
    """Delete each record of a batch that exists.

    Raises:
        RefusalError: 400 for a body that is not valid, or for invalid rows where the valid ones were kept.
    """
    call, invalid = _valid_rows(call)
    table = table_of(call, call.api.template.removesuffix("/batch"))
    for row in _rows(call):
        record_id = row.get(table.plan.id_field or "")
        if record_id in table:
            table.delete(str(record_id))
    if invalid:
        raise bad_request(*invalid)


def _valid_rows(call: Call) -> tuple[Call, list[InvalidParam]]:
    """Check the number of rows; where the valid ones are to be kept, take the others out."""
    field, body = call.api.rows_field, call.json()
    rows = None if field is None else body.get(field.name)
    if field is None or not isinstance(rows, list):
        return call, []
    if not 1 <= len(rows) <= _MOST_ROWS:
        raise bad_request(InvalidParam(name=field.name, reason="not_allowed_value" if rows else "empty"))
    if body.get("error_processing") != _KEEP_VALID:
        return call, []
    invalid = invalid_params_of_rows(field, rows, fields=call.api.body)
    valid = [row for row, params in zip(rows, invalid, strict=True) if not params]
    kept = attrs.evolve(call, body=json_bytes({**body, field.name: valid}))
    return kept, [param for params in invalid for param in params]


def _rows(call: Call) -> list[JsonObject]:
    body, field = arguments(call), call.api.rows_field
    return [row for row in body[field.name] if isinstance(row, dict)] if field is not None else []


def _known_id(table: Table, row: JsonObject) -> str | None:
    """The id of the record that a row is about, or `None` for a new one."""
    record_id = row.get(table.plan.id_field or "")
    if record_id in table:
        return str(record_id)
    key = next((name for name in _KEYS if row.get(name)), None)
    if key is None or key not in field_names(table.plan.schema):
        return None
    return next((record_id for record_id, record in table.matching(key, row[key]) if record.get(key) == row[key]), None)
