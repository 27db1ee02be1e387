"""Effects of actions on the tables; actions that are not named here only answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import attrs

from carecloud_async.sandbox.api.accepted_payment import accepted_payment
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.tables import Tables

_CANCELLED: Final = 0


@attrs.frozen(kw_only=True)
class Action:
    """An action that was asked for and may be done.

    Attributes:
        tables: The tables.
        path: Values of the path template.
        body: The body.
        now: The time, as the API writes it.
    """

    tables: Tables
    path: Mapping[str, str] = attrs.field(repr=False)
    body: JsonObject = attrs.field(repr=False)
    now: str


def _apply_voucher(action: Action) -> None:
    changes = {"applied_date": action.body["date_applied"]}
    if action.body.get("store_id"):
        changes["store_id"] = action.body["store_id"]
    action.tables.table("/vouchers").update(action.path["voucher_id"], changes)


def _change_reservation(action: Action, changes: JsonObject) -> None:
    reservations = action.tables.table("/product-reservations")
    reservation_id = action.body.get("product_reservation_id")
    if reservation_id in reservations:
        reservations.update(str(reservation_id), changes)


def _reserve_points(action: Action) -> None:
    body = action.body
    reservation = {
        "customer_id": body["customer_id"],
        "external_id": body["external_id"],
        "quantity": body["amount"],
        "state": 1,
        "expiration": body.get("expiration_time") or "",
    }
    action.tables.table("/point-reservations").insert(reservation)


def _free_points(action: Action) -> None:
    reservations = action.tables.table("/point-reservations")
    for record_id in reservations.ids():
        if reservations.record(record_id).get("external_id") == action.body["external_id"]:
            reservations.delete(record_id)


def _send_message(action: Action) -> None:
    message = {**action.body["message"], "status": 1, "send_time": action.now, "last_change": action.now}
    action.tables.table("/messages").insert(message)


def _add_to_segment(action: Action) -> None:
    _remove_from_segment(action)
    record = {"segment_id": action.path["segment_id"], "customer_id": action.body["customer_id"]}
    records = action.tables.table("/segments/{segment_id}/segment-records", action.path["segment_id"])
    records.insert({**record, "created_at": action.now, "last_change": action.now})


def _remove_from_segment(action: Action) -> None:
    records = action.tables.table("/segments/{segment_id}/segment-records", action.path["segment_id"])
    for record_id in records.ids():
        if records.record(record_id).get("customer_id") == action.body["customer_id"]:
            records.delete(record_id)


def _set_partners(action: Action) -> None:
    records = action.tables.table("/customers/{customer_id}/partner-records", str(action.body["customer_id"]))
    for record_id in records.ids():
        records.delete(record_id)
    for record in action.body["partner_records"]:
        records.insert({**record, "last_change": action.now})


EFFECTS: Final[Mapping[str, Callable[[Action], JsonObject | None]]] = {
    "postMessageSend": _send_message,
    "postPointReservationCreate": _reserve_points,
    "postPointReservationRelease": _free_points,
    "postProductReservationCancel": lambda action: _change_reservation(action, {"actual_state": _CANCELLED}),
    "postProductReservationChangeState": lambda action: _change_reservation(
        action, {"actual_state": action.body["state"]}
    ),
    "postProductReservationSetExternalReservationCode": lambda action: _change_reservation(
        action, {"external_reservation_codes": action.body["external_reservation_codes"]}
    ),
    "postPurchaseAcceptPayment": lambda action: accepted_payment(action.tables, action.body),
    "postSegmentAddCustomer": _add_to_segment,
    "postSegmentRemoveCustomer": _remove_from_segment,
    "postSubCustomerSetPartners": _set_partners,
    "postVoucherApply": _apply_voucher,
}
"""By operation id; what an effect returns takes the place of made-up fields of the answer."""
