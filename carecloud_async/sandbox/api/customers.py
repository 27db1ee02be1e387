"""The operations on customers: list, read, create, replace."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Final

from carecloud_async.sandbox.api.answers import Answer, Page, page_range, window_of
from carecloud_async.sandbox.api.arguments import check_body
from carecloud_async.sandbox.api.calls import Call, Handler
from carecloud_async.sandbox.api.customer_filters import CustomerFilters, find_customers
from carecloud_async.sandbox.api.customer_input import (
    check_customer,
    checked_password,
    checked_referral,
    checked_social,
)
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, forbidden, not_found
from carecloud_async.sandbox.json_text import JsonObject, json_bytes
from carecloud_async.sandbox.state.accounts import Account
from carecloud_async.sandbox.state.customer_store import SORT_FIELDS, CustomerStore
from carecloud_async.sandbox.state.facts import read_only_names


def list_(call: Call) -> Page:
    """`GET /customers`: on the customer interface the logged-in customer alone."""
    store, settings = call.state.customers, call.state.settings
    window = window_of(call.query, sortable=SORT_FIELDS, sorts=settings.sorts)
    filters = CustomerFilters.of(call.query) if settings.filters else CustomerFilters()
    short = call.query.boolean("customer_short_salutation")
    slots = _slots(call, filters, window.sort_field)
    last = len(slots) - 1
    indexes = page_range(call.state, window, total=len(slots))
    shown = [slots[last - index] if window.descending else slots[index] for index in indexes]
    return Page(
        ids=lambda: [store.id_of(slot) for slot in shown],
        texts=[_text(store, slot, short=short) for slot in shown],
        offset=window.offset,
        total=len(slots),
    )


def _slots(call: Call, filters: CustomerFilters, sort_field: str | None) -> Sequence[int]:
    store, settings, random = call.state.customers, call.state.settings, call.state.random
    found: Sequence[int] = find_customers(store, filters, sort_field=sort_field)
    if call.customer_id is not None:
        own = store.slot(call.customer_id)
        found = [slot for slot in found if slot == own]
    if settings.shuffled:
        return random.sample(found, len(found))
    if settings.unstable_ties and sort_field is not None:
        return sorted(found, key=lambda slot: (store.sort_value(slot, sort_field), random.random()))
    return found


def read(call: Call) -> Answer:
    """`GET /customers/{customer_id}`."""
    slot, short = _own_slot(call), call.query.boolean("customer_short_salutation")
    text = _text(call.state.customers, slot, short=short)
    return Answer(body=b'{"data":' + text + b"}", content_type="application/json")


def _text(store: CustomerStore, slot: int, *, short: bool) -> bytes:
    """The JSON of a customer, on request with a short salutation."""
    if short:
        record = store.record(slot)
        person = record.get("personal_information") or {}
        if person.get("first_name"):
            person = {**person, "salutation": f"Dear {person['first_name']}"}
            return json_bytes({**record, "personal_information": person})
    return store.json(slot)


def create(call: Call) -> JsonObject:
    """`POST /customers`: refuses an e-mail that another customer has; with `autologin` logs the calling device in."""
    body = _checked_body(call)
    customer = body["customer"]
    account = Account(
        password=checked_password(body, required=body["autologin"]),
        social=checked_social(body),
        property_records=tuple(body.get("property_records") or ()),
        customer_source=body["customer_source"],
        referral_code=checked_referral(body),
    )
    _refuse_taken_email(call, customer, except_slot=None)
    record = {name: value for name, value in customer.items() if name not in read_only_names("Customer")}
    record["personal_information"] = _personal_information(call, customer, before={})
    customer_id = call.state.customers.insert(record, account=account)
    _write_properties(call, account.property_records, customer_id=customer_id)
    _record_source(call, account.customer_source, customer_id=customer_id)
    if body["autologin"] and call.device is not None:
        call.state.device_tokens.bind(call.device.token_id, customer_id=customer_id)
    return {"customer_id": customer_id}


def replace(call: Call) -> None:
    """`PUT /customers/{customer_id}`: deletes omitted fields, except read-only ones, password and social network."""
    slot, customer_id = _own_slot(call), call.path["customer_id"]
    body = _checked_body(call)
    customer, store = body["customer"], call.state.customers
    account = {
        "property_records": tuple(body.get("property_records") or ()),
        "password": checked_password(body, required=False),
        "social": checked_social(body),
    }
    _refuse_taken_email(call, customer, except_slot=slot)
    read_only = read_only_names("Customer")
    before = store.record(slot)
    after = {name: before[name] for name in before if name in read_only}
    after |= {name: value for name, value in customer.items() if name not in read_only}
    after["personal_information"] = _personal_information(call, customer, before=before)
    after["last_change"] = call.state.now()
    store.replace(customer_id, after)
    store.set_account(customer_id, **{name: value for name, value in account.items() if value is not None})
    if "property_records" in body:
        _write_properties(call, body["property_records"] or (), customer_id=customer_id)


HANDLERS: Final[dict[str, Handler]] = {
    "getCustomer": read,
    "getCustomers": list_,
    "postCustomer": create,
    "putCustomer": replace,
}


def _checked_body(call: Call) -> JsonObject:
    """The body; of the customer itself only what servers check, since the records that they send are untidy."""
    body = call.json()
    check_customer(body.get("customer"))
    check_body(tuple(field for field in call.api.body if field.name != "customer"), body)
    return body


def _own_slot(call: Call) -> int:
    customer_id = call.path["customer_id"]
    if call.customer_id not in (None, customer_id):
        raise forbidden("The customer does not belong to the logged in customer")
    slot = call.state.customers.slot(customer_id)
    if slot is None:
        raise not_found(resource="customers", resource_id=customer_id)
    return slot


def _refuse_taken_email(call: Call, customer: JsonObject, *, except_slot: int | None) -> None:
    email = customer["personal_information"].get("email")
    if email and any(slot != except_slot for slot in call.state.customers.by_email(email)):
        name = "customer.personal_information.email"
        raise bad_request(InvalidParam(name=name, reason="already_exists", value=email))


def _personal_information(call: Call, customer: JsonObject, *, before: JsonObject) -> JsonObject:
    """What was sent, with what only the server sets: dates of consents, and the photo."""
    known = before.get("personal_information") or {}
    after: JsonObject = copy.deepcopy(customer["personal_information"])
    after.pop("photo_url", None)
    if "photo_url" in known:
        after["photo_url"] = known["photo_url"]
    dates = {
        (one.get("consent_id"), one.get("consent_value")): one.get("last_change") for one in known.get("consents") or ()
    }
    for consent in after.get("consents") or ():
        key = (consent.get("consent_id"), consent.get("consent_value"))
        consent["last_change"] = dates.get(key) or call.state.now()
    return after


def _write_properties(call: Call, records: Sequence[JsonObject], *, customer_id: str) -> None:
    now = call.state.now()
    table = call.state.tables.table("/customers/{customer_id}/property-records", customer_id)
    table.refill({**record, "last_change": now} for record in records)


def _record_source(call: Call, source: JsonObject, *, customer_id: str) -> None:
    # Only an external id is looked for afterwards; without one the tables need not be read.
    shown = source.get("external_id") or next(iter(source.get("external_ids") or ()), None)
    if shown:
        record = {**source, "external_id": shown, "customer_id": customer_id, "last_change": call.state.now()}
        call.state.tables.table("/customer-source-records").insert(record)
