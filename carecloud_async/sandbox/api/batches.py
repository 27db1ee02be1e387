"""Batches: many records of a table in one request."""

from __future__ import annotations

from typing import Any, Final

import attrs

from carecloud_async.sandbox.api.arguments import arguments, invalid_params_of_rows
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request
from carecloud_async.sandbox.api.records import check_path, new_record, table_of
from carecloud_async.sandbox.json_text import JsonObject, json_bytes
from carecloud_async.sandbox.state.facts import field_names
from carecloud_async.sandbox.state.plans import api_plans
from carecloud_async.sandbox.state.table import Table

MOST_ROWS: Final = 1000
_KEEP_VALID: Final = 2
"""The `error_processing` that keeps the valid rows of a batch with invalid ones."""
_KEYS: Final = ("external_id", "code")
"""Fields that identify a record that comes without an id."""


def write(call: Call) -> None:
    """Create or change each record of a batch; one without an id is known by its external id or code.

    One invalid row undoes the whole batch, unless the body asks to keep the valid rows.

    Raises:
        RefusalError: 404 or 403 for a parent, 400 for a body that is not valid, or for invalid rows where the valid
            ones were kept.
    """
    check_path(call)
    call, invalid = _valid_rows(call)
    body = arguments(call)
    collection = call.api.template.removesuffix("/batch")
    if collection not in api_plans().lists:
        return  # nothing lists these records
    table = table_of(call, collection)
    for row in _rows(call, body):
        record_id = _known_id(table, row)
        if record_id is None:
            table.insert(new_record(call, table.plan.schema, row))
        else:
            table.update(record_id, row)
    if invalid and call.state.settings.batch_report:
        raise bad_request(*invalid)


def delete(call: Call) -> None:
    """Delete each record of a batch that exists.

    Raises:
        RefusalError: 400 for a body that is not valid.
    """
    body = arguments(call)
    table = table_of(call, call.api.template.removesuffix("/batch"))
    for row in _rows(call, body):
        record_id = row.get(table.plan.id_field or "")
        if record_id in table:
            table.delete(str(record_id))


def _valid_rows(call: Call) -> tuple[Call, list[InvalidParam]]:
    """Check the number of rows; where the valid ones are to be kept, take the others out."""
    field, body = call.api.rows_field, call.json()
    rows = None if field is None else body.get(field.name)
    if field is None or not isinstance(rows, list):
        return call, []
    if not 1 <= len(rows) <= MOST_ROWS:
        raise bad_request(InvalidParam(name=field.name, reason="not_allowed_value" if rows else "empty"))
    if body.get("error_processing") != _KEEP_VALID:
        return call, []
    invalid = invalid_params_of_rows(field, rows)
    valid = [row for row, found in zip(rows, invalid, strict=True) if not found]
    kept = attrs.evolve(call, body=json_bytes({**body, field.name: valid}))
    return kept, [param for found in invalid for param in found]


def _rows(call: Call, body: JsonObject) -> list[JsonObject]:
    field = call.api.rows_field
    rows: Any = [] if field is None else body.get(field.name)
    return [row for row in rows if isinstance(row, dict)]


def _known_id(table: Table, row: JsonObject) -> str | None:
    """The id of the record that a row is about, or `None` for a new one."""
    record_id = row.get(table.plan.id_field or "")
    if record_id in table:
        return str(record_id)
    key = next((name for name in _KEYS if row.get(name)), None)
    if key is None or key not in field_names(table.plan.schema):
        return None
    return next((one for one in table.find(key, row[key]) if table.record(one).get(key) == row[key]), None)
