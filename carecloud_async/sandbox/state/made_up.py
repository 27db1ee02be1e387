"""Made-up values: choices computed from a text, plausible texts, and what makes a record untidy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, Final, TypeAlias, TypeVar

from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import Field

_T = TypeVar("_T")


class Draw:
    """A sequence of choices.

    Args:
        text: the text from which they are computed.
    """

    __slots__ = ("_key", "_pool", "_turn")

    def __init__(self, text: str) -> None:
        self._key = blake2b(text.encode(), digest_size=32).digest()
        self._pool = 0
        self._turn = 0

    def below(self, limit: int) -> int:
        """A number from 0 to below `limit`."""
        if self._pool < 1 << 64:
            self._turn += 1
            self._pool = int.from_bytes(blake2b(self._turn.to_bytes(4, "big"), key=self._key).digest(), "big")
        self._pool, number = divmod(self._pool, limit)
        return number

    def pick(self, choices: Sequence[_T]) -> _T:
        """One of the choices."""
        return choices[self.below(len(choices))]


def hex_id(text: str) -> str:
    """An id in the form of the API's: 26 hex digits, computed from a text."""
    return f"8{blake2b(text.encode(), digest_size=13).hexdigest()[:25]}"


_ADJECTIVES: Final = ("Summer", "Golden", "Nový", "Family", "Weekend", "Größte", "Premium", "Welcome")
_NOUNS: Final = ("Club", "Bonus", "Nákup", "Market", "Garden", "Sleva", "Coffee", "Ticket")
_SENTENCES: Final = (
    "Valid with every purchase.",
    "Platí jen o víkendu.",
    "Nur solange der Vorrat reicht.",
    "Made up for tests; says nothing.",
)
LANGUAGES: Final = ("cs", "en", "de", "sk")
CITIES: Final = (
    ("Prague 1", "11000", "cz"),
    ("Brno", "60200", "cz"),
    ("Berlin", "12043", "de"),
    ("Zürich", "8001", "ch"),
)

_Text = Callable[[Draw, int], str]


def timestamp(draw: Draw, *, year: int = 2016, years: int = 9) -> str:
    """A timestamp as the API writes it.

    Args:
        draw: where it comes from.
        year: the first year that it may lie in.
        years: the number of years that it may lie in.
    """
    day = f"{year + draw.below(years)}-{1 + draw.below(12):02}-{1 + draw.below(28):02}"
    return f"{day} {draw.below(24):02}:{draw.below(60):02}:{draw.below(60):02}"


def text_of(field: Field) -> Callable[[Draw, int], str]:
    """Return what makes the texts of a field that holds no id, from choices and the number of the record.

    The number, from 0, makes names and codes unique.
    """
    by_name = _BY_NAME.get(field.name)
    if by_name is not None and by_name in (_from, _to) and field.format == "date":
        return lambda draw, number: by_name(draw, number)[:10]
    by_format = _past if field.format == "timestamp" and by_name is None else _BY_FORMAT.get(field.format)
    return by_format or by_name or next(made for endings, made in _BY_ENDING if field.name.endswith(endings))


def is_timestamp(field: Field) -> bool:
    """Whether a field holds a timestamp, even if its type is only a text."""
    return field.format == "timestamp" or (
        field.item == "string" and not field.format and _BY_NAME.get(field.name) in (_past, _from, _to)
    )


def _past(draw: Draw, _: int) -> str:
    return timestamp(draw)


def _from(draw: Draw, _: int) -> str:
    return timestamp(draw, year=2015, years=8)


def _to(draw: Draw, _: int) -> str:
    # One in five is over, whenever the tests run before 2090.
    return timestamp(draw, year=2024, years=1) if draw.below(5) == 0 else timestamp(draw, year=2090, years=9)


def _date(draw: Draw, _: int) -> str:
    return timestamp(draw)[:10]


def _name(draw: Draw, number: int) -> str:
    return f"{draw.pick(_ADJECTIVES)} {draw.pick(_NOUNS)} {number + 1}"


def _one_of(*choices: str) -> _Text:
    return lambda draw, _: draw.pick(choices)


