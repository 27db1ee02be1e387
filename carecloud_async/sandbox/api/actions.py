"""Actions on tables. Those in `EFFECTS` change records, some others create one, and the rest only answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from carecloud_async.sandbox.api.arguments import arguments, sent_record
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.records import check_path, created, new_record
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import field_names, path_to
from carecloud_async.sandbox.state.plans import api_plans
from carecloud_async.sandbox.state.table import Table

Effect: TypeAlias = Callable[[Call, JsonObject], None]
"""Takes the request and its arguments."""

_CANCELLED: Final = 0


def act(call: Call) -> JsonObject | None:
    """Apply an action to its table, if it has one, and return data of the declared form.

    Raises:
        RefusalError: 404 or 403 for a record in the path, 400 for arguments that are not valid.
    """
    check_path(call)
    sent = arguments(call)
    effect = EFFECTS.get(call.api.operation_id)
    if effect is not None:
        effect(call, sent)
    if call.api.status == 204:
        return None
    record_id = _create(call, sent)
    if record_id is not None:
        return created(call, record_id)
    key = ":".join([call.api.template, *call.path.values(), str(sent.get("customer_id", ""))])
    return call.state.tables.maker.answer(call.api.result, call.api.fields, given={**sent, **call.path}, place=key)


def _create(call: Call, sent: JsonObject) -> str | None:
    """Create the record of an action that answers an id and nothing else."""
    if call.api.method != "POST" or len(call.api.fields) != 1:
        return None
    for plan in api_plans().tables.values():
        if plan.id_field != call.api.fields[0].name or plan.parent_name not in (None, "customer_id"):
            continue
        wrapped = sent_record(call, sent) if call.api.record_field else {}
        record = new_record(call, plan.schema, {**sent, **wrapped})
        for name, value in call.path.items():
            path = path_to(plan.schema, name) or (name,)
            if len(path) == 2:  # a voucher has its reward's id in an object
                record[path[0]] = {path[1]: value}
        table = call.state.tables.table(plan.name, plan.parent_name and str(sent.get("customer_id", "")))
        return table.insert({name: value for name, value in record.items() if name in field_names(plan.schema)})
    return None


def _apply_voucher(call: Call, body: JsonObject) -> None:
    changes = {"applied_date": body["date_applied"]}
    if body.get("store_id"):
        changes["store_id"] = body["store_id"]
    call.state.tables.table("/vouchers").update(call.path["voucher_id"], changes)


def _changes_reservation(changes: Callable[[JsonObject, JsonObject], JsonObject]) -> Effect:
    def effect(call: Call, body: JsonObject) -> None:
        reservations = call.state.tables.table("/product-reservations")
        reservation_id = body.get("product_reservation_id")
        if reservation_id in reservations:
            reservations.update(str(reservation_id), changes(reservations.record(str(reservation_id)), body))

    return effect


def _external_codes(record: JsonObject, body: JsonObject) -> JsonObject:
    """A code replaces that of its type; codes of other types stay."""
    codes = [*(record.get("external_reservation_codes") or ()), *body["external_reservation_codes"]]
    return {"external_reservation_codes": [*{one["external_code_type_id"]: one for one in codes}.values()]}


def _reserve_points(call: Call, body: JsonObject) -> None:
    reservation = {
        "customer_id": body["customer_id"],
        "external_id": body["external_id"],
        "quantity": body["amount"],
        "state": 1,
        "expiration": body.get("expiration_time") or "",
    }
    call.state.tables.table("/point-reservations").insert(reservation)


def _release_points(call: Call, body: JsonObject) -> None:
    _delete_where(call.state.tables.table("/point-reservations"), "external_id", body["external_id"])


def _send_message(call: Call, body: JsonObject) -> None:
    now = call.state.now()
    call.state.tables.table("/messages").insert({**body["message"], "status": 1, "send_time": now, "last_change": now})


def _set_partners(call: Call, body: JsonObject) -> None:
    records = call.state.tables.table("/customers/{customer_id}/partner-records", str(body["customer_id"]))
    now = call.state.now()
    records.refill({**record, "last_change": now} for record in body["partner_records"])


def _delete_where(table: Table, field: str, value: object) -> None:
    for record_id in table.find(field, value):
        table.delete(record_id)


EFFECTS: Final[Mapping[str, Effect]] = {
    "postMessageSend": _send_message,
    "postPointReservationCreate": _reserve_points,
    "postPointReservationRelease": _release_points,
    "postProductReservationCancel": _changes_reservation(lambda _record, _body: {"actual_state": _CANCELLED}),
    "postProductReservationChangeState": _changes_reservation(lambda _, body: {"actual_state": body["state"]}),
    "postProductReservationSetExternalReservationCode": _changes_reservation(_external_codes),
    "postSubCustomerSetPartners": _set_partners,
    "postVoucherApply": _apply_voucher,
}
"""By operation id."""
