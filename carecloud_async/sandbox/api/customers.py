"""Customers: what their create and replace check and set, and the actions on them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from carecloud_async.sandbox.api.actions import holders_of_card
from carecloud_async.sandbox.api.arguments import check_body
from carecloud_async.sandbox.api.calls import Call, InvalidParam, invalid, refuse
from carecloud_async.sandbox.api.records import record_in_path
from carecloud_async.sandbox.constants import REFERRAL_CODE, SOCIAL_NETWORK_IDS
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.customers import Account
from carecloud_async.sandbox.state.facts import Field, fields_of, read_only_names
from carecloud_async.sandbox.state.table import comparable

_EMAIL: Final = re.compile(r"^[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+$")
_DATE: Final = re.compile(r"^\d{1,4}-\d{1,2}-\d{1,2}$")
_PHONE: Final = re.compile(r"^[1-9][0-9]*$")
_NUMBER: Final = re.compile(r"\s*[-+]?\d+(\.\d+)?\s*", re.ASCII)
_COMMON_PASSWORDS: Final = frozenset({"password", "passw0rd", "password1", "12345678", "abc12345", "qwerty123"})


def create(call: Call) -> JsonObject:
    """`POST /customers`: refuses an e-mail that another customer has; with `autologin` logs the calling device in."""
    body, state = _checked_body(call), call.state
    customer, code = body["customer"], body.get("referral_code")
    account = Account(
        password=checked_password(body, required=body["autologin"]),
        social=checked_social(body),
        customer_source=body["customer_source"],
    )
    if code not in (None, REFERRAL_CODE):
        raise invalid("referral_code", "not_found", value=str(code))
    _refuse_taken_email(call, customer, other_than=None)
    record = {name: value for name, value in customer.items() if name not in read_only_names("Customer")}
    record["personal_information"] = _personal_information(call, customer, before={})
    customer_id = state.customers.insert(record, account=account)
    _write_properties(call, body.get("property_records") or (), customer_id=customer_id)
    source = account.customer_source
    # Only an external id is looked for afterwards; without one the tables need not be read.
    shown = source.get("external_id") or next(iter(source.get("external_ids") or ()), None)
    if shown:
        more = {"external_id": shown, "customer_id": customer_id, "last_change": state.clock.local_now()}
        call.table("/customer-source-records").insert({**source, **more})
    if body["autologin"] and call.device is not None:
        state.device_tokens.bind(call.device.value, customer_id=customer_id)
    return {"customer_id": customer_id}


def replace(call: Call) -> None:
    """`PUT /customers/{customer_id}`: deletes omitted fields, except read-only ones, password and social network."""
    _, customer_id = record_in_path(call)
    body = _checked_body(call)
    customer, store = body["customer"], call.state.customers
    account = {"password": checked_password(body, required=False), "social": checked_social(body)}
    _refuse_taken_email(call, customer, other_than=customer_id)
    read_only = read_only_names("Customer")
    before = store.record(customer_id)
    after = {name: before[name] for name in before if name in read_only}
    after |= {name: value for name, value in customer.items() if name not in read_only}
    after["personal_information"] = _personal_information(call, customer, before=before)
    after["last_change"] = call.state.clock.local_now()
    store.replace(customer_id, after)
    store.set_account(customer_id, **{name: value for name, value in account.items() if value is not None})
    if "property_records" in body:
        _write_properties(call, body["property_records"] or (), customer_id=customer_id)


def _checked_body(call: Call) -> JsonObject:
    """The body; few fields of the customer are checked, because servers accept the untidy records that they send."""
    body = call.json()
    customer = body.get("customer")
    refuse((*_invalid_params(customer), *_words_for_numbers(fields_of("Customer"), customer, "customer")))
    check_body(tuple(field for field in call.api.body if field.name != "customer"), body)
    return body


def _refuse_taken_email(call: Call, customer: JsonObject, *, other_than: str | None) -> None:
    email = customer["personal_information"].get("email")
    if email and any(customer_id != other_than for customer_id in call.state.customers.by_email(email)):
        name = "customer.personal_information.email"
        raise invalid(name, "already_exists", value=email)


def _personal_information(call: Call, customer: JsonObject, *, before: JsonObject) -> JsonObject:
    """What was sent, with the fields that only the server sets: dates of consents, and the photo."""
    known = before.get("personal_information") or {}
    after: JsonObject = copy.deepcopy(customer["personal_information"])
    after.pop("photo_url", None)
    if "photo_url" in known:
        after["photo_url"] = known["photo_url"]
    dates = {
        (consent.get("consent_id"), consent.get("consent_value")): consent.get("last_change")
        for consent in known.get("consents") or ()
    }
    for consent in after.get("consents") or ():
        key = (consent.get("consent_id"), consent.get("consent_value"))
        consent["last_change"] = dates.get(key) or call.state.clock.local_now()
    return after


def _write_properties(call: Call, records: Sequence[JsonObject], *, customer_id: str) -> None:
    now = call.state.clock.local_now()
    table = call.table("/customers/{customer_id}/property-records", customer_id)
    table.refill({**record, "last_change": now} for record in records)


def _invalid_params(customer: Any) -> Iterator[InvalidParam]:
    name, person = "customer", customer
    if isinstance(customer, dict):
        name, person = "customer.personal_information", customer.get("personal_information")
    if not isinstance(person, dict) or not isinstance(customer, dict):
        yield InvalidParam(name=name, reason="required" if person is None else "invalid_value_format")
        return
    if not person.get("language_id"):
        yield InvalidParam(name=f"{name}.language_id", reason="empty" if "language_id" in person else "required")
    for field, pattern in (("email", _EMAIL), ("birthdate", _DATE), ("phone", _PHONE)):
        value = person.get(field)
        if value not in (None, "") and not (isinstance(value, str | int) and pattern.match(str(value))):
            yield InvalidParam(name=f"{name}.{field}", reason="invalid_value_format", value=str(value))


def _words_for_numbers(fields: tuple[Field, ...], record: Any, name: str) -> Iterator[InvalidParam]:
    """Yield the fields of a record that must be numbers and are words, which PHP cannot read as numbers.

    Args:
        fields: the fields of the record.
        record: the record; it may be untidy.
        name: its name.
    """
    if isinstance(record, list):
        for number, item in enumerate(record):
            yield from _words_for_numbers(fields, item, f"{name}.{number}")
        return
    for field in fields if isinstance(record, dict) else ():
        value = record.get(field.name)
        yield from _words_for_numbers(fields_of(field.item), value, f"{name}.{field.name}")
        if field.item in {"integer", "number"} and isinstance(value, str) and value and not _NUMBER.fullmatch(value):
            yield InvalidParam(name=f"{name}.{field.name}", reason="invalid_value_format", value=value)


def checked_password(body: JsonObject, *, required: bool) -> str | None:
    """The `password` of a body.

    Raises:
        RefusalError: 400 if it is missing and must not be, or too weak: eight characters, a digit, a capital, uncommon.
    """
    password: str | None = body.get("password")
    if password is None and required:
        raise invalid("password", "required")
    if password is not None and not is_strong(password):
        raise invalid("password", "invalid_value_format")
    return password


def is_strong(password: str) -> bool:
    """Whether a password is strong enough."""
    return (
        len(password) >= 8
        and any(letter.isdigit() for letter in password)
        and any(letter.isupper() for letter in password)
        and password.lower() not in _COMMON_PASSWORDS
    )


def checked_social(body: JsonObject) -> tuple[str, str] | None:
    """The `social_network_credentials` of a body as network and token.

    Raises:
        RefusalError: 400 if the network is unknown.
    """
    social = body.get("social_network_credentials")
    if not social:
        return None
    if social["social_network_id"] not in SOCIAL_NETWORK_IDS:
        raise invalid("social_network_credentials.social_network_id", "not_found")
    return str(social["social_network_id"]), str(social["social_network_token"])


_SEARCHED: Final = ("first_name", "last_name", "birthdate", "card_number")


def check_registration_ability(call: Call, body: JsonObject) -> JsonObject:
    """Whether this e-mail or phone is still free."""
    return {"registration_ability": not call.state.customers.by_login(body["type"], body["value"])}


def validate_customer_data(_call: Call, body: JsonObject) -> JsonObject:
    """Whether a password is strong enough, or a referral code known."""
    checks = {"password": is_strong(body["value"]), "referral_code": body["value"] == REFERRAL_CODE}
    return {"is_valid": checks[body["type"]]}


def search_customers(call: Call, body: JsonObject) -> JsonObject:
    """The customers that match all of name, date of birth and card number that are given."""
    wanted: JsonObject = {name: body[name] for name in _SEARCHED if name in body}
    number, given, customers = wanted.pop("card_number", None), len(wanted), call.state.customers
    candidates = customers.ids() if wanted else []
    if number is not None:
        holders = dict.fromkeys(holders_of_card(call.state, number))
        given, candidates = given + 1, [customer_id for customer_id in holders if customer_id in customers]
    matching = [customer_id for customer_id in candidates if not wanted or _has(customers.record(customer_id), wanted)]
    return {"strict": [{"customer_id": customer_id, "match": given} for customer_id in matching]}


def _has(record: JsonObject, wanted: Mapping[str, str]) -> bool:
    person = record.get("personal_information") or {}
    return all(comparable(person.get(name)) == comparable(value) for name, value in wanted.items())