_BY_FORMAT: Final[dict[str, _Text]] = {
    "date": _date,
    "YYYY-MM-DD": _date,
    "time": lambda draw, _: f"{6 + draw.below(14):02}:{15 * draw.below(4):02}:00",
    "json": lambda *_: '{"source": "sandbox"}',
    "byte": lambda *_: "iVBORw0KGgo=",
}
_BY_NAME: Final[dict[str, _Text]] = {
    **dict.fromkeys(("last_change", "created_at", "cancelled_at", "last_login"), _past),
    "valid_from": _from,
    "valid_to": _to,
    **dict.fromkeys(("due_date", "next_date"), _date),
    "name": _name,
    "login": lambda _, number: f"colleague_{number}",
    "city": lambda draw, _: draw.pick(CITIES)[0],
    "zip": lambda draw, _: draw.pick(CITIES)[1],
    "country_code": _one_of("cz", "de", "ch"),
    "language_code": _one_of(*LANGUAGES),
    **dict.fromkeys(("first_name", "contact_firstname"), _one_of("Jane", "Zoë", "Łukasz", "Anna")),
    **dict.fromkeys(("last_name", "contact_lastname"), _one_of("Smith", "Nováková", "Müller", "O'Brien")),
    **dict.fromkeys(("address2", "cashdesk_number"), lambda draw, _: str(1 + draw.below(20))),
    "day_id": lambda draw, _: str(1 + draw.below(7)),
    "data_type": _one_of("string", "integer", "boolean"),
    "validity_period": _one_of("P1Y", "P6M"),
}
_BY_ENDING: Final[tuple[tuple[tuple[str, ...], _Text], ...]] = (
    (("text_id",), lambda draw, number: f"{draw.pick(_NOUNS).encode('ascii', 'ignore').decode().lower()}_{number + 1}"),
    (("email", "contact"), lambda draw, number: f"{draw.pick(('info', 'shop', 'office'))}.{number}@example.com"),
    (("phone", "phone_number"), lambda draw, _: str(420_600_000_000 + draw.below(99_999_999))),
    (("url", "urls"), lambda draw, number: f"https://www.example.com/{draw.pick(('a', 'b', 'c'))}/{number}"),
    (("_name", "title"), _name),
    (
        ("number", "vat_id", "registration_id"),
        lambda draw, number: f"27{number:08}{draw.below(1000):03}",
    ),
    (
        ("code", "codes", "prefix", "_id"),
        lambda draw, number: f"{draw.pick(('CLUB', 'VIP'))}-{1000 + number}",
    ),
    (("_status",), _one_of("new", "open", "done")),
    (("",), _one_of(*_SENTENCES)),
)


ZERO_DATE: Final = "0000-00-00"
ZERO_TIMESTAMP: Final = "0000-00-00 00:00:00"
AWKWARD: Final = 'He said "a, b": \\ then\n{"x": [1, 2]}], "total_items": 3} \t\u2028 \U0001f600 </script>'
#: In place of a value: the field is left out.
MISSING: Final = object()

#: The value of a field that the API does not declare.
_UNKNOWN: Final = {"code": "GOLD", "since": None, "levels": [1, 2.5, "three", {"deep": [[]]}]}
_VERIFIED: Final = {"system": "registry", "score": 0.1}
_CONSENT: Final = {"consent_id": "8fd73167342d06899c4c015320", "consent_value": 8, "last_change": ZERO_TIMESTAMP}

#: Every how many records, from which on, and the values of fields by their dotted names; see `_put`.
Rule: TypeAlias = tuple[int, int, Mapping[str, Any]]


#: The rules of customers; a name that begins with a dot is a field of the personal information.
RULES: Final[tuple[Rule, ...]] = (
    (7, 2, {"loyalty_tier": _UNKNOWN, ".nickname": "Éa", ".consents.channel": "sms"}),
    (7, 2, dict.fromkeys((".address.verified_by", ".agreement.verified_by"), _VERIFIED)),
    (10, 1, {".phone": int}),
    (11, 3, {".salutation": AWKWARD}),
    (13, 5, {".birthdate": ZERO_DATE}),
    (13, 8, {".birthdate": ""}),
    (13, 9, {".birthdate": None}),
    (17, 4, {".gender": None}),
    (19, 3, {"last_change": ZERO_TIMESTAMP}),
    (19, 6, {"doi_email": ZERO_TIMESTAMP}),
    (19, 7, {"doi_phone": None}),
    (23, 7, {".gender": 9}),
    (29, 11, {"state": 7}),
    (29, 12, {"last_change": None}),
    (31, 15, {".address": None}),
    (31, 16, dict.fromkeys((".address", ".photo_url", ".pre_nominals", ".post_nominals"), MISSING)),
    (31, 17, {".address.zip": int, ".address.address2": None}),
    (37, 6, dict.fromkeys((".agreement", "doi_email", "doi_phone"), MISSING)),
    (37, 9, {".agreement": {"agreement_gtc": 1, "custom_agreements": None}}),
    (41, 12, {".consents": None}),
    (41, 13, {".consents": MISSING}),
    (41, 14, {".consents": [_CONSENT]}),
    (43, 20, {".email": ""}),
    (43, 21, {".phone": ""}),
    (43, 22, {".store_id": None}),
    (47, 2, {"lifetime_value": 123456789012345678901234567890, "risk": -1.5e-300}),
    # PHP servers write an empty object and a number from a form like this.
    (53, 30, {".address": []}),
    (53, 31, {".gender": "2"}),
    (97, 60, {"personal_information": lambda person: {"language_id": person["language_id"]}, "state": 2}),
)


def untidied(record: JsonObject, *, number: int, rules: Iterable[Rule] = RULES) -> JsonObject:
    """Apply the rules for this number to a tidy record, in place.

    Args:
        record: a tidy record.
        number: its number; number 0 stays tidy.
        rules: the rules, by default those of customers.
    """
    for every, at, values in rules:
        if number % every == at:
            for name, value in values.items():
                _put(record, f"personal_information{name}" if name.startswith(".") else name, value)
    return record


def _put(record: JsonObject, name: str, value: Any) -> None:
    """Set a field where the objects on its way exist; a function gets the value that is there, if there is one."""
    field, _, rest = name.partition(".")
    if rest:
        inner = record.get(field)
        for item in inner if isinstance(inner, list) else [inner]:
            if isinstance(item, dict):
                _put(item, rest, value)
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
        fields: the fields of its schema that hold no reference.
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
