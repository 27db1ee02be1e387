"""Actions on records: cards, points, credits, events, purchases, segments and others; each takes a call and its body.

An action that returns `None` has the default answer: nothing where the API declares nothing, else see `answer`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Final, Literal, TypeAlias

from carecloud_async.sandbox.api import lists
from carecloud_async.sandbox.api.arguments import sent_record
from carecloud_async.sandbox.api.calls import Call, InvalidParam, Page, invalid, refuse
from carecloud_async.sandbox.api.records import check_path, created, new_record
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import api_plans, field_names, path_to
from carecloud_async.sandbox.state.made_up import hex_id
from carecloud_async.sandbox.state.sandbox_state import SandboxState
from carecloud_async.sandbox.state.table import Table

#: Takes the request and its arguments.
Action: TypeAlias = Callable[[Call, JsonObject], JsonObject | None]

_Unit = Literal["point", "credit"]

_ACTIVE: Final = 1
#: By field, the list whose first record is taken if a request leaves the field out.
_DEFAULTS: Final = {
    "credit_type_id": "/credit-types",
    "currency_id": "/currencies",
    "partner_id": "/partners",
    "point_type_id": "/point-types",
}
#: The fields that make an event the same as another.
_IDENTITY: Final = ("external_id", "secondary_external_id", "event_type_id", "customer_id")
_MEMBERS: Final = "/segments/{segment_id}/segment-records"


def answer(call: Call, body: JsonObject) -> JsonObject:
    """The default answer of an action: the id of a record that it creates, or made-up data."""
    record_id = _create(call, body)
    if record_id is not None:
        return created(call, record_id)
    place = ":".join([call.api.template, *call.path.values(), str(body.get("customer_id", ""))])
    return call.state.tables.maker.answer(call.api.result, call.api.fields, place=place)


def _create(call: Call, body: JsonObject) -> str | None:
    """Create the record of an action that answers an id and nothing else."""
    if call.api.method != "POST" or len(call.api.fields) != 1:
        return None
    for plan in api_plans().tables.values():
        if plan.id_field != call.api.fields[0].name or plan.parent_name not in (None, "customer_id"):
            continue
        wrapped = sent_record(call, body) if call.api.record_field else {}
        record = new_record(call, plan.schema, {**body, **wrapped})
        for name, value in call.path.items():
            path = path_to(plan.schema, name) or (name,)
            if len(path) == 2:  # a voucher has its reward's id in an object
                record[path[0]] = {path[1]: value}
        return _insert(call.table(plan.name, plan.parent_name and str(body.get("customer_id", ""))), record)
    return None


def _insert(table: Table, values: JsonObject) -> str:
    """Add a record of those values that its schema has."""
    names = field_names(table.plan.schema)
    return table.insert({name: value for name, value in values.items() if name in names})


# Cards


def assign_free_card(call: Call, body: JsonObject) -> JsonObject:
    """One card of a type for each customer: that of a number, the first free one, or a new one."""
    customer_id, card_type_id, number = body["customer_id"], body["card_type_id"], body.get("card_number")
    cards = call.table("/cards")
    of_type = cards.matching("card_type_id", card_type_id)
    if any(card.get("customer_id") == customer_id for _, card in of_type):
        raise invalid("card_type_id", "relation_already_exists")
    free = [card_id for card_id, card in of_type if _is_free(card) and number in (None, card.get("card_number"))]
    if number is not None and not free:
        raise invalid("card_number", "not_found")
    card_id = free[0] if free else _new_card(cards, card_type_id)
    cards.update(card_id, {"customer_id": customer_id, "last_change": call.state.clock.local_now()})
    return {"card_id": card_id}


def validate_free_card(call: Call, body: JsonObject) -> JsonObject:
    """Whether there is a card of this number, active and not assigned."""
    cards = call.table("/cards").matching("card_number", body["card_number"])
    return {"is_free_to_use": any(_is_free(card) for _, card in cards)}


def holders_of_card(state: SandboxState, number: str) -> list[str]:
    """The ids of the customers who hold a card of this number, by the table of cards or from their creation."""
    cards = state.tables.table("/cards").matching("card_number", number)
    own = [str(card["customer_id"]) for _, card in cards if card.get("customer_id")]
    return own + state.customers.by_login("card", number)


def _is_free(card: JsonObject) -> bool:
    return not card.get("customer_id") and card.get("state") == _ACTIVE


def _new_card(cards: Table, card_type_id: str) -> str:
    numbers = (f"99{place:011d}" for place in count(len(cards)))
    number = next(number for number in numbers if not cards.find("card_number", number))
    card = {"card_type_id": card_type_id, "card_number": number, "customer_id": None, "state": _ACTIVE}
    return cards.insert({**card, "last_change": None})


# Points and credits: each action adds a record, and a line with its note to the customer's history


def books(unit: _Unit, operation: str, *, sign: int) -> Action:
    """Make an action on one customer.

    Args:
        unit: what is booked.
        operation: its type in the history.
        sign: 1 for an addition; -1 for a reduction, whose amounts are negative in the record and in the history.
    """

    def action(call: Call, body: JsonObject) -> JsonObject:
        amount = sign * body["amount"]
        return created(call, _book(call, unit, operation, body, customer_id=body["customer_id"], amount=amount))

    return action


def transfers(unit: _Unit, operation: str) -> Action:
    """Make an action that takes from one customer and gives to another; see `books`."""

    def action(call: Call, body: JsonObject) -> None:
        sides = {name: body[name] for name in ("original_customer_id", "new_customer_id")}
        unknown = {name: customer_id for name, customer_id in sides.items() if customer_id not in call.state.customers}
        refuse(InvalidParam(name=name, reason="not_found", value=value) for name, value in unknown.items())
        for customer_id, amount in zip(sides.values(), (-body["amount"], body["amount"]), strict=True):
            _book(call, unit, operation, body, customer_id=customer_id, amount=amount)

    return action


def _book(call: Call, unit: _Unit, operation: str, body: JsonObject, *, customer_id: str, amount: float) -> str:
    """Add the record and the line of the history, and return the id of the record."""
    now, note = call.state.clock.local_now(), body.get("note")
    values: JsonObject = {
        **{name: body.get(name) or next(iter(call.table(path).ids()), "") for name, path in _DEFAULTS.items()},
        "customer_id": customer_id,
        "created_at": now,
        "state": 1,
        **dict.fromkeys((f"assigned_{unit}s", f"available_{unit}s", "amount", "point_amount"), amount),
        f"{unit}_operation_type": operation,
        f"{unit}_history_record_time": now,
        **({} if note is None else {"note": note, f"{unit}_operation_note": note}),
    }
    _insert(call.table(f"/{unit}-history"), values)
    return _insert(call.table(f"/{unit}s"), values)


# Events


def create_event(call: Call, body: JsonObject) -> JsonObject:
    """`POST /events`.

    Raises:
        RefusalError: 400 for an event that is there already, and for a customer who is named by an e-mail, phone or
            external id that no customer has.
    """
    sent, events = sent_record(call, body), call.table("/events")
    if not sent.get("customer_id") and sent.get("customer_identifier_value"):
        sent["customer_id"] = _customer_named(call, sent)
    record = new_record(call, "Event", {name: value for name, value in sent.items() if name in field_names("Event")})
    same = events.matching("external_id", record["external_id"])
    if any(all((event.get(name) or "") == (record.get(name) or "") for name in _IDENTITY) for _, event in same):
        raise invalid("external_id", "relation_already_exists")
    return created(call, events.insert(record))


def _customer_named(call: Call, event: JsonObject) -> str:
    """The customer whom `customer_identifier_type` and `customer_identifier_value` of an event name."""
    kind, value = event.get("customer_identifier_type"), str(event["customer_identifier_value"])
    customer_ids: list[str] = []
    if kind in ("email", "phone"):
        customer_ids = call.state.customers.by_login(kind, value)
    elif kind == "external_id":
        sources = call.table("/customer-source-records").matching("external_id", value)
        customer_ids = [str(source.get("customer_id")) for _, source in sources]
    if not customer_ids:
        raise invalid("event.customer_identifier_value", "not_found", value=value)
    return customer_ids[0]


# Purchases


def send_purchase(call: Call, body: JsonObject) -> JsonObject:
    """Record a final bill with its items.

    A bill that is sent twice makes two purchases, as in a real project: the API has no idempotency key. A cancellation
    is a purchase of its own, with the id that its bill has.
    """
    bill, card = body["bill"], body.get("card_number")
    purchase: JsonObject = {
        "customer_id": body.get("customer_id") or _holder(call, card),
        "store_id": body["store_id"],
        "external_purchase_id": bill["bill_id"],
        "payment_time": bill["payment_time"],
        "items_count": len(bill["bill_items"]),
        "purchase_items": [_item(bill["bill_id"], number, item) for number, item in enumerate(bill["bill_items"])],
        "type_id": bill["purchase_type_id"],
        "total_price": bill["total_price"],
        "currency_id": bill["currency_id"],
        **({"card_number": card} if card else {}),
        "cashdesk_number": str(body["cashdesk_number"]),
        "last_change": call.state.clock.local_now(),
        "property_records": bill.get("property_records") or [],
    }
    return {"purchase_id": call.table("/purchases").insert(purchase)}


def assign_customer(call: Call, body: JsonObject) -> None:
    """Set the customer of a purchase, found by its store and external id.

    Raises:
        RefusalError: 400 if there is no such purchase or no such card.
    """
    purchases, number = call.table("/purchases"), body["external_purchase_id"]
    customer_id = body.get("customer_id") or _holder(call, body.get("card_number"))
    if not customer_id:
        raise invalid("card_number", "not_found" if body.get("card_number") else "required")
    same = purchases.matching("external_purchase_id", number)
    purchase_ids = [purchase_id for purchase_id, purchase in same if purchase.get("store_id") == body["store_id"]]
    if not purchase_ids:
        raise invalid("external_purchase_id", "not_found", value=str(number))
    purchases.update(purchase_ids[0], {"customer_id": customer_id})


def accept_payment(call: Call, body: JsonObject) -> JsonObject:
    """The vouchers, points and credits that were asked for; together they never exceed the price.

    Every customer has enough points and credits, each worth one unit of the bill's currency. Codes of no voucher are
    left out.
    """
    bill, vouchers = body["bill"], []
    left = float(bill["total_price"])
    item = bill["bill_items"][0]["bill_item_id"] if bill["bill_items"] else ""
    for _, voucher in call.table("/vouchers").matching("code", *(body.get("benefit_codes") or ())):
        discount = min(left, float(voucher.get("value") or 0))
        left -= discount
        reward = {"code": voucher["code"], "name": (voucher.get("reward") or {}).get("name")}
        vouchers.append({**reward, "discount_value": round(discount, 2), "bill_item_id": item})
    points = min(left, float(body.get("max_points") or 0))
    credit = min(left - points, float(body.get("max_credit") or 0))
    place = f"{call.api.template}:{body.get('customer_id', '')}"
    return {
        **call.state.tables.maker.answer(call.api.result, call.api.fields, place=place),
        "recommended_discounts": [],
        "vouchers": vouchers,
        "credit_points": round(points, 2),
        "price_of_credit_points": round(points, 2),
        "credit": round(credit, 2),
        "messages": [],
    }


def _holder(call: Call, card_number: str | None) -> str:
    """The customer who holds a card, or an empty text."""
    return next(iter(holders_of_card(call.state, card_number)), "") if card_number else ""


def _item(bill_id: str, number: int, item: JsonObject) -> JsonObject:
    """The item of a purchase, made from an item of its bill."""
    return {
        "purchase_item_id": hex_id(f"{bill_id}:{number}"),
        "product_id": item["plu_ids"][0]["code"] if item["plu_ids"] else "",
        "product_name": item["plu_name"],
        "external_id": item["bill_item_id"],
        "purchase_item_type_id": item["purchase_item_type_id"],
        "price": item["price"],
        "amount": item["quantity"],
        "vat_rate": item["vat_rate"],
        "additional_properties": item.get("purchase_item_property_records") or [],
    }


# Members of segments: the segment's list decides, and the customer's list follows it


def add_customer(call: Call, body: JsonObject) -> None:
    """Add a customer to a segment; does nothing for a member."""
    members, now = call.table(_MEMBERS, call.path["segment_id"]), call.state.clock.local_now()
    if not members.find("customer_id", body["customer_id"]):
        record = {"segment_id": call.path["segment_id"], "customer_id": body["customer_id"]}
        members.insert({**record, "created_at": now, "last_change": now})


def remove_customer(call: Call, body: JsonObject) -> None:
    """Remove a customer from a segment; does nothing for a customer who is not a member."""
    _delete_where(call.table(_MEMBERS, call.path["segment_id"]), "customer_id", body["customer_id"])


def segments_of_customer(call: Call) -> Page:
    """`GET /customers/{customer_id}/segment-records`: made up, except where the segment's list exists."""
    check_path(call)
    own = call.table(call.api.template, call.path["customer_id"])
    for segment_id, members in call.state.tables.of_parents(_MEMBERS).items():
        _delete_where(own, "segment_id", segment_id)
        for _, member in members.matching("customer_id", call.path["customer_id"]):
            own.insert(member)
    return lists.page(call)


def _delete_where(table: Table, field: str, value: object) -> None:
    for record_id in table.find(field, value):
        table.delete(record_id)
