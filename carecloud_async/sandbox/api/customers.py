"""The operations on customers: list, read, create, replace."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Final

from carecloud_async.sandbox.api.answer import Answer, Page
from carecloud_async.sandbox.api.body_checks import check_body
from carecloud_async.sandbox.api.calls import Call, Handler
from carecloud_async.sandbox.api.customer_filters import CustomerFilters, find_customers
from carecloud_async.sandbox.api.customer_input import check_customer, checked_password, checked_social
from carecloud_async.sandbox.api.listing import places
from carecloud_async.sandbox.api.parameters import Window, window_of
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, forbidden, not_found
from carecloud_async.sandbox.constants import REFERRAL_CODE
from carecloud_async.sandbox.json_text import JsonObject, json_bytes
from carecloud_async.sandbox.state.accounts import Account
from carecloud_async.sandbox.state.customer_store import SORT_FIELDS
from carecloud_async.sandbox.state.facts import read_only_names
from carecloud_async.sandbox.state.sandbox_state import SandboxState


def list_(state: SandboxState, call: Call) -> Page:
    """`GET /customers`: on the customer interface the logged-in customer alone."""
    store, settings = state.customers, state.settings
    window = window_of(call.query, sortable=SORT_FIELDS).as_served(sorts=settings.sorts)
    filters = CustomerFilters.of(call.query) if settings.filters else CustomerFilters()
    short = call.query.boolean("customer_short_salutation")
    slots = _slots(state, call, filters, window)
    last = len(slots) - 1
    found = places(state, window, total=len(slots))
    shown = [slots[last - place] if window.descending else slots[place] for place in found]
    return Page(
        ids=lambda: [store.id_of(slot) for slot in shown],
        texts=lambda: [_text(state, slot, short=short) for slot in shown],
        offset=window.offset,
        total=len(slots),
    )


def _slots(state: SandboxState, call: Call, filters: CustomerFilters, window: Window) -> Sequence[int]:
    field = window.sort_field
    found: Sequence[int] = find_customers(state.customers, filters, sort_field=field)
    if call.customer_id is not None:
        own = state.customers.slot(call.customer_id)
        found = [slot for slot in found if slot == own]
    if state.settings.shuffled:
        return state.random.sample(found, len(found))
    if state.settings.unstable_ties and field is not None:
        return sorted(found, key=lambda slot: (state.customers.sort_value(slot, field), state.random.random()))
    return found


def read(state: SandboxState, call: Call) -> Answer:
    """`GET /customers/{customer_id}`."""
    text = _text(state, _own_slot(state, call), short=call.query.boolean("customer_short_salutation"))
    return Answer(body=b'{"data":' + text + b"}", content_type="application/json")


def _text(state: SandboxState, slot: int, *, short: bool) -> bytes:
    """The JSON of a customer, on request with a short salutation."""
    if short:
        record = state.customers.record(slot)
        person = record.get("personal_information") or {}
        if person.get("first_name"):
            person = {**person, "salutation": f"Dear {person['first_name']}"}
            return json_bytes({**record, "personal_information": person})
    return state.customers.rendered(slot)


def create(state: SandboxState, call: Call) -> JsonObject:
    """`POST /customers`: refuses an e-mail that another customer has; with `autologin` logs the calling device in."""
    body = _checked_body(call)
    customer = body["customer"]
    account = Account(
        password=checked_password(body, required=body["autologin"]),
        social=checked_social(body),
        property_records=tuple(body.get("property_records") or ()),
        customer_source=body["customer_source"],
        referral_code=_checked_referral(body),
    )
    _refuse_taken_email(state, customer, except_slot=None)
    record = {name: value for name, value in customer.items() if name not in read_only_names("Customer")}
    record["personal_information"] = _dated_consents(state, customer["personal_information"], before={})
    customer_id = state.customers.insert(record, account=account)
    _write_properties(state, account.property_records, customer_id=customer_id)
    _record_source(state, account.customer_source, customer_id=customer_id)
    if body["autologin"] and call.device is not None:
        state.device_tokens.bind(call.device.token_id, customer_id=customer_id)
    return {"customer_id": customer_id}


def replace(state: SandboxState, call: Call) -> None:
    """`PUT /customers/{customer_id}`: deletes omitted fields, except read-only ones, password and social network."""
    slot, customer_id = _own_slot(state, call), call.path["customer_id"]
    body = _checked_body(call)
    customer = body["customer"]
    account = {
        "property_records": tuple(body.get("property_records") or ()),
        "password": checked_password(body, required=False),
        "social": checked_social(body),
    }
    _refuse_taken_email(state, customer, except_slot=slot)
    read_only = read_only_names("Customer")
    before = state.customers.record(slot)
    after = {name: before[name] for name in before if name in read_only}
    after |= {name: value for name, value in customer.items() if name not in read_only}
    after["personal_information"] = _dated_consents(
        state, customer["personal_information"], before=before.get("personal_information") or {}
    )
    after["last_change"] = state.now()
    state.customers.replace(customer_id, after)
    state.customers.set_account(customer_id, **{name: value for name, value in account.items() if value is not None})
    if "property_records" in body:
        _write_properties(state, body["property_records"] or (), customer_id=customer_id)


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


def _own_slot(state: SandboxState, call: Call) -> int:
    customer_id = call.path["customer_id"]
    if call.customer_id not in (None, customer_id):
        raise forbidden("The customer does not belong to the logged in customer")
    slot = state.customers.slot(customer_id)
    if slot is None:
        raise not_found(resource="customers", resource_id=customer_id)
    return slot


def _refuse_taken_email(state: SandboxState, customer: JsonObject, *, except_slot: int | None) -> None:
    email = customer["personal_information"].get("email")
    if email and any(slot != except_slot for slot in state.customers.by_email(email)):
        name = "customer.personal_information.email"
        raise bad_request(InvalidParam(name=name, reason="already_exists", value=email))


def _dated_consents(state: SandboxState, person: JsonObject, *, before: JsonObject) -> JsonObject:
    """Personal information with what only the server sets: dates of consents, and the photo."""
    after = copy.deepcopy(person)
    after.pop("photo_url", None)
    if "photo_url" in before:
        after["photo_url"] = before["photo_url"]
    known = {
        (one.get("consent_id"), one.get("consent_value")): one.get("last_change")
        for one in before.get("consents") or ()
    }
    for consent in after.get("consents") or ():
        key = (consent.get("consent_id"), consent.get("consent_value"))
        consent["last_change"] = known.get(key) or state.now()
    return after


def _write_properties(state: SandboxState, records: Sequence[JsonObject], *, customer_id: str) -> None:
    now = state.now()
    table = state.tables.table("/customers/{customer_id}/property-records", customer_id)
    table.refill({**record, "last_change": now} for record in records)


def _record_source(state: SandboxState, source: JsonObject, *, customer_id: str) -> None:
    # Only an external id is looked for afterwards; without one the tables need not be read.
    shown = source.get("external_id") or next(iter(source.get("external_ids") or ()), None)
    if shown:
        now = state.now()
        record = {**source, "external_id": shown, "customer_id": customer_id, "last_change": now}
        state.tables.table("/customer-source-records").insert(record)


def _checked_referral(body: JsonObject) -> str | None:
    code = body.get("referral_code")
    if code is None:
        return None
    if code != REFERRAL_CODE:
        raise bad_request(InvalidParam(name="referral_code", reason="not_found", value=str(code)))
    return str(code)
