"""Actions on customers: checks of new data, tokens for other applications, the search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.cards import holders_of_card
from carecloud_async.sandbox.api.customers import is_strong
from carecloud_async.sandbox.api.lists import birthdate
from carecloud_async.sandbox.api.logins import LOOK_UPS, new_authentication_token
from carecloud_async.sandbox.constants import REFERRAL_CODE
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.table import comparable

_SEARCHED: Final = ("first_name", "last_name", "birthdate", "card_number")


def check_registration_ability(call: Call) -> JsonObject:
    """`POST …/check-registration-ability`: whether this e-mail or phone is still free."""
    body = arguments(call)
    return {"registration_ability": not LOOK_UPS[body["type"]](call.state.customers, body["value"])}


def validate_customer_data(call: Call) -> JsonObject:
    """`POST …/validate-customer-data`: whether a password is strong enough, or a referral code known."""
    body = arguments(call)
    checks = {"password": is_strong(body["value"]), "referral_code": body["value"] == REFERRAL_CODE}
    return {"is_valid": checks[body["type"]]}


def issue_auth_token(call: Call) -> JsonObject:
    """`POST …/auth-token`: a token that takes a customer to another application."""
    body = arguments(call)
    kind, application = str(body["token_type"]), body["external_application_id"]
    return new_authentication_token(call, kind=kind, application_id=application, customer_id=body["customer_id"])


def search_customers(call: Call) -> JsonObject:
    """`GET …/search-customers`: the customers that match all of name, date of birth and card number that are given."""
    customers = call.state.customers
    given = {name: value for name in _SEARCHED if (value := call.query.one(name)) is not None}
    if not given:
        return {"strict": []}
    wanted = {name: birthdate(value) if name == "birthdate" else value for name, value in given.items()}
    wanted.pop("card_number", None)
    found = [one for one, record in customers.items() if _has(record, wanted)] if wanted else customers.ids()
    number = call.query.one("card_number")
    if number is not None:
        holders = holders_of_card(call.state, number)
        found = [one for one in found if one in holders]
    return {"strict": [{"customer_id": one, "match": len(given)} for one in found]}


def _has(record: JsonObject, wanted: Mapping[str, str]) -> bool:
    person = record.get("personal_information") or {}
    return all(comparable(person.get(name)) == comparable(value) for name, value in wanted.items())
