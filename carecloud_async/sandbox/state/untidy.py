"""Untidy records, as real back ends have them: zero dates, numbers for strings, nulls, unknown fields and values.

Each rule applies to one record in a fixed number, so that a few dozen already show nearly all of them; the first
record stays tidy. Customers have rules of their own; the records of all other tables share some that need only the
fields of a schema.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, TypeAlias

from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import Field
from carecloud_async.sandbox.state.texts import is_timestamp

ZERO_DATE: Final = "0000-00-00"
ZERO_TIMESTAMP: Final = "0000-00-00 00:00:00"
AWKWARD: Final = 'He said "a, b": \\ then\n{"x": [1, 2]}], "total_items": 3} \t\u2028 \U0001f600 </script>'
#: In place of a value: the field is left out.
MISSING: Final = object()

_UNKNOWN: Final = {"code": "GOLD", "since": None, "levels": [1, 2.5, "three", {"deep": [[]]}]}
"""The value of a field that the API does not declare."""
_VERIFIED: Final = {"system": "registry", "score": 0.1}
_CONSENT: Final = {"consent_id": "8fd73167342d06899c4c015320", "consent_value": 8, "last_change": ZERO_TIMESTAMP}

Rule: TypeAlias = tuple[int, int, Mapping[str, Any]]
"""Every how many records, from which on, and the values of fields by their dotted names; see `_put`."""


def _of_person(*rules: Rule) -> Iterable[Rule]:
    """Rules for fields of the personal information."""
    for every, at, values in rules:
        yield every, at, {f"personal_information.{name}": value for name, value in values.items()}


RULES: Final[tuple[Rule, ...]] = (
    (7, 2, {"loyalty_tier": _UNKNOWN}),
    *_of_person(
        (7, 2, {"nickname": "Éa", "address.verified_by": _VERIFIED, "agreement.verified_by": _VERIFIED}),
        (7, 2, {"consents.channel": "sms"}),
        (10, 1, {"phone": int}),
        (11, 3, {"salutation": AWKWARD}),
        (13, 5, {"birthdate": ZERO_DATE}),
        (13, 8, {"birthdate": ""}),
        (13, 9, {"birthdate": None}),
        (17, 4, {"gender": None}),
    ),
    (19, 3, {"last_change": ZERO_TIMESTAMP}),
    (19, 6, {"doi_email": ZERO_TIMESTAMP}),
    (19, 7, {"doi_phone": None}),
    *_of_person((23, 7, {"gender": 9})),
    (29, 11, {"state": 7}),
    (29, 12, {"last_change": None}),
    *_of_person(
        (31, 15, {"address": None}),
        (31, 16, dict.fromkeys(("address", "photo_url", "pre_nominals", "post_nominals"), MISSING)),
        (31, 17, {"address.zip": int, "address.address2": None}),
        (37, 6, {"agreement": MISSING}),
    ),
    (37, 6, {"doi_email": MISSING, "doi_phone": MISSING}),
    *_of_person(
        (37, 9, {"agreement": {"agreement_gtc": 1, "custom_agreements": None}}),
        (41, 12, {"consents": None}),
        (41, 13, {"consents": MISSING}),
        (41, 14, {"consents": [_CONSENT]}),
        (43, 20, {"email": ""}),
        (43, 21, {"phone": ""}),
        (43, 22, {"store_id": None}),
    ),
    (47, 2, {"lifetime_value": 123456789012345678901234567890, "risk": -1.5e-300}),
    # PHP servers write an empty object and a number from a form like this.
    *_of_person((53, 30, {"address": []}), (53, 31, {"gender": "2"})),
    (97, 60, {"personal_information": lambda person: {"language_id": person["language_id"]}, "state": 2}),
)


def untidied(record: JsonObject, *, number: int, rules: Iterable[Rule] = RULES) -> JsonObject:
    """Apply the rules for this number to a tidy record, in place.

    Args:
        record: A tidy record.
        number: Its number; number 0 stays tidy.
        rules: The rules, by default those of customers.
    """
    for every, at, values in rules:
        if number % every == at:
            for name, value in values.items():
                _put(record, name, value)
    return record


def _put(record: JsonObject, name: str, value: Any) -> None:
    """Set a field where the objects on its way exist; a function gets the value that is there, if there is one."""
    field, _, rest = name.partition(".")
    if rest:
        inner = record.get(field)
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                _put(one, rest, value)
    elif value is MISSING:
        record.pop(field, None)
    elif not callable(value):
        record[field] = copy.deepcopy(value)
    elif record[field]:
        record[field] = value(record[field])


@cache
def rules_for(fields: tuple[Field, ...]) -> tuple[Rule, ...]:
    """The rules of a table; ids and required fields stay as they are.

    Args:
        fields: The fields of its schema that hold no reference.
    """
    optional = [field for field in fields if not field.required and not field.name.endswith(("_id", "_ids"))]
    texts = [field.name for field in optional if field.type == "string" and not field.format and not field.enum]
    texts = [name for name in texts if not is_timestamp(Field(name=name, type="string"))]
    times = [field.name for field in optional[-1:] if is_timestamp(field)]
    times += [field.name for field in optional if field.name == "last_change"]
    dates = [field.name for field in optional if field.format == "date"]
    states = [field.name for field in optional if field.type == "integer" and field.name == "state"]
    return (
        (7, 2, {"sandbox_extra": _UNKNOWN}),
        (10, 1, dict.fromkeys(texts, _as_number)),
        (11, 3, {**dict.fromkeys(times, ZERO_TIMESTAMP), **dict.fromkeys(dates, ZERO_DATE)}),
        (13, 5, dict.fromkeys(texts[-1:])),
        (17, 4, dict.fromkeys(texts[:1], MISSING)),
        (19, 6, dict.fromkeys(texts[-1:], AWKWARD)),
        (23, 7, dict.fromkeys(states, 97)),
    )


def _as_number(text: Any) -> Any:
    return int(text) if str(text).isascii() and str(text).isdigit() else text
