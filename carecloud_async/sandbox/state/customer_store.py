"""`CustomerStore`: the table of customers, and their data that no answer shows, such as passwords."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from threading import RLock
from typing import Any, Final

import attrs

from carecloud_async.sandbox.constants import (
    CUSTOMER_PASSWORD,
    CUSTOMER_SOURCE_IDS,
    FIRST_CUSTOMER_ID,
    SOCIAL_NETWORK_IDS,
    SOCIAL_TOKEN_PREFIX,
)
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.people import (
    card_number,
    number_in_card,
    number_in_email,
    number_in_phone,
    person,
)
from carecloud_async.sandbox.state.plans import CUSTOMERS, TablePlan
from carecloud_async.sandbox.state.table import Path, Table
from carecloud_async.sandbox.state.untidy import untidied

EMAIL: Final = ("personal_information", "email")
PHONE: Final = ("personal_information", "phone")
SOURCE: Final = ("customer_source_id",)
"""The path by which customers are found by their source, which records do not show."""

_HALF: Final = 50
_MASK: Final = (1 << _HALF) - 1
_ROUNDS: Final = 4


@attrs.frozen(kw_only=True)
class Account:
    """Data of a customer that no answer shows.

    Attributes:
        password: Password of the customer interface, or `None` if none was ever set.
        social: Network id and token, or `None`.
        property_records: As they were sent.
        customer_source: As it was sent (`CustomerSourceRecord`).
        card: Number of the customer's card.
        referral_code: The code that the customer came with, or `None`.
    """

    password: str | None = attrs.field(default=None, repr=False)
    social: tuple[str, str] | None = attrs.field(default=None, repr=False)
    property_records: tuple[JsonObject, ...] = attrs.field(default=(), repr=False)
    customer_source: JsonObject = attrs.field(factory=dict, repr=False)
    card: str | None = attrs.field(default=None, repr=False)
    referral_code: str | None = attrs.field(default=None, repr=False)


class CustomerStore(Table):
    """All customers of the sandbox; tests use it to change the state without the client.

    Records, ids and e-mails follow from the numbers of customers, so that a million customers need little memory.

    Args:
        count: Number of customers at the start.
        seed: Another seed makes other customers.
        timestamp: Returns the time of a change as the API writes it.
        untidy: Whether some of the first customers are as untidy as real ones.
    """

    def __init__(self, count: int, *, seed: int, timestamp: Callable[[], str], untidy: bool = True) -> None:
        if count < 0:
            raise ValueError("a sandbox cannot have a negative number of customers")
        self._seed = seed
        self._accounts: dict[int, Account] = {}
        ids = _CustomerIds(seed)

        def make(number: int, customer_id: str) -> JsonObject:
            record = person(number, seed=seed, customer_id=customer_id)
            return untidied(record, number=number) if untidy else record

        super().__init__(
            TablePlan(name=CUSTOMERS, schema="Customer", id_field="customer_id"),
            count,
            id_of=ids.id_of,
            number_of=ids.number_of,
            make=make,
            timestamp=timestamp,
            lock=RLock(),
            keeps=False,
            guesses={EMAIL: number_in_email, PHONE: number_in_phone},
        )

    def insert(self, record: JsonObject | None = None, *, account: Account | None = None) -> str:
        """Add a customer; its id and `last_change` are the server's.

        Args:
            record: The record without id; `None` makes a customer up.
            account: Data that no answer shows; `None` makes it up, with the password of all seeded customers.

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
            KeyError: There is no such customer.
        """
        with self.lock:
            number = self.known_number(record_id)
            super().delete(record_id)
            self._accounts.pop(number, None)

    def account(self, customer_id: str) -> Account:
        """Return the data of a customer that no answer shows, such as the password.

        Raises:
            KeyError: There is no such customer.
        """
        return self._account_at(self.known_number(customer_id))

    def set_account(self, customer_id: str, **changes: Any) -> None:
        """Change the data of a customer that no answer shows: the fields of `Account`.

        Raises:
            KeyError: There is no such customer.
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
        return [self.id_of(number) for number in self.with_values(EMAIL, [email])]

    def by_phone(self, phone: str) -> list[str]:
        """The ids of the customers with this phone."""
        return [self.id_of(number) for number in self.with_values(PHONE, [phone])]

    def by_card(self, number: str) -> list[str]:
        """The ids of the customers who got this card when they were created."""
        return self._by_account(number_in_card(number), lambda account: account.card == number)

    def by_social(self, network: str, token: str) -> list[str]:
        """The ids of the customers with this token at this social network."""
        return self._by_account(self.number(token[-26:]), lambda account: account.social == (network, token))

    def _by_account(self, guess: int | None, matches: Callable[[Account], bool]) -> list[str]:
        likely = sorted({*self._accounts, *(() if guess is None else (guess,))})
        return [self.id_of(one) for one in likely if self._is_live(one) and matches(self._account_at(one))]

    def _account_at(self, number: int) -> Account:
        return self._accounts.get(number) or Account(
            password=CUSTOMER_PASSWORD,
            social=(SOCIAL_NETWORK_IDS[0], SOCIAL_TOKEN_PREFIX + self.id_of(number)),
            customer_source={"customer_source_id": CUSTOMER_SOURCE_IDS[number % len(CUSTOMER_SOURCE_IDS)]},
            card=card_number(number),
        )


class _CustomerIds:
    """Ids of 26 hex digits that look random: a permutation of the numbers (a Feistel network), keyed by the seed.

    A million ids as texts would need 75 MB; computed ids need nothing. Their order does not follow the numbers.

    Args:
        seed: Another seed makes other ids.
    """

    def __init__(self, seed: int) -> None:
        self._keys = [f"customer-id:{seed}:{turn}".encode() for turn in range(_ROUNDS)]

    def id_of(self, number: int) -> str:
        """The id of a number."""
        if number == 0:
            return FIRST_CUSTOMER_ID
        left, right = number >> _HALF, number & _MASK
        for key in self._keys:
            left, right = right, left ^ _mix(key, right)
        return f"{(8 << 2 * _HALF) | (left << _HALF) | right:x}"

    def number_of(self, record_id: str) -> int | None:
        """The number of an id, or `None` for a text that is not an id."""
        if record_id == FIRST_CUSTOMER_ID:
            return 0
        if len(record_id) != 26 or record_id[0] != "8":
            return None
        try:
            value = int(record_id[1:], 16)
        except ValueError:
            return None
        left, right = value >> _HALF, value & _MASK
        for key in reversed(self._keys):
            left, right = right ^ _mix(key, left), left
        number = (left << _HALF) | right
        # Capital letters and underscores read as the same number, but only the text itself is the id.
        return number if number > 0 and self.id_of(number) == record_id else None


def _mix(key: bytes, half: int) -> int:
    return int.from_bytes(blake2b(half.to_bytes(7, "big"), key=key, digest_size=7).digest(), "big") & _MASK
