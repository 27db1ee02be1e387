"""Validate the bodies of `POST /customers` and `PUT /customers/{customer_id}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from carecloud_async.sandbox.api.problems import InvalidParam, bad_request
from carecloud_async.sandbox.constants import SOCIAL_NETWORK_IDS
from carecloud_async.sandbox.json_text import JsonObject

READ_ONLY: Final[tuple[str, ...]] = ("customer_id", "doi_email", "doi_phone", "last_change", "state")
"""Fields of a customer that only the server sets."""

_EMAIL: Final = re.compile(r"^[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+$")
_DATE: Final = re.compile(r"^\d{1,4}-\d{1,2}-\d{1,2}$")
_COMMON_PASSWORDS: Final = frozenset({"password", "passw0rd", "password1", "12345678", "abc12345", "qwerty123"})


def checked_customer(body: JsonObject) -> JsonObject:
    """The `customer` of a body.

    Raises:
        RefusalError: 400 that names every field at fault.
    """
    customer = body.get("customer")
    faults = list(_faults_of_customer(customer))
    if faults:
        raise bad_request(*faults)
    return dict(customer) if isinstance(customer, dict) else {}


def _faults_of_customer(customer: Any) -> Iterator[InvalidParam]:
    if not isinstance(customer, dict):
        yield InvalidParam(name="customer", reason="required" if customer is None else "invalid_value_format")
        return
    person = customer.get("personal_information")
    prefix = "customer.personal_information"
    if not isinstance(person, dict):
        yield InvalidParam(name=prefix, reason="required" if person is None else "invalid_value_format")
        return
    if not person.get("language_id"):
        yield InvalidParam(name=f"{prefix}.language_id", reason="empty" if "language_id" in person else "required")
    for name, pattern in (("email", _EMAIL), ("birthdate", _DATE)):
        value = person.get(name)
        if value not in (None, "") and not (isinstance(value, str) and pattern.match(value)):
            yield InvalidParam(name=f"{prefix}.{name}", reason="invalid_value_format", value=str(value))
    phone = person.get("phone")
    if phone not in (None, "") and not re.match(r"^[1-9][0-9]*$", str(phone)):
        yield InvalidParam(name=f"{prefix}.phone", reason="invalid_value_format", value=str(phone))


def checked_password(body: JsonObject, *, required: bool) -> str | None:
    """The `password` of a body.

    Raises:
        RefusalError: 400 if it is missing and must not be, or too weak: eight characters, a digit, a capital, uncommon.
    """
    password = body.get("password")
    if password is None:
        if required:
            raise bad_request(InvalidParam(name="password", reason="required"))
        return None
    if not isinstance(password, str) or not is_strong(password):
        raise bad_request(InvalidParam(name="password", reason="invalid_value_format"))
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
        RefusalError: 400 if they are incomplete or the network is unknown.
    """
    social = body.get("social_network_credentials")
    if social is None:
        return None
    prefix = "social_network_credentials"
    if not isinstance(social, dict):
        raise bad_request(InvalidParam(name=prefix, reason="invalid_value_format"))
    missing = [name for name in ("social_network_id", "social_network_token") if not social.get(name)]
    if missing:
        raise bad_request(*(InvalidParam(name=f"{prefix}.{name}", reason="required") for name in missing))
    if social["social_network_id"] not in SOCIAL_NETWORK_IDS:
        raise bad_request(InvalidParam(name=f"{prefix}.social_network_id", reason="not_found"))
    return str(social["social_network_id"]), str(social["social_network_token"])


def checked_properties(body: JsonObject) -> tuple[JsonObject, ...]:
    """The `property_records` of a body; absent ones are none.

    Raises:
        RefusalError: 400 if they are not a list of objects with a `property_id`.
    """
    records = body.get("property_records")
    if records is None:
        return ()
    if not isinstance(records, list) or not all(isinstance(one, dict) and one.get("property_id") for one in records):
        raise bad_request(InvalidParam(name="property_records", reason="invalid_value_format"))
    return tuple(records)


def read_only_fields(body: JsonObject) -> list[str]:
    """Return the dotted names of read-only fields that a client sent."""
    customer = body.get("customer")
    if not isinstance(customer, dict):
        return []
    names = [f"customer.{name}" for name in READ_ONLY if name in customer]
    person = customer.get("personal_information")
    if isinstance(person, dict):
        if "photo_url" in person:
            names.append("customer.personal_information.photo_url")
        consents = person.get("consents")
        if isinstance(consents, list) and any(isinstance(one, dict) and "last_change" in one for one in consents):
            names.append("customer.personal_information.consents[].last_change")
    return names
