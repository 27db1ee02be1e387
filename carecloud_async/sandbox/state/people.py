"""The people of the sandbox: tidy customers, each computed from its number, and enterprise users."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

from carecloud_async.sandbox.constants import FIRST_CUSTOMER_EMAIL, FIRST_CUSTOMER_ID, USER_ID, USER_LOGIN
from carecloud_async.sandbox.json_text import JsonObject

# Name, its ASCII form for the e-mail, and the gender that goes with it.
_FIRST: Final = (
    ("John", "john", 1),
    ("Žofie", "zofie", 2),
    ("Łukasz", "lukasz", 1),
    ("Zoë", "zoe", 2),
    ("José", "jose", 1),
    ("Σοφία", "sofia", 2),
    ("Анна", "anna", 2),
    ("Nguyễn", "nguyen", 1),
    ("明", "ming", 1),
    ("Jane", "jane", 2),
    ("Alex", "alex", 3),
    ("Robin", "robin", 5),
)
_LAST: Final = (
    ("Smith", "smith"),
    ("Nováková", "novakova"),
    ("O'Brien", "obrien"),
    ("Müller", "muller"),
    ("Dvořák", "dvorak"),
    ("Smith-Jones", "smithjones"),
    ("García Márquez", "garcia"),
    ("van der Berg", "vanderberg"),
    ("李", "li"),
    ("Smith", "smith"),
)
_STREETS: Final = ("Old Town Square", "Na Příkopě", "Karl-Marx-Straße", "Baker Street", "Rue de l'Église")
_CITIES: Final = (
    ("Prague 1", "11000", "cz"),
    ("Brno", "60200", "cz"),
    ("Berlin", "12043", "de"),
    ("Zürich", "8001", "ch"),
)
LANGUAGES: Final = ("cs", "en", "de", "sk")
STORE_IDS: Final = ("8bed991c68a4", "86e05affc7a7abecd513ab400", "81eaeea13b8984a169c490a325")
ROLE_IDS: Final = ("86e05affc7a7befcd513ab400", "89ce2a1b9b01f5c939fb1e20cd")
CONSENT_IDS: Final = (
    "8fd73167342d06899c4c015320",
    "8fd73167342d06899c4c015321",
    "8fd73167342d06899c4c015322",
    "89ce2a1b9b01f5c939fb1e20cd",
)
_EMAIL_NUMBER: Final = re.compile(r"^[a-z]+\.[a-z]+\.(\d+)@example\.com$")
_FIRST_PHONE: Final = 420_601_000_000
_FIRST_CARD: Final = 2_700_000_000_000


def john_smith() -> JsonObject:
    """The customer of the vendor's quickstart, birth year of three digits included."""
    address = {"address1": "Old Town Square", "address2": "34", **{f"address{line}": "" for line in range(3, 8)}}
    return {
        "customer_id": FIRST_CUSTOMER_ID,
        "personal_information": {
            "gender": 1,
            "first_name": "John",
            "last_name": "Smith",
            "birthdate": "985-02-12",
            "email": FIRST_CUSTOMER_EMAIL,
            "phone": "420523828931",
            "language_id": "en",
            "store_id": "8bed991c68a4",
            "address": {**address, "zip": "11000", "city": "Prague 1", "country_code": "cz"},
            "agreement": {
                "agreement_gtc": 1,
                "agreement_profiling": 1,
                "agreement_marketing_communication": 1,
                "custom_agreements": [{"agreement_id": "89ce2a1b9b01f5c939fb1e20cd", "agreement_value": 2}],
            },
        },
        "last_change": "2019-06-23 11:47:22",
        "state": 1,
    }


def person(number: int, *, seed: int, customer_id: str) -> JsonObject:
    """The tidy record of one seeded customer: the same number and seed always give the same.

    Args:
        number: Number of the customer, from 0.
        seed: Another seed makes other people.
        customer_id: Its id.

    Returns:
        A fresh object in the form of the API's `Customer`.
    """
    if number == 0:
        return john_smith()
    draw = blake2b(number.to_bytes(8, "big"), key=b"person:%d" % seed, digest_size=16).digest()
    changed = _timestamp(draw[8], draw[9], draw[10])
    return {
        "customer_id": customer_id,
        "personal_information": _personal(number, draw, customer_id),
        "doi_email": changed if draw[11] & 1 else "",
        "doi_phone": changed if draw[11] & 2 else "",
        "last_change": changed,
        "state": 1 if draw[12] > 20 else draw[12] % 3,
    }


