"""Untidy records, as real back ends have them: zero dates, numbers for strings, nulls, unknown fields and values.

Each rule applies to one record in a fixed number, so that a few dozen already show nearly all of them; the first
record stays tidy. Customers have rules of their own; the records of all other tables share some that need only the
fields of a schema.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Final

from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import Field
from carecloud_async.sandbox.state.texts import is_timestamp

ZERO_DATE: Final = "0000-00-00"
ZERO_TIMESTAMP: Final = "0000-00-00 00:00:00"
AWKWARD: Final = 'He said "a, b": \\ then\n{"x": [1, 2]}], "total_items": 3} \t\u2028 \U0001f600 </script>'

_UNKNOWN: Final = {"code": "GOLD", "since": None, "levels": [1, 2.5, "three", {"deep": [[]]}]}
"""The value of a field that the API does not declare."""

_Change = Callable[[JsonObject, JsonObject], None]
"""Changes a record (first) or its personal information (second) in place."""


def _person(name: str, value: Any) -> _Change:
    return lambda _record, person: person.update({name: value})


def _record(name: str, value: Any) -> _Change:
    return lambda record, _person: record.update({name: value})


def _without(*names: str) -> _Change:
    def change(record: JsonObject, person: JsonObject) -> None:
        for name in names:
            record.pop(name, None)
            person.pop(name, None)

    return change


def _numeric_phone(_record: JsonObject, person: JsonObject) -> None:
    if person["phone"]:
        person["phone"] = int(person["phone"])


def _numeric_address(_record: JsonObject, person: JsonObject) -> None:
    if isinstance(person.get("address"), dict):
        person["address"]["zip"] = int(person["address"]["zip"])
        person["address"]["address2"] = None


def _unknown_fields(record: JsonObject, person: JsonObject) -> None:
    record["loyalty_tier"] = copy.deepcopy(_UNKNOWN)
    person["nickname"] = "Éa"
    for name in ("address", "agreement"):
        if isinstance(person.get(name), dict):
            person[name]["verified_by"] = {"system": "registry", "score": 0.1}
    for consent in person.get("consents") or ():
        consent["channel"] = "sms"


def _big_numbers(record: JsonObject, _person: JsonObject) -> None:
    record["lifetime_value"] = 123456789012345678901234567890
    record["risk"] = -1.5e-300


def _unknown_consents(_record: JsonObject, person: JsonObject) -> None:
    person["consents"] = [
        {"consent_id": "8fd73167342d06899c4c015320", "consent_value": 8, "last_change": ZERO_TIMESTAMP}
    ]


def _null_custom_agreements(_record: JsonObject, person: JsonObject) -> None:
    person["agreement"] = {"agreement_gtc": 1, "custom_agreements": None}


def _only_language(record: JsonObject, person: JsonObject) -> None:
    record["personal_information"] = {"language_id": person["language_id"]}
    record["state"] = 2


RULES: Final[tuple[tuple[int, int, _Change], ...]] = (
    (7, 2, _unknown_fields),
    (10, 1, _numeric_phone),
    (11, 3, _person("salutation", AWKWARD)),
    (13, 5, _person("birthdate", ZERO_DATE)),
    (13, 8, _person("birthdate", "")),
    (13, 9, _person("birthdate", None)),
    (17, 4, _person("gender", None)),
    (19, 3, _record("last_change", ZERO_TIMESTAMP)),
    (19, 6, _record("doi_email", ZERO_TIMESTAMP)),
    (19, 7, _record("doi_phone", None)),
    (23, 7, _person("gender", 9)),
    (29, 11, _record("state", 7)),
    (29, 12, _record("last_change", None)),
    (31, 15, _person("address", None)),
    (31, 16, _without("address", "photo_url", "pre_nominals", "post_nominals")),
    (31, 17, _numeric_address),
    (37, 6, _without("agreement", "doi_email", "doi_phone")),
    (37, 9, _null_custom_agreements),
    (41, 12, _person("consents", None)),
    (41, 13, _without("consents")),
    (41, 14, _unknown_consents),
    (43, 20, _person("email", "")),
    (43, 21, _person("phone", "")),
    (43, 22, _person("store_id", None)),
    (47, 2, _big_numbers),
    # PHP servers write an empty object and a number from a form like this.
    (53, 30, _person("address", [])),
    (53, 31, _person("gender", "2")),
    (97, 60, _only_language),
)


def untidied(record: JsonObject, *, number: int) -> JsonObject:
    """Apply the rules for this number to a tidy customer, in place."""
    for every, at, change in RULES:
        if number % every == at:
            change(record, record["personal_information"])
    return record


def untidied_record(record: JsonObject, fields: Sequence[Field], *, number: int) -> JsonObject:
    """Make a record of a table untidy, in place; ids and required fields stay as they are.

    Args:
        record: A tidy record.
        fields: The fields of its schema that hold no reference.
        number: Its number in the table; number 0 stays tidy.
    """
    optional = [field for field in fields if not field.required and not field.name.endswith(("_id", "_ids"))]
    texts = [field.name for field in optional if field.type == "string" and not field.format and not field.enum]
    texts = [name for name in texts if not is_timestamp(Field(name=name, type="string"))]
    if number % 7 == 2:
        record["sandbox_extra"] = copy.deepcopy(_UNKNOWN)
    if number % 10 == 1:
        record |= {name: int(record[name]) for name in texts if str(record[name]).isascii() and record[name].isdigit()}
    if number % 11 == 3:
        record |= {field.name: ZERO_TIMESTAMP for field in optional[-1:] if is_timestamp(field)}
        record |= {field.name: ZERO_TIMESTAMP for field in optional if field.name == "last_change"}
        record |= {field.name: ZERO_DATE for field in optional if field.format == "date"}
    if number % 13 == 5:
        record |= dict.fromkeys(texts[-1:])
    if number % 17 == 4:
        for name in texts[:1]:
            record.pop(name, None)
    if number % 19 == 6:
        record |= dict.fromkeys(texts[-1:], AWKWARD)
    if number % 23 == 7:
        record |= {field.name: 97 for field in optional if field.type == "integer" and field.name == "state"}
    return record
