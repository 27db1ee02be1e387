"""`CustomerStore`: the table of customers, made up from their numbers, and their accounts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from threading import RLock
from typing import Any, Final

import attrs

from carecloud_async.sandbox.constants import (
    CUSTOMER_PASSWORD,
    CUSTOMER_SOURCE_IDS,
    FIRST_CUSTOMER_EMAIL,
    FIRST_CUSTOMER_ID,
    SOCIAL_NETWORK_IDS,
    SOCIAL_TOKEN_PREFIX,
    USER_ID,
    USER_LOGIN,
)
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import CUSTOMERS, TablePlan
from carecloud_async.sandbox.state.made_up import CITIES, LANGUAGES, hex_id, untidied
from carecloud_async.sandbox.state.table import Path, Table

#: First names: the name, its ASCII form for the e-mail, and the gender that goes with it.
_FIRST_NAMES: Final = (
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
#: Last names: the name, and its ASCII form for the e-mail.
_LAST_NAMES: Final = (
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
STORE_IDS: Final = ("8bed991c68a4", "86e05affc7a7abecd513ab400", "81eaeea13b8984a169c490a325")
ROLE_IDS: Final = ("86e05affc7a7befcd513ab400", "89ce2a1b9b01f5c939fb1e20cd")
CONSENT_IDS: Final = (
    "8fd73167342d06899c4c015320",
    "8fd73167342d06899c4c015321",
    "8fd73167342d06899c4c015322",
    "89ce2a1b9b01f5c939fb1e20cd",
)
#: Ids by number of the quickstart's customer, and of those whom examples of the description name: these are accepted.
_KNOWN_IDS: Final[Mapping[int, str]] = {
    0: FIRST_CUSTOMER_ID,
    2: "8ea2591121e636086a4a9c0992",
    3: "84b9167cc2f01ff007d98e1633",
    4: "81ceb8582e2d8dbb7e71b7273b",
    5: "85aae99524edceec17682e01b9",
    6: "85bc5819e09dab95437552ce79",
    7: "89ac83ca207a820c62c79bf03a",
}
_KNOWN_NUMBERS: Final[Mapping[str, int]] = {customer_id: number for number, customer_id in _KNOWN_IDS.items()}
_JOHNS_PHONE: Final = "420523828931"
_JOHNS_UNTIDY_BIRTHDATE: Final = "985-02-12"
#: The phone and the card of customer 0, were they numbered like all others; those of customer `n` are higher by `n`.
_PHONE_BASE: Final = 420_601_000_000
_CARD_BASE: Final = 2_700_000_000_000


def john_smith() -> JsonObject:
    """The customer of the vendor's quickstart, with a birth year of four digits."""
    agreement: JsonObject = dict.fromkeys(
        ("agreement_gtc", "agreement_profiling", "agreement_marketing_communication"), 1
    )
    person = {
        "gender": 1,
        "first_name": "John",
        "last_name": "Smith",
        "birthdate": "1985-02-12",
        "email": FIRST_CUSTOMER_EMAIL,
        "phone": _JOHNS_PHONE,
        "language_id": "en",
        "store_id": STORE_IDS[0],
        "address": _address(_STREETS[0], "34", "", CITIES[0]),
        "agreement": {**agreement, "custom_agreements": [{"agreement_id": CONSENT_IDS[3], "agreement_value": 2}]},
    }
    changed = "2019-06-23 11:47:22"
    return {"customer_id": FIRST_CUSTOMER_ID, "personal_information": person, "last_change": changed, "state": 1}


