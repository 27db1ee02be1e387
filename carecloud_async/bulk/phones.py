"""Phone numbers of rows, in the form that the API takes: digits with the international prefix, such as 420603123456."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from carecloud_async._base.codec.fields import core_types, is_model, typed_cache

__all__ = [
    "PHONES",
    "lacks_only_prefix",
    "lacks_prefix",
    "phone_number",
    "phone_paths",
    "phone_prefix",
    "valid_number",
]

#: The fields that hold a phone number.
PHONES: Final = frozenset({"phone", "phone_number"})

#: A number may have 15 digits (ITU-T E.164); a national number begins with 0, and its country is not known.
_NUMBER: Final = re.compile(r"(?:\+|00)?([1-9]\d{4,14})", re.ASCII)
#: What people put between digits: any blank, hyphens and dashes, brackets, points and slashes.
_BETWEEN: Final = re.compile("[\\s\u200b\u2010-\u2015()./-]+")
_PREFIX: Final = re.compile(r"(?:\+|00)?([1-9]\d{0,3})", re.ASCII)
#: A national number: with a zero in front, or with at most ten digits, which is too short for most with a prefix.
_NATIONAL: Final = re.compile(r"0[1-9]\d{4,12}|[1-9]\d{4,9}", re.ASCII)
#: The digits in front of a national number that are dropped after these prefixes; after others it is one zero. Italy,
#: San Marino and the Vatican keep the zero.
_TRUNKS: Final = {"36": "06", "39": "", "378": "", "379": ""}
#: Least digits of a number without its prefix that may have one.
_LEAST: Final = 7
#: Least digits of a number with its prefix, as in the countries with the shortest numbers.
_LEAST_WITH_PREFIX: Final = 10
#: The prefix of a country, as digits.
_COUNTRY: Final = re.compile(r"[1-9]\d{0,2}", re.ASCII)


def phone_prefix(text: str) -> str | None:
    """Return the digits of an international prefix, such as `+420`; `None` for any other text."""
    found = _PREFIX.fullmatch(text)
    return None if found is None else found[1]


def lacks_prefix(text: str) -> bool:
    """Return whether a text is a phone number without an international prefix."""
    return _NATIONAL.fullmatch(_plain(text)) is not None


def lacks_only_prefix(number: str, whole: str) -> bool:
    """Return whether a number is `whole` without its international prefix, both in digits."""
    return (
        len(number) >= _LEAST
        and len(whole) >= _LEAST_WITH_PREFIX
        and whole.endswith(number)
        and lacks_prefix(number)
        and _COUNTRY.fullmatch(whole.removesuffix(number)) is not None
    )


def phone_number(text: str, *, prefix: str = "") -> str | None:
    """Return the digits of a phone number; `None` if the text is no phone number or its prefix is not known.

    Args:
        text: the number as people write it.
        prefix: the digits of the prefix that completes a number without one. A number that begins with them and is
            long enough to have them already gives `None`: it may be meant with or without its prefix.
    """
    plain = _plain(text)
    if prefix and _NATIONAL.fullmatch(plain):
        if plain.startswith(prefix) and len(plain) - len(prefix) >= _LEAST:
            return None
        plain = prefix + plain.removeprefix(_TRUNKS.get(prefix, "0"))
    found = _NUMBER.fullmatch(plain)
    return None if found is None else found[1]


def valid_number(number: str) -> str | None:
    """Return a number with its prefix as its country writes it for callers from abroad; `None` if no country has it.

    Without the extra `phones` every number is taken.
    """
    library = _library()
    if library is None:
        return number
    try:
        parsed = library.parse(f"+{number}")
    except library.NumberParseException:  # there is no such prefix
        return None
    if not library.is_valid_number(parsed):
        return None
    return str(library.format_number(parsed, library.PhoneNumberFormat.E164)).removeprefix("+")


@cache
def _library() -> Any:
    """Return phonenumbers; `None` if it is not installed. It takes a tenth of a second to import."""
    try:
        import phonenumbers  # an extra
    except ImportError:
        return None
    return phonenumbers


def _plain(text: str) -> str:
    """Return a number without what people put between its digits."""
    # A data frame adds `.0` to the numbers of a column with gaps. `(0)` is not dialled after the prefix.
    return _BETWEEN.sub("", re.sub(r"(?<=\d)\.0$", "", text.strip()).replace("(0)", ""))


@typed_cache
def phone_paths(model: Any) -> tuple[str, ...]:
    """Return the dotted fields of a model that hold phone numbers."""
    found: list[str] = []
    for name, core in ({} if model is None else core_types(model)).items():
        if is_model(core):
            found += [f"{name}.{path}" for path in phone_paths(core)]
        elif name in PHONES:
            found.append(name)
    return tuple(found)