def _personal(number: int, draw: bytes, customer_id: str) -> JsonObject:
    first, first_ascii, gender = _FIRST[draw[0] % len(_FIRST)]
    last, last_ascii = _LAST[draw[1] % len(_LAST)]
    return {
        "salutation": f"Dear {first} {last}",
        "gender": gender,
        "first_name": first,
        "last_name": last,
        "pre_nominals": ("", "", "", "Ing.", "Dr.")[draw[2] % 5],
        "post_nominals": ("", "", "", "Ph.D.", "MBA")[draw[3] % 5],
        "birthdate": f"{1930 + draw[4] % 80}-{1 + draw[5] % 12:02}-{1 + draw[6] % 28:02}",
        "email": f"{first_ascii}.{last_ascii}.{number}@example.com",
        "phone": str(_FIRST_PHONE + number),
        "language_id": LANGUAGES[draw[7] % len(LANGUAGES)],
        "store_id": STORE_IDS[draw[13] % len(STORE_IDS)],
        "photo_url": f"https://photos.example.com/{customer_id}.jpg" if draw[14] & 1 else "",
        "address": _address(draw),
        "agreement": _agreement(draw),
        "consents": _consents(draw),
    }


def _address(draw: bytes) -> JsonObject:
    city, postcode, country = _CITIES[draw[15] % len(_CITIES)]
    return {
        "address1": _STREETS[draw[14] % len(_STREETS)],
        "address2": str(1 + draw[13] % 99),
        "address3": "1a" if draw[12] & 1 else "",
        **{f"address{line}": "" for line in range(4, 8)},
        "zip": postcode,
        "city": city,
        "country_code": country,
    }


def _agreement(draw: bytes) -> JsonObject:
    custom = [{"agreement_id": CONSENT_IDS[3], "agreement_value": draw[3] % 3}] if draw[2] & 1 else []
    return {
        "agreement_gtc": 1,
        "agreement_profiling": draw[4] % 3,
        "agreement_marketing_communication": draw[5] % 3,
        "custom_agreements": custom,
    }


def _consents(draw: bytes) -> list[JsonObject]:
    return [
        {"consent_id": consent_id, "consent_value": draw[place] % 3, "last_change": _timestamp(draw[place], 1, 1)}
        for place, consent_id in enumerate(CONSENT_IDS[: draw[6] % 3])
    ]


def _timestamp(day: int, minute: int, second: int) -> str:
    # Few different seconds on purpose: some customers share theirs, as after a bulk import.
    return (
        f"{2016 + day % 10}-{1 + day % 12:02}-{1 + day % 28:02} {minute % 24:02}:{minute % 60:02}:{second % 6 * 10:02}"
    )


def number_in_email(email: str) -> int | None:
    """The number of the customer whose first e-mail this is."""
    if email == FIRST_CUSTOMER_EMAIL:
        return 0
    match = _EMAIL_NUMBER.match(email)
    return int(match[1]) if match else None


def number_in_phone(phone: str) -> int | None:
    """The number of the customer whose first phone this is."""
    return 0 if phone == "420523828931" else _number_after(phone, _FIRST_PHONE, least=1)


def card_number(number: int) -> str:
    """The number of a customer's card."""
    return str(_FIRST_CARD + number)


def number_in_card(card: str) -> int | None:
    """The number of the customer who holds a card."""
    return _number_after(card, _FIRST_CARD, least=0)


def _number_after(text: str, first: int, *, least: int) -> int | None:
    """The number of the customer whose phone or card this is, counted from the first one."""
    found = int(text) - first if text.isascii() and text.isdigit() else -1
    return found if found >= least else None


def api_user() -> JsonObject:
    """The API user in the form of the quickstart: a numeric phone and one role."""
    return {
        "user_id": USER_ID,
        "login": USER_LOGIN,
        "first_name": "Fabulous",
        "last_name": "Legend",
        "email": "fabulous.user@example.com",
        "phone": 420123828931,
        "user_role_id": ROLE_IDS[0],
        "store_id": "86e05affc7a7abecd513ab400",
    }


def user_id(number: int) -> str:
    """The id of a user; number 0 is the API user."""
    return f"838b73aacb5ac326cec4{number:06x}" if number else USER_ID


def user(number: int) -> JsonObject:
    """A user; number 0 is the API user, and the colleagues have the form of the OpenAPI description."""
    if number == 0:
        return api_user()
    return {
        "user_id": user_id(number),
        "login": f"colleague_{number}",
        "first_name": ("Happy", "Žaneta", "Łucja")[number % 3],
        "last_name": ("User", "Nováková", "Smith")[number % 3],
        "email": f"colleague.{number}@example.com" if number % 10 else "",
        "phone": str(420700000000 + number) if number % 7 else None,
        "user_role_ids": list(ROLE_IDS[: number % 3]),
        "store_id": "86e05affc7a7abecd513ab400",
        "last_login": "2021-04-16 18:22:35.052987" if number % 5 else "0000-00-00 00:00:00",
    }
