"""The customers. Seeded ones are worked out on demand, those that were changed or added are kept.

Each customer has a number, its slot, in the order in which customers came. A hundred thousand customers take half a
megabyte until they are changed.
"""

from __future__ import annotations

import copy
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from threading import RLock
from typing import Any, Final

import attrs

from carecloud_async.sandbox.json_text import JsonObject, escaped_json_bytes, json_bytes, merged
from carecloud_async.sandbox.state.accounts import Account, seeded_account
from carecloud_async.sandbox.state.identifiers import CustomerIds
from carecloud_async.sandbox.state.people import person, slot_in_card, slot_in_email, slot_in_phone
from carecloud_async.sandbox.state.searches import Searches
from carecloud_async.sandbox.state.untidy import untidied

SORT_FIELDS: Final = ("customer_id", "doi_email", "doi_phone", "last_change", "state")
"""First-level fields of a customer that `sort_field` may name."""


class CustomerStore:
    """All customers of the sandbox; tests use it to change the state without the client.

    Safe to use from another thread than the server's.

    Args:
        count: How many customers are seeded.
        seed: Another seed makes other customers.
        timestamp: Gives the time of a change as the API writes it.
        untidy: Whether some seeded records are as untidy as real ones.
    """

    def __init__(self, count: int, *, seed: int, timestamp: Callable[[], str], untidy: bool = True) -> None:
        if count < 0:
            raise ValueError("a sandbox cannot have a negative number of customers")
        self.lock: RLock = RLock()
        self.searches: Searches[array[int]] = Searches()
        self._seed = seed
        self._untidy = untidy
        self._seeded = count
        self._timestamp = timestamp
        self._ids = CustomerIds(seed)
        self._live = array("I", range(count))
        self._next = count
        self._changed: dict[int, JsonObject] = {}
        self._accounts: dict[int, Account] = {}
        self._orderings: dict[str, _Ordering] = {}

    # For tests

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, customer_id: object) -> bool:
        return isinstance(customer_id, str) and self.slot(customer_id) is not None

    def __iter__(self) -> Iterator[JsonObject]:
        """Copies of all records, oldest first."""
        return (copy.deepcopy(self.record(slot)) for slot in array("I", self._live))

    def ids(self) -> list[str]:
        """The ids of all customers, oldest first."""
        return [self._ids.id_of(slot) for slot in self._live]

    def id_at(self, index: int) -> str:
        """The id of the customer at this place among all that are there, oldest first."""
        return self._ids.id_of(self._live[index])

    def get(self, customer_id: str) -> JsonObject:
        """A copy of a record.

        Raises:
            KeyError: There is no such customer.
        """
        return copy.deepcopy(self.record(self._known(customer_id)))

    def raw(self, customer_id: str) -> bytes:
        """A record as compact answers carry it.

        Raises:
            KeyError: There is no such customer.
        """
        return self.json(self._known(customer_id))

    def account(self, customer_id: str) -> Account:
        """Return what no answer shows of a customer, such as the password.

        Raises:
            KeyError: There is no such customer.
        """
        return self.account_at(self._known(customer_id))

    def insert(self, customer: JsonObject | None = None, *, account: Account | None = None) -> str:
        """Add a customer; its id and `last_change` are the server's.

        Args:
            customer: The record without id; `None` generates a customer.
            account: What no answer shows; `None` makes one with the seeded password.

        Returns:
            The new id.
        """
        with self.lock:
            slot = self._next
            self._next += 1
            customer_id = self._ids.id_of(slot)
            record = person(slot, seed=self._seed, customer_id=customer_id) if customer is None else customer
            fixed = {"customer_id": customer_id, "last_change": self._timestamp()}
            self._accounts[slot] = account or seeded_account(slot, customer_id=customer_id)
            self._store(slot, {"customer_id": customer_id, "state": 1, **record, **fixed})
            self._live.append(slot)
            return customer_id

    def delete(self, customer_id: str) -> None:
        """Remove a customer.

        Raises:
            KeyError: There is no such customer.
        """
        with self.lock:
            slot = self._known(customer_id)
            self._unsort(slot)
            del self._live[bisect_left(self._live, slot)]
            self._changed.pop(slot, None)
            self._accounts.pop(slot, None)
            self.searches.clear()

    def update(self, customer_id: str, changes: JsonObject) -> None:
        """Change some fields of a record, deep; `last_change` becomes now unless it is among them.

        Raises:
            KeyError: There is no such customer.
        """
        record = merged(self.get(customer_id), {"last_change": self._timestamp(), **changes})
        self.replace(customer_id, record)

    def replace(self, customer_id: str, record: JsonObject) -> None:
        """Replace a whole record; only the id stays.

        Raises:
            KeyError: There is no such customer.
        """
        with self.lock:
            slot = self._known(customer_id)
            self._unsort(slot)
            self._store(slot, {**record, "customer_id": customer_id})

    def set_account(self, customer_id: str, **changes: Any) -> None:
        """Change what no answer shows of a customer: the fields of `Account`.

        Raises:
            KeyError: There is no such customer.
        """
        slot = self._known(customer_id)
        self._accounts[slot] = attrs.evolve(self.account_at(slot), **changes)

    def _unsort(self, slot: int) -> None:
        for ordering in self._orderings.values():
            ordering.remove(slot)

    def _store(self, slot: int, record: JsonObject) -> None:
        self._changed[slot] = copy.deepcopy(record)
        for ordering in self._orderings.values():
            ordering.add(slot)
        self.searches.clear()

    # For the handlers: customers by number

    @property
    def seeded(self) -> int:
        """Number of customers at the start."""
        return self._seeded

    def slot(self, customer_id: str) -> int | None:
        """The number of a customer's id, or `None` if there is no such customer, or no longer."""
        slot = self._ids.slot_of(customer_id)
        return slot if slot is not None and self._is_live(slot) else None

    def id_of(self, slot: int) -> str:
        """The id of a number."""
        return self._ids.id_of(slot)

    def slots(self) -> array[int]:
        """Numbers of all customers, oldest first; not to be changed."""
        return self._live

    def sorted_slots(self, field: str) -> array[int]:
        """Numbers of all customers by one of `SORT_FIELDS`, ascending; not to be changed."""
        ordering = self._orderings.get(field)
        if ordering is None:
            ordering = self._orderings[field] = _Ordering(self._live, key=self._key(field))
        return ordering.slots

    def sort_value(self, slot: int, field: str) -> Any:
        """Return the sort key of a customer: absent values first; one type for each field."""
        if field == "customer_id":
            return self._ids.number_of(slot)
        value = self.record(slot).get(field)
        if field == "state":
            return value if isinstance(value, int) else -1
        return "" if value is None else str(value)

    def _key(self, field: str) -> Callable[[int], Any]:
        # Ids never tie. A bare number is a third of the memory of a pair while a large list is being sorted.
        if field == "customer_id":
            return self._ids.number_of
        return lambda slot: (self.sort_value(slot, field), slot)

    def record(self, slot: int) -> JsonObject:
        """The record of a number; not to be changed."""
        changed = self._changed.get(slot)
        if changed is not None:
            return changed
        record = person(slot, seed=self._seed, customer_id=self._ids.id_of(slot))
        return untidied(record, slot=slot) if self._untidy else record

    def account_at(self, slot: int) -> Account:
        """The account of a number."""
        return self._accounts.get(slot) or seeded_account(slot, customer_id=self._ids.id_of(slot))

    def json(self, slot: int) -> bytes:
        """The compact JSON of a number's record; every eighth is written as PHP servers do."""
        record = self.record(slot)
        return escaped_json_bytes(record) if slot % 8 == 5 else json_bytes(record)

    def by_email(self, email: str) -> list[int]:
        """Numbers with this e-mail, in any case of its letters."""
        return self._by_person("email", email.casefold(), slot_in_email(email.casefold()))

    def by_phone(self, phone: str) -> list[int]:
        """Numbers with this phone."""
        return self._by_person("phone", phone, slot_in_phone(phone))

    def by_card(self, number: str) -> list[int]:
        """Numbers that have this card."""
        return [slot for slot in self._likely(slot_in_card(number)) if self.account_at(slot).card == number]

    def by_social(self, network: str, token: str) -> int | None:
        """The number with this token at this social network."""
        guess = self.slot(token[-26:])
        likely = self._likely(guess) if guess is not None else list(self._accounts)
        return next((slot for slot in likely if self.account_at(slot).social == (network, token)), None)

    def _by_person(self, field: str, wanted: str, guess: int | None) -> list[int]:
        people = ((slot, self.record(slot).get("personal_information") or {}) for slot in self._likely(guess))
        return [slot for slot, person in people if str(person.get(field)).casefold() == wanted]

    def _likely(self, guess: int | None) -> list[int]:
        # A seeded customer's number can be read off its e-mail, phone and card; changed ones are few and all tried.
        likely = sorted({*self._changed, *self._accounts, *(() if guess is None else (guess,))})
        return [slot for slot in likely if self._is_live(slot)]

    def _is_live(self, slot: int) -> bool:
        if slot >= self._next:
            return False
        place = bisect_left(self._live, slot)
        return place < len(self._live) and self._live[place] == slot

    def _known(self, customer_id: str) -> int:
        slot = self.slot(customer_id)
        if slot is None:
            raise KeyError(customer_id)
        return slot


class _Ordering:
    """Numbers of customers in the order of one field: four bytes each.

    Args:
        slots: The numbers, in any order.
        key: Sort key of a number; no two numbers have the same.
    """

    __slots__ = ("_key", "slots")

    def __init__(self, slots: Iterable[int], *, key: Callable[[int], Any]) -> None:
        self._key = key
        self.slots = array("I", sorted(slots, key=key))

    def add(self, slot: int) -> None:
        """Put a number in its place."""
        self.slots.insert(bisect_left(self.slots, self._key(slot), key=self._key), slot)

    def remove(self, slot: int) -> None:
        """Remove a number; its key must be the one with which it was added."""
        place = bisect_left(self.slots, self._key(slot), key=self._key)
        if place < len(self.slots) and self.slots[place] == slot:
            del self.slots[place]
