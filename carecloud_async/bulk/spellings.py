"""Days, phone numbers, truth values and members of enumerations, as people and programs write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Any, Final

from carecloud_async._base.codec.fields import core_types, is_model, typed_cache
from carecloud_async.bulk.errors import ConversionError

# days and times

_ISO: Final = re.compile(r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})")
_DOTTED: Final = re.compile(r"(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>\d{4})")
_WITH_TIME: Final = re.compile(r"(.+?)[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?")
#: Zero dates as MySQL writes them.
ZERO_DATE: Final = re.compile(r"0000-00-00([T ][0:.]*)?", re.ASCII)
_ZERO: Final = "a zero date: leave the cell empty"
#: The three parts of a date format, and the separator between them.
_FORMAT: Final = re.compile(r"(dd?|mm?|yyyy|yy)([./-]) ?(dd?|mm?|yyyy|yy)\2 ?(dd?|mm?|yyyy|yy)")
_GROUPS: Final = {"d": r"(?P<day>\d{1,2})", "m": r"(?P<month>\d{1,2})", "y": r"(?P<year>\d{%d})"}
#: A year of two digits is one of the last 80 or the next 20 years.
YEARS_AHEAD: Final = 20


@cache
def day_pattern(date_format: str) -> re.Pattern[str]:
    """Return the pattern of a day in a format such as `dd/mm/yy`.

    Raises:
        ValueError: it is not a format of a day, a month and a year.
    """
    match = _FORMAT.fullmatch(date_format.strip().lower())
    parts = () if match is None else match.group(1, 3, 4)
    if match is None or {part[0] for part in parts} != _GROUPS.keys():
        raise ValueError("no date format")
    groups = (_GROUPS[part[0]] % len(part) if part[0] == "y" else _GROUPS[part[0]] for part in parts)
    return re.compile((re.escape(match[2]) + r"\s?").join(groups))


def day_of(text: str, *, date_format: str | None = None, latest_year: int = 0) -> str:
    """Return the day that a text names as `YYYY-MM-DD`; any other text unchanged."""
    with suppress(ConversionError):
        day = read_day(text.strip(), date_format=date_format, latest_year=latest_year)
        return text if day is None else day.isoformat()
    return text


def read_day(text: str, *, date_format: str | None, latest_year: int) -> date | None:
    """Return the day that a text names; `None` if it names none.

    Args:
        text: the text.
        date_format: its format, such as `dd/mm/yy`; `None` for `DD.MM.YYYY`. `YYYY-MM-DD` is read too.
        latest_year: the last year that two digits may stand for.

    Raises:
        ConversionError: it names a day that does not exist.
    """
    local = _DOTTED if date_format is None else day_pattern(date_format)
    match = _ISO.fullmatch(text) or local.fullmatch(text)
    if match is None:
        if ZERO_DATE.fullmatch(text):
            raise ConversionError(_ZERO)
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        year = latest_year - (latest_year - year) % 100
    try:
        return date(year, int(match["month"]), int(match["day"]))
    except ValueError:
        raise ConversionError(_ZERO if ZERO_DATE.fullmatch(text) else "not a day of the calendar") from None


def read_moment(text: str, *, date_format: str | None, latest_year: int) -> date | None:
    """Return the day, or the day and time, that a text names; `None` if it names none. For arguments see `read_day`."""
    alone = read_day(text, date_format=date_format, latest_year=latest_year)
    if alone is not None:
        return alone
    match = _WITH_TIME.fullmatch(text)
    day = None if match is None else read_day(match[1], date_format=date_format, latest_year=latest_year)
    try:
        if match is None or day is None:
            return datetime.fromisoformat(text)
        hour, minute, second = (int(part or 0) for part in match.groups()[1:])
        return datetime(day.year, day.month, day.day, hour, minute, second)  # noqa: DTZ001  (the API's times are naive)
    except ValueError:
        return None


# phone numbers: digits with the international prefix, such as 420603123456

#: The fields that hold a phone number.
PHONES: Final = frozenset({"phone", "phone_number"})

#: A number with its prefix: at most 15 digits (ITU-T E.164), of which the first is not 0, as it is in national numbers.
_WHOLE_NUMBER: Final = re.compile(r"(?:\+|00)?([1-9]\d{4,14})", re.ASCII)
#: What people put between digits: any blank, hyphens and dashes, brackets, points and slashes.
_BETWEEN: Final = re.compile("[\\s\u200b\u2010-\u2015()./-]+")
_PREFIX: Final = re.compile(r"(?:\+|00)?([1-9]\d{0,3})", re.ASCII)
#: A national number: with a zero in front, or with at most ten digits, which is too short for most with a prefix.
_NATIONAL: Final = re.compile(r"0[1-9]\d{4,12}|[1-9]\d{4,9}", re.ASCII)
#: International prefix → the leading digits of national numbers that are dropped after it; elsewhere it is one zero.
#: Italy, San Marino and the Vatican keep the zero.
_TRUNKS: Final = {"36": "06", "39": "", "378": "", "379": ""}
#: The fewest digits of a number, its prefix not counted.
_LEAST: Final = 7
#: The fewest digits of a number with its prefix, as in the countries with the shortest numbers.
_LEAST_WITH_PREFIX: Final = 10
#: The prefix of a country, as digits.
_COUNTRY: Final = re.compile(r"[1-9]\d{0,2}", re.ASCII)


def phone_prefix(text: str) -> str | None:
    """Return the digits of an international prefix, such as `+420`; `None` for any other text."""
    match = _PREFIX.fullmatch(text)
    return None if match is None else match[1]


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
        prefix: the digits of the prefix that completes a number without one. A number that begins with these digits and
            would be long enough without them gives `None`: nobody can tell whether they are its prefix.
    """
    plain = _plain(text)
    if prefix and _NATIONAL.fullmatch(plain):
        if plain.startswith(prefix) and len(plain) - len(prefix) >= _LEAST:
            return None
        plain = prefix + plain.removeprefix(_TRUNKS.get(prefix, "0"))
    match = _WHOLE_NUMBER.fullmatch(plain)
    return None if match is None else match[1]


