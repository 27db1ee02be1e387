"""Plausible texts for the fields of made-up records, chosen by the field's name and format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from carecloud_async.sandbox.state.draw import Draw
from carecloud_async.sandbox.state.facts import Field
from carecloud_async.sandbox.state.people import LANGUAGES

_ADJECTIVES: Final = ("Summer", "Golden", "Nový", "Family", "Weekend", "Größte", "Premium", "Welcome")
_NOUNS: Final = ("Club", "Bonus", "Nákup", "Market", "Garden", "Sleva", "Coffee", "Ticket")
_SENTENCES: Final = (
    "Valid with every purchase.",
    "Platí jen o víkendu.",
    "Nur solange der Vorrat reicht.",
    "Made up for tests; says nothing.",
)
_FIRST: Final = ("Jane", "Zoë", "Łukasz", "Anna")
_LAST: Final = ("Smith", "Nováková", "Müller", "O'Brien")
_CITIES: Final = (("Prague 1", "11000"), ("Brno", "60200"), ("Berlin", "12043"), ("Zürich", "8001"))

_Text = Callable[[Draw, int], str]


def timestamp(draw: Draw, *, year: int = 2016, years: int = 9) -> str:
    """A timestamp as the API writes it.

    Args:
        draw: Where it comes from.
        year: The first year that it may lie in.
        years: The number of years that it may lie in.
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
    return by_format or by_name or _by_ending(field.name)


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


def _small(draw: Draw, _: int) -> str:
    return str(1 + draw.below(20))


def _by_ending(name: str) -> _Text:
    found = (made for endings, made in _BY_ENDING if name.endswith(endings))
    return next(found, lambda draw, _: draw.pick(_SENTENCES))


_BY_FORMAT: Final[dict[str, _Text]] = {
    "date": _date,
    "YYYY-MM-DD": _date,
    "time": lambda draw, _: f"{6 + draw.below(14):02}:{15 * draw.below(4):02}:00",
    "json": lambda *_: '{"source": "sandbox"}',
    "byte": lambda *_: "iVBORw0KGgo=",
}
_BY_NAME: Final[dict[str, _Text]] = {
    "last_change": _past,
    "created_at": _past,
    "cancelled_at": _past,
    "last_login": _past,
    "valid_from": _from,
    "valid_to": _to,
    "due_date": _date,
    "name": _name,
    "city": lambda draw, _: draw.pick(_CITIES)[0],
    "zip": lambda draw, _: draw.pick(_CITIES)[1],
    "country_code": lambda draw, _: draw.pick(("cz", "de", "ch")),
    "language_code": lambda draw, _: draw.pick(LANGUAGES),
    "address2": _small,
    "first_name": lambda draw, _: draw.pick(_FIRST),
    "last_name": lambda draw, _: draw.pick(_LAST),
    "contact_firstname": lambda draw, _: draw.pick(_FIRST),
    "contact_lastname": lambda draw, _: draw.pick(_LAST),
    "cashdesk_number": _small,
    "day_id": lambda draw, _: str(1 + draw.below(7)),
    "next_date": _date,
    "data_type": lambda draw, _: draw.pick(("string", "integer", "boolean")),
    "validity_period": lambda draw, _: draw.pick(("P1Y", "P6M")),
}
_BY_ENDING: Final[tuple[tuple[tuple[str, ...], _Text], ...]] = (
    (("text_id",), lambda draw, number: f"{draw.pick(_NOUNS).encode('ascii', 'ignore').decode().lower()}_{number + 1}"),
    (("email", "contact"), lambda draw, number: f"{draw.pick(('info', 'shop', 'office'))}.{number}@example.com"),
    (("phone", "phone_number"), lambda draw, _: str(420_600_000_000 + draw.below(99_999_999))),
    (("url", "urls"), lambda draw, number: f"https://www.example.com/{draw.pick(('a', 'b', 'c'))}/{number}"),
    (("_name", "title"), _name),
    (
        ("number", "vat_id", "registration_id"),
        lambda draw, number: str(2_700_000_000_000 + 1000 * number + draw.below(1000)),
    ),
    (
        ("code", "codes", "prefix", "_id"),
        lambda draw, number: f"{draw.pick(('SUMMER', 'CLUB', 'VIP'))}-{1000 + number}",
    ),
    (("_status",), lambda draw, _: draw.pick(("new", "open", "done"))),
)
