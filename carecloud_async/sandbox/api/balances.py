"""The actions on points and credits: each adds a record, and a line with its note to the customer's history."""

from __future__ import annotations

from typing import Final, Literal

from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call, Handler
from carecloud_async.sandbox.api.problems import InvalidParam, refuse
from carecloud_async.sandbox.api.records import created
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import field_names

_Unit = Literal["point", "credit"]

_DEFAULTS: Final = {
    "credit_type_id": "/credit-types",
    "currency_id": "/currencies",
    "partner_id": "/partners",
    "point_type_id": "/point-types",
}
"""By field, the list whose first record is taken if a request leaves the field out."""


def books(unit: _Unit, operation: str, *, sign: int) -> Handler:
    """Make the handler of an action on one customer.

    Args:
        unit: What is booked.
        operation: Its type in the history.
        sign: 1 for an addition; -1 for a reduction, whose amounts are negative in the record and in the history.
    """

    def handler(call: Call) -> JsonObject:
        body = arguments(call)
        amount = sign * body["amount"]
        return created(call, _book(call, unit, operation, body, customer_id=body["customer_id"], amount=amount))

    return handler


def transfers(unit: _Unit, operation: str) -> Handler:
    """Make the handler of an action that takes from one customer and gives to another; see `books`."""

    def handler(call: Call) -> None:
        body = arguments(call)
        sides = {name: body[name] for name in ("original_customer_id", "new_customer_id")}
        unknown = {name: customer_id for name, customer_id in sides.items() if customer_id not in call.state.customers}
        refuse(InvalidParam(name=name, reason="not_found", value=value) for name, value in unknown.items())
        for customer_id, amount in zip(sides.values(), (-body["amount"], body["amount"]), strict=True):
            _book(call, unit, operation, body, customer_id=customer_id, amount=amount)

    return handler


def synchronize_points(call: Call) -> None:
    """`POST /points/actions/synchronize-points`: book what is missing between the customer's points and the amount."""
    body = arguments(call)
    own = call.state.tables.table("/points").matching("customer_id", body["customer_id"])
    missing = body["amount"] - sum(points.get("available_points") or 0 for _, points in own)
    _book(call, "point", "Points synchronized", body, customer_id=body["customer_id"], amount=missing)


def _book(call: Call, unit: _Unit, operation: str, body: JsonObject, *, customer_id: str, amount: float) -> str:
    """Add the record and the line of the history; each takes the fields that its schema has.

    Returns:
        The id of the record.
    """
    tables, now, note = call.state.tables, call.state.now(), body.get("note")
    values: JsonObject = {
        **{name: body.get(name) or next(iter(tables.table(path).ids()), "") for name, path in _DEFAULTS.items()},
        "customer_id": customer_id,
        f"assigned_{unit}s": amount,
        f"available_{unit}s": amount,
        "created_at": now,
        "state": 1,
        "amount": amount,
        "point_amount": amount,
        f"{unit}_operation_type": operation,
        f"{unit}_history_record_time": now,
        **({} if note is None else {"note": note, f"{unit}_operation_note": note}),
    }
    record_id, _ = (
        table.insert({name: value for name, value in values.items() if name in field_names(table.plan.schema)})
        for table in (tables.table(f"/{unit}s"), tables.table(f"/{unit}-history"))
    )
    return record_id