def valid_number(number: str) -> str | None:
    """Return a number with its prefix in the form of E.164; `None` if it is not a valid number of any country.

    Without the extra `phones` every number is valid, and returned as it is.
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
    paths: list[str] = []
    for name, core in ({} if model is None else core_types(model)).items():
        if is_model(core):
            paths += [f"{name}.{path}" for path in phone_paths(core)]
        elif name in PHONES:
            paths.append(name)
    return tuple(paths)


# truth values and members of enumerations

#: Input class and field → the enumeration that names its values: a row may say `ACTIVE` where the API says 1.
ENUMERATIONS: Final[Mapping[tuple[str, str], str]] = {
    ("AgreementInput", "agreement_gtc"): "AgreementValue",
    ("AgreementInput", "agreement_marketing_communication"): "AgreementValue",
    ("AgreementInput", "agreement_profiling"): "AgreementValue",
    ("AttachmentInput", "upload_method"): "UploadMethod",
    ("BookingTicketInput", "state"): "BlockableState",
    ("CampaignProductInput", "display_in"): "DisplayPlace",
    ("CampaignProductInput", "value_type_id"): "DiscountValueType",
    ("CardInput", "state"): "BlockableState",
    ("ConsentInput", "consent_value"): "AgreementValue",
    ("CustomAgreementInput", "agreement_value"): "AgreementValue",
    ("EntranceInput", "entrance_type_id"): "EntranceType",
    ("EntranceInput", "pos_id"): "PosSystem",
    ("EntranceInput", "state"): "EntranceState",
    ("EventInput", "customer_identifier_type"): "CustomerIdentifierType",
    ("FinalBillInput", "payment_type"): "CheckoutPaymentType",
    ("MessageInput", "communication_channel_id"): "ChannelNumber",
    ("PersonalInformationInput", "gender"): "Gender",
    ("ProductInput", "state"): "RecordState",
    ("RewardProductSyncInput", "reward_product_relation_type"): "RewardProductRole",
    ("SimpleRewardInput", "state"): "SimpleRewardState",
    ("SimpleRewardInput", "voucher_validity"): "VoucherValidity",
    ("TaskInput", "task_priority"): "TaskPriority",
}

#: Words for truth values; also Czech and Slovak ones, of the countries of the vendor.
_TRUE: Final = frozenset({"true", "1", "yes", "ano", "áno"})
_FALSE: Final = frozenset({"false", "0", "no", "ne", "nie"})


def truth_of(word: str) -> bool | None:
    """Return the truth value that a word stands for; `None` for another word."""
    word = word.strip().casefold()
    return word in _TRUE if word in _TRUE | _FALSE else None


def member_of(enumeration: str, word: str) -> Enum | None:
    """Return a member by its name, in any case and with blanks for underscores; `None` if there is no such member.

    Where there are members `YES` and `NO`, any word for a truth value stands for them.
    """
    members, truth = members_of(enumeration), truth_of(word)
    if truth is not None and {"YES", "NO"} <= members.keys():
        return members["YES" if truth else "NO"]
    wanted = "_".join(word.split()).casefold()
    return next((member for name, member in members.items() if name.casefold() == wanted), None)


def members_of(enumeration: str) -> Mapping[str, Enum]:
    """Return the members of an enumeration by their names."""
    from carecloud_async import models  # loads the table of names

    kind: type[Enum] = getattr(models, enumeration)
    return kind.__members__