def person(number: int, *, seed: int, customer_id: str) -> JsonObject:
    """The tidy record of one seeded customer: the same number and seed always give the same.

    Args:
        number: number of the customer, from 0.
        seed: another seed makes other people.
        customer_id: its id.

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
    first, first_ascii, gender = _FIRST_NAMES[draw[0] % len(_FIRST_NAMES)]
    last, last_ascii = _LAST_NAMES[draw[1] % len(_LAST_NAMES)]
    street, city = _STREETS[draw[14] % len(_STREETS)], CITIES[draw[15] % len(CITIES)]
    custom = [{"agreement_id": CONSENT_IDS[3], "agreement_value": draw[3] % 3}]
    return {
        "salutation": f"Dear {first} {last}",
        "gender": gender,
        "first_name": first,
        "last_name": last,
        "pre_nominals": ("", "", "", "Ing.", "Dr.")[draw[2] % 5],
        "post_nominals": ("", "", "", "Ph.D.", "MBA")[draw[3] % 5],
        "birthdate": f"{1930 + draw[4] % 80}-{1 + draw[5] % 12:02}-{1 + draw[6] % 28:02}",
        "email": f"{first_ascii}.{last_ascii}.{number}@example.com",
        "phone": str(_PHONE_BASE + number),
        "language_id": LANGUAGES[draw[7] % len(LANGUAGES)],
        "store_id": STORE_IDS[draw[13] % len(STORE_IDS)],
        "photo_url": f"https://photos.example.com/{customer_id}.jpg" if draw[14] & 1 else "",
        "address": _address(street, str(1 + draw[13] % 99), "1a" if draw[12] & 1 else "", city),
        "agreement": {
            "agreement_gtc": 1,
            "agreement_profiling": draw[4] % 3,
            "agreement_marketing_communication": draw[5] % 3,
            "custom_agreements": custom if draw[2] & 1 else [],
        },
        "consents": [
            {"consent_id": consent_id, "consent_value": draw[place] % 3, "last_change": _timestamp(draw[place], 1, 1)}
            for place, consent_id in enumerate(CONSENT_IDS[: draw[6] % 3])
        ],
    }


def _address(street: str, house: str, stairs: str, city: tuple[str, str, str]) -> JsonObject:
    lines = (street, house, stairs, "", "", "", "")
    return {
        **{f"address{number}": line for number, line in enumerate(lines, 1)},
        **dict(zip(("city", "zip", "country_code"), city, strict=True)),
    }


def _timestamp(day: int, minute: int, second: int) -> str:
    # Most seconds never come, on purpose: some customers share theirs, as after a bulk import.
    return (
        f"{2016 + day % 10}-{1 + day % 12:02}-{1 + day % 28:02} {minute % 24:02}:{minute % 60:02}:{second % 6 * 10:02}"
    )


def _guess(text: str, *, base: int) -> int | None:
    """The number of the customer for whom this e-mail, phone or card may have been made up.

    Args:
        text: an e-mail, phone or card.
        base: what the digits at its end are for customer 0.
    """
    if text in (FIRST_CUSTOMER_EMAIL, _JOHNS_PHONE):
        return 0
    digits = re.search(r"(\d{1,18})(?:@example\.com)?$", text, re.ASCII)
    return int(digits[1]) - base if digits else None


EMAIL: Final = ("personal_information", "email")
PHONE: Final = ("personal_information", "phone")
_GUESSES: Final[dict[Path, Callable[[str], int | None]]] = {
    EMAIL: partial(_guess, base=0),
    PHONE: partial(_guess, base=_PHONE_BASE),
}


def api_user(*, untidy: bool) -> JsonObject:
    """The API user as the description has it, or untidy as in the quickstart: with a numeric phone and one role."""
    phone = 420_123_828_931
    quickstart = {"phone": phone, "user_role_id": ROLE_IDS[0]}
    return {
        "user_id": USER_ID,
        "login": USER_LOGIN,
        "first_name": "Fabulous",
        "last_name": "Legend",
        "email": "fabulous.user@example.com",
        **(quickstart if untidy else {"phone": str(phone), "user_role_ids": [ROLE_IDS[0]]}),
        "store_id": "86e05affc7a7abecd513ab400",
    }


#: The path by which customers are found by their source, which records do not show.
SOURCE: Final = ("customer_source_id",)


@attrs.frozen(kw_only=True)
class Account:
    """Data of a customer that no answer shows.

    Attributes:
        password: password of the customer interface, or `None` if none was ever set.
        social: network id and token, or `None`.
        customer_source: as it was sent (`CustomerSourceRecord`).
        card: number of the customer's card.
    """

    password: str | None = attrs.field(default=None, repr=False)
    social: tuple[str, str] | None = attrs.field(default=None, repr=False)
    customer_source: JsonObject = attrs.field(factory=dict, repr=False)
    card: str | None = attrs.field(default=None, repr=False)


class CustomerStore(Table):
    """All customers of the sandbox; tests use it to change the state without the client.

    Records, ids and e-mails follow from the numbers of customers, so that a million customers need little memory.

    Args:
        count: number of customers at the start.
        seed: another seed makes other customers.
        timestamp: returns the time of a change as the API writes it.
        untidy: whether some of the first customers are as untidy as real ones.
        recorded: the first customers; those after them are made up.
    """

    def __init__(
        self,
        count: int,
        *,
        seed: int,
        timestamp: Callable[[], str],
        untidy: bool = True,
        recorded: Sequence[JsonObject] = (),
    ) -> None:
        if count < 0:
            raise ValueError("a sandbox cannot have a negative number of customers")
        self._seed = seed
        self._accounts: dict[int, Account] = {}

        def make(number: int, customer_id: str) -> JsonObject:
            if number < len(recorded):
                return recorded[number]
            record = person(number, seed=seed, customer_id=customer_id)
            if not untidy:
                return record
            if number == 0:
                record["personal_information"]["birthdate"] = _JOHNS_UNTIDY_BIRTHDATE
            return untidied(record, number=number)

        def id_of(number: int) -> str:
            given = recorded[number].get("customer_id") if number < len(recorded) else None
            return str(given or _id_of(number, seed=seed))

        super().__init__(
            TablePlan(name=CUSTOMERS, schema="Customer", id_field="customer_id"),
            max(count, len(recorded)),
            id_of=id_of,
            number_of=None if recorded else partial(_number_of, seed=seed),
            make=make,
            timestamp=timestamp,
            lock=RLock(),
            guesses=None if recorded else _GUESSES,
        )

    def insert(self, record: JsonObject | None = None, *, account: Account | None = None) -> str:
        """Add a customer; its id and `last_change` are the server's.

        Args:
            record: the record without id; `None` makes a customer up.
            account: data that no answer shows; `None` makes it up, with the password of all seeded customers.

        Returns:
            The new id.
        """
        with self.lock:
            number = self._next
            made = person(number, seed=self._seed, customer_id=self.id_of(number)) if record is None else record
            if account is not None:
                self._accounts[number] = account
            return super().insert({"state": 1, **made, "last_change": self._timestamp()})

    def delete(self, record_id: str) -> None:
        """Remove a customer.

        Raises:
            KeyError: there is no such customer.
        """
        with self.lock:
            number = self.known_number(record_id)
            super().delete(record_id)
            self._accounts.pop(number, None)

    def account(self, customer_id: str) -> Account:
        """Return the data of a customer that no answer shows, such as the password.

        Raises:
            KeyError: there is no such customer.
        """
        return self._account_at(self.known_number(customer_id))

    def set_account(self, customer_id: str, **changes: Any) -> None:
        """Change the data of a customer that no answer shows: the fields of `Account`.

        Raises:
            KeyError: there is no such customer.
        """
        number = self.known_number(customer_id)
        self._accounts[number] = attrs.evolve(self._account_at(number), **changes)

    # For handlers

    def is_indexed(self, path: Path) -> bool:
        """See `Table`; the source of a customer is in no record."""
        return path == SOURCE or super().is_indexed(path)

    def with_values(self, path: Path, values: Iterable[object]) -> list[int]:
        """See `Table`; finds customers by their source too."""
        if path != SOURCE:
            return super().with_values(path, values)
        wanted = {str(value) for value in values}
        sources = ((number, self._account_at(number).customer_source) for number in self.numbers())
        return [number for number, source in sources if source.get("customer_source_id") in wanted]

    def by_email(self, email: str) -> list[str]:
        """The ids of the customers with this e-mail, in any case of its letters."""
        return self.by_login("email", email)

    def by_login(self, kind: str, value: str) -> list[str]:
        """The ids of the customers with this login.

        Args:
            kind: `email`, `phone` or `card`; the card is the one in their account.
            value: the login.
        """
        if kind == "card":
            return self._by_account(_guess(value, base=_CARD_BASE), lambda account: account.card == value)
        return [self.id_of(number) for number in self.with_values({"email": EMAIL, "phone": PHONE}[kind], [value])]

    def by_social(self, network: str, token: str) -> list[str]:
        """The ids of the customers with this token at this social network."""
        guess = self.number(token.removeprefix(SOCIAL_TOKEN_PREFIX))
        return self._by_account(guess, lambda account: account.social == (network, token))

    def _by_account(self, guess: int | None, matches: Callable[[Account], bool]) -> list[str]:
        """The ids of the customers whose account matches.

        Args:
            guess: the customer whose account matches if it is still the one that was made up.
            matches: returns whether an account does.
        """
        candidates = sorted({*self._accounts, *(() if guess is None else (guess,))})
        return [
            self.id_of(number) for number in candidates if self._is_live(number) and matches(self._account_at(number))
        ]

    def _account_at(self, number: int) -> Account:
        return self._accounts.get(number) or Account(
            password=CUSTOMER_PASSWORD,
            social=(SOCIAL_NETWORK_IDS[0], SOCIAL_TOKEN_PREFIX + self.id_of(number)),
            customer_source={"customer_source_id": CUSTOMER_SOURCE_IDS[number % len(CUSTOMER_SOURCE_IDS)]},
            card=str(_CARD_BASE + number),
        )


def _id_of(number: int, *, seed: int) -> str:
    """An id of 26 hex digits that looks random. It ends with its number, so that a million ids need no memory."""
    known = _KNOWN_IDS.get(number)
    if known is not None:
        return known
    return f"{hex_id(f'customer-id:{seed}:{number}')[:18]}{number:08x}"


def _number_of(record_id: str, *, seed: int) -> int | None:
    """The number of an id, or `None` for a text that is not an id."""
    known = _KNOWN_NUMBERS.get(record_id)
    if known is not None:
        return known
    digits = record_id[-8:] if re.fullmatch("[0-9a-f]{26}", record_id) else "0"
    number = int(digits, 16)
    return number if number and _id_of(number, seed=seed) == record_id else None
