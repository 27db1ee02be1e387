"""The operations on customers: list, read, create, replace."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from carecloud_async.sandbox.api.answer import Answer, data_answer, no_content
from carecloud_async.sandbox.api.calls import Access, Call, Interface, Operation, required_object
from carecloud_async.sandbox.api.customer_filters import FILTER_NAMES, CustomerFilters, CustomerSearch, filters_of
from carecloud_async.sandbox.api.customer_input import (
    READ_ONLY,
    checked_customer,
    checked_password,
    checked_properties,
    checked_social,
)
from carecloud_async.sandbox.api.listing import PageSource, page_answer, places, tell_hook
from carecloud_async.sandbox.api.parameters import LIST_NAMES, Window, window_of
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, forbidden, not_found
from carecloud_async.sandbox.constants import REFERRAL_CODE
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.accounts import Account
from carecloud_async.sandbox.state.customer_store import SORT_FIELDS
from carecloud_async.sandbox.state.sandbox_state import SandboxState


class CustomerOperations:
    """Handlers of the customer operations.

    Args:
        search: Finds customers.
    """

    def __init__(self, search: CustomerSearch) -> None:
        self._search = search

    def table(self) -> tuple[Operation, ...]:
        """The operations and their handlers."""
        one = "/customers/{customer_id}"
        return (
            Operation(
                method="GET",
                template="/customers",
                handler=self.list,
                access=Access.CUSTOMER,
                query_names=LIST_NAMES + FILTER_NAMES,
            ),
            Operation(method="POST", template="/customers", handler=create, access=Access.DEVICE),
            Operation(
                method="GET",
                template=one,
                handler=read,
                access=Access.CUSTOMER,
                query_names=("customer_short_salutation",),
            ),
            Operation(method="PUT", template=one, handler=replace, access=Access.CUSTOMER),
        )

    async def list(self, state: SandboxState, call: Call) -> Answer:
        """`GET /customers`: on the customer interface the logged-in customer alone."""
        window = window_of(call.query, sortable=SORT_FIELDS).as_served(sorts=state.settings.sorts)
        filters = filters_of(call.query) if state.settings.filters else CustomerFilters()
        short = call.query.boolean("customer_short_salutation")
        with state.customers.lock:
            slots = self._slots(state, call, filters, window)
            shown = [_at(slots, place, window) for place in places(state, window, total=len(slots))]
            page = _page(state, shown, short=short, offset=window.offset, total=len(slots))
            answer = page_answer(state, page)
        await tell_hook(state, page)
        return answer

    def _slots(self, state: SandboxState, call: Call, filters: CustomerFilters, window: Window) -> Sequence[int]:
        found: Sequence[int] = self._search.find(filters, sort_field=window.sort_field)
        if call.interface is Interface.CUSTOMER:
            own = state.customers.slot(call.own_device().customer_id or "")
            found = [slot for slot in found if slot == own]
        field = window.sort_field
        if state.settings.shuffled:
            return state.random.sample(found, len(found))
        if state.settings.unstable_ties and field is not None:
            found = sorted(found, key=lambda slot: (state.customers.sort_value(slot, field), state.random.random()))
        return found


def _at(slots: Sequence[int], place: int, window: Window) -> int:
    return slots[len(slots) - 1 - place] if window.descending else slots[place]


def _page(state: SandboxState, shown: list[int], *, short: bool, offset: int, total: int) -> PageSource:
    store = state.customers
    return PageSource(
        template="/customers",
        key="customers",
        ids=lambda: [store.id_of(slot) for slot in shown],
        records=lambda: [_greeted(store.record(slot), short=short) for slot in shown],
        rendered=None if short else lambda: [store.rendered(slot) for slot in shown],
        offset=offset,
        total=total,
    )


async def read(state: SandboxState, call: Call) -> Answer:
    """`GET /customers/{customer_id}`."""
    short = call.query.boolean("customer_short_salutation")
    slot = _own_slot(state, call)
    if short or state.settings.pretty:
        record = _greeted(state.customers.record(slot), short=short)
        return data_answer(record, pretty=state.settings.pretty)
    return Answer(body=b'{"data":' + state.customers.rendered(slot) + b"}", content_type="application/json")


async def create(state: SandboxState, call: Call) -> Answer:
    """`POST /customers`: refuses an e-mail that another customer has; with `autologin` logs the calling device in."""
    body = call.json()
    autologin = body.get("autologin")
    if not isinstance(autologin, bool):
        raise bad_request(
            InvalidParam(name="autologin", reason="required" if autologin is None else "invalid_value_format")
        )
    customer = checked_customer(body)
    account = Account(
        password=checked_password(body, required=autologin),
        social=checked_social(body),
        property_records=checked_properties(body),
        customer_source=_checked_source(body),
        referral_code=_checked_referral(body),
    )
    with state.customers.lock:
        _refuse_taken_email(state, customer, except_slot=None)
        record = {name: value for name, value in customer.items() if name not in READ_ONLY}
        record["personal_information"] = _dated_consents(state, customer["personal_information"], before=None)
        customer_id = state.customers.insert(record, account=account)
        _write_properties(state, account.property_records, customer_id=customer_id)
        _record_source(state, account.customer_source, customer_id=customer_id)
    if autologin and call.device is not None:
        state.device_tokens.bind(call.device.token_id, customer_id=customer_id)
    return data_answer({"customer_id": customer_id}, status=201, pretty=state.settings.pretty)


async def replace(state: SandboxState, call: Call) -> Answer:
    """`PUT /customers/{customer_id}`: deletes omitted fields, except read-only ones, password and social network."""
    body = call.json()
    slot = _own_slot(state, call)
    customer = checked_customer(body)
    password = checked_password(body, required=False)
    social = checked_social(body)
    changes: dict[str, Any] = {"property_records": checked_properties(body)}
    changes |= {} if password is None else {"password": password}
    changes |= {} if social is None else {"social": social}
    with state.customers.lock:
        _refuse_taken_email(state, customer, except_slot=slot)
        before = state.customers.record(slot)
        after = {name: before[name] for name in READ_ONLY if name in before}
        after |= {name: value for name, value in customer.items() if name not in READ_ONLY}
        after["personal_information"] = _dated_consents(
            state, customer["personal_information"], before=before.get("personal_information") or {}
        )
        after["last_change"] = state.local(state.clock.now())
        state.customers.replace(call.path["customer_id"], after)
        state.customers.set_account(call.path["customer_id"], **changes)
        if "property_records" in body:
            _write_properties(state, changes["property_records"], customer_id=call.path["customer_id"])
    return no_content()


def _own_slot(state: SandboxState, call: Call) -> int:
    customer_id = call.path["customer_id"]
    if call.interface is Interface.CUSTOMER and customer_id != call.own_device().customer_id:
        raise forbidden("The customer does not belong to the logged in customer")
    slot = state.customers.slot(customer_id)
    if slot is None:
        raise not_found(resource="customers", resource_id=customer_id)
    return slot


def _greeted(record: JsonObject, *, short: bool) -> JsonObject:
    person = record.get("personal_information") or {}
    if not short or not person.get("first_name"):
        return record
    return {**record, "personal_information": {**person, "salutation": f"Dear {person['first_name']}"}}


def _refuse_taken_email(state: SandboxState, customer: JsonObject, *, except_slot: int | None) -> None:
    email = customer["personal_information"].get("email")
    if not email:
        return
    wanted = CustomerFilters(email=str(email).casefold())
    taken = [slot for slot in wanted.candidates(state.customers) or () if wanted.matches(state.customers, slot)]
    if any(slot != except_slot for slot in taken):
        name = "customer.personal_information.email"
        raise bad_request(InvalidParam(name=name, reason="already_exists", value=str(email)))


def _dated_consents(state: SandboxState, person: JsonObject, *, before: JsonObject | None) -> JsonObject:
    """Personal information with what only the server sets: dates of consents, and the photo."""
    after = copy.deepcopy(person)
    after.pop("photo_url", None)
    if before and "photo_url" in before:
        after["photo_url"] = before["photo_url"]
    known = {
        (one.get("consent_id"), one.get("consent_value")): one.get("last_change")
        for one in (before or {}).get("consents") or ()
    }
    for consent in after.get("consents") or ():
        key = (consent.get("consent_id"), consent.get("consent_value"))
        consent["last_change"] = known.get(key) or state.local(state.clock.now())
    return after


def _write_properties(state: SandboxState, records: Sequence[JsonObject], *, customer_id: str) -> None:
    now = state.local(state.clock.now())
    table = state.tables.table("/customers/{customer_id}/property-records", customer_id)
    table.refill({**record, "last_change": now} for record in records)


def _record_source(state: SandboxState, source: JsonObject, *, customer_id: str) -> None:
    # Only an external id is looked for afterwards; without one the tables need not be read.
    shown = source.get("external_id") or next(iter(source.get("external_ids") or ()), None)
    if shown:
        now = state.local(state.clock.now())
        record = {**source, "external_id": shown, "customer_id": customer_id, "last_change": now}
        state.tables.table("/customer-source-records").insert(record)


def _checked_source(body: JsonObject) -> JsonObject:
    source = required_object(body, "customer_source")
    source_id = source.get("customer_source_id")
    if not source_id:
        raise bad_request(InvalidParam(name="customer_source.customer_source_id", reason="required"))
    return source


def _checked_referral(body: JsonObject) -> str | None:
    code = body.get("referral_code")
    if code is None:
        return None
    if code != REFERRAL_CODE:
        raise bad_request(InvalidParam(name="referral_code", reason="not_found", value=str(code)))
    return str(code)
