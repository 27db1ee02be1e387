"""Validate the bodies of `POST /customers` and `PUT /customers/{customer_id}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from carecloud_async.sandbox.api.problems import InvalidParam, bad_request
from carecloud_async.sandbox.constants import REFERRAL_CODE, SOCIAL_NETWORK_IDS
from carecloud_async.sandbox.json_text import JsonObject

_EMAIL: Final = re.compile(r"^[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+$")
ISO_DATE: Final = re.compile(r"^\d{1,4}-\d{1,2}-\d{1,2}$")
_COMMON_PASSWORDS: Final = frozenset({"password", "passw0rd", "password1", "12345678", "abc12345", "qwerty123"})


def check_customer(customer: Any) -> None:
    """Check the `customer` of a body.

    Raises:
        RefusalError: 400 that names every invalid field.
    """
    invalid = list(_invalid_params(customer))
    if invalid:
        raise bad_request(*invalid)


def _invalid_params(customer: Any) -> Iterator[InvalidParam]:
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
    for name, pattern in (("email", _EMAIL), ("birthdate", ISO_DATE)):
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
    password: str | None = body.get("password")
    if password is None:
        if required:
            raise bad_request(InvalidParam(name="password", reason="required"))
        return None
    if not is_strong(password):
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
        RefusalError: 400 if the network is unknown.
    """
    social = body.get("social_network_credentials")
    if not social:
        return None
    if social["social_network_id"] not in SOCIAL_NETWORK_IDS:
        raise bad_request(InvalidParam(name="social_network_credentials.social_network_id", reason="not_found"))
    return str(social["social_network_id"]), str(social["social_network_token"])


def checked_referral(body: JsonObject) -> str | None:
    """The `referral_code` of a body.

    Raises:
        RefusalError: 400 if it is unknown.
    """
    code: str | None = body.get("referral_code")
    if code not in (None, REFERRAL_CODE):
        raise bad_request(InvalidParam(name="referral_code", reason="not_found", value=str(code)))
    return code
