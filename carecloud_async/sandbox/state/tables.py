"""The tables of all lists except customers: made on first use, changed by requests and by tests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import RLock
from typing import Any, Final

from carecloud_async.sandbox.constants import (
    CUSTOMER_APPLICATION_ID,
    CUSTOMER_SOURCE_IDS,
    OTHER_CUSTOMER_APPLICATION_ID,
)
from carecloud_async.sandbox.json_text import JsonObject, merged
from carecloud_async.sandbox.state.customer_store import CustomerStore
from carecloud_async.sandbox.state.draw import Draw, hex_id
from carecloud_async.sandbox.state.people import CONSENT_IDS, LANGUAGES, STORE_IDS
from carecloud_async.sandbox.state.plans import CUSTOMERS, USERS, TablePlan, api_plans
from carecloud_async.sandbox.state.record_maker import RecordMaker
from carecloud_async.sandbox.state.searches import Searches
from carecloud_async.sandbox.state.users import DEFAULT_USERS, ROLE_IDS, user, user_id

DEFAULT_RECORDS: Final = 250
_FIRST_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "/agreements": CONSENT_IDS,
    "/customer-external-applications": (CUSTOMER_APPLICATION_ID, OTHER_CUSTOMER_APPLICATION_ID),
    "/customer-sources": CUSTOMER_SOURCE_IDS,
    "/languages": (*LANGUAGES, "pl", "fr", "es", "it", "hu", "uk"),
    "/stores": STORE_IDS,
    "/user-roles": ROLE_IDS,
}
"""Ids that customers, users and logins of the sandbox name."""


class Table:
    """The records of one list; tests use it to change the state without the client.

    A record is made when it is first asked for. Safe to use from another thread than the server's.

    Args:
        plan: Its list, schema and id.
        ids: The ids of the records at the start.
        make: Makes the record with this number and id.
        new_id: Returns the id of the record with this number.
        timestamp: Returns the time of a change as the API writes it.
        lock: Held while a record is changed.

    Attributes:
        plan: Its list, schema and id.
        searches: What searches found in it.
    """

    def __init__(
        self,
        plan: TablePlan,
        ids: Sequence[str],
        *,
        make: Callable[[int, str], JsonObject],
        new_id: Callable[[int], str],
        timestamp: Callable[[], str],
        lock: RLock,
    ) -> None:
        self.plan = plan
        self.searches: Searches[list[str]] = Searches()
        self._numbers: dict[str, int] = {record_id: number for number, record_id in enumerate(ids)}
        self._records: dict[str, JsonObject] = {}
        self._make = make
        self._new_id = new_id
        self._timestamp = timestamp
        self._lock = lock
        self._next = len(ids)

    def __repr__(self) -> str:
        return f"<Table {self.plan.name} of {len(self)} records>"

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, record_id: object) -> bool:
        return record_id in self._numbers

    def __iter__(self) -> Iterator[JsonObject]:
        """Copies of all records, oldest first."""
        return (self.get(record_id) for record_id in self.ids())

    def ids(self) -> list[str]:
        """The ids of all records, oldest first; of records without an id in the API, the sandbox's own."""
        return list(self._numbers)

    def items(self) -> Iterator[tuple[str, JsonObject]]:
        """The ids of all records and the records themselves, not to be changed; oldest first."""
        return ((record_id, self.record(record_id)) for record_id in self.ids())

    def get(self, record_id: str) -> JsonObject:
        """A copy of a record.

        Raises:
            KeyError: There is no such record.
        """
        return copy.deepcopy(self.record(record_id))

    def record(self, record_id: str) -> JsonObject:
        """A record itself, not to be changed.

        Raises:
            KeyError: There is no such record.
        """
        number = self._numbers[record_id]
        if record_id not in self._records:
            self._records[record_id] = self._make(number, record_id)
        return self._records[record_id]

    def insert(self, record: JsonObject | None = None) -> str:
        """Add a record.

        Args:
            record: Its fields; the id and `last_change` are the server's. `None` makes one up.

        Returns:
            The new id.
        """
        with self._lock:
            number = self._next
            self._next += 1
            record_id = self._new_id(number)
            self._store(record_id, self._make(number, record_id) if record is None else record, own_id=record_id)
            self._numbers[record_id] = number
            return record_id

    def update(self, record_id: str, changes: JsonObject) -> None:
        """Change some fields of a record, deep; `last_change`, if it has one, becomes now unless it is among them.

        Raises:
            KeyError: There is no such record.
        """
        before = self.record(record_id)
        dated = {"last_change": self._timestamp()} if "last_change" in before else {}
        self.replace(record_id, merged(before, {**dated, **changes}))

    def replace(self, record_id: str, record: JsonObject) -> None:
        """Replace a whole record; only the id stays.

        Raises:
            KeyError: There is no such record.
        """
        with self._lock:
            before = self.record(record_id)
            self._store(record_id, record, own_id=before.get(self.plan.id_field or "", record_id))

    def delete(self, record_id: str) -> None:
        """Remove a record.

        Raises:
            KeyError: There is no such record.
        """
        with self._lock:
            del self._numbers[record_id]
            self._records.pop(record_id, None)
            self.searches.clear()

    def refill(self, records: Iterable[JsonObject]) -> None:
        """Put other records in the place of all that are there."""
        with self._lock:
            for record_id in self.ids():
                self.delete(record_id)
            for record in records:
                self.insert(record)

    def _store(self, record_id: str, record: JsonObject, *, own_id: Any) -> None:
        own = {} if self.plan.id_field is None else {self.plan.id_field: own_id}
        self._records[record_id] = {**own, **copy.deepcopy(record), **own}
        self.searches.clear()


class Tables:
    """All tables of a sandbox.

    Args:
        seed: Another seed makes other records.
        records: Number of records of each table at the start.
        customers: The customers that records refer to.
        users: Number of users of the enterprise interface.
        timestamp: Gives the time of a change as the API writes it.
        untidy: Whether some records are as untidy as real ones.

    Attributes:
        lock: Held while a table is made or changed.
        maker: Makes records and answers.
    """

    def __init__(
        self,
        *,
        seed: int,
        records: int,
        customers: CustomerStore,
        users: int = DEFAULT_USERS,
        timestamp: Callable[[], str],
        untidy: bool = True,
    ) -> None:
        if records < 0:
            raise ValueError("a sandbox cannot have a negative number of records")
        self.lock: RLock = customers.lock
        self._seed = seed
        self._count = records
        self._customers = customers
        self._user_count = users
        self._timestamp = timestamp
        self._tables: dict[tuple[str, str | None], Table] = {}
        self.maker: RecordMaker = RecordMaker(seed=seed, refer=self._refer, untidy=untidy)

    def table(self, name: str, parent_id: str | None = None) -> Table:
        """A table, made on first use.

        Args:
            name: Path template of its list.
            parent_id: Id of the parent, for a table that each parent has one of.

        Raises:
            KeyError: There is no such table.
        """
        with self.lock:
            found = self._tables.get((name, parent_id))
            if found is None:
                found = self._tables[name, parent_id] = self._build(api_plans().tables[name], parent_id)
            return found

    def exists(self, collection: str, record_id: str) -> bool:
        """Whether the list with this path has a record."""
        if collection == CUSTOMERS:
            return record_id in self._customers
        return record_id in self.table(api_plans().lists[collection].table)

    def _build(self, plan: TablePlan, parent_id: str | None) -> Table:
        if (plan.parent_name is None) != (parent_id is None):
            raise KeyError(f"{plan.name} needs the id of its parent" if parent_id is None else plan.name)
        parent = {plan.parent_name: parent_id} if plan.parent_name and parent_id else {}
        # A customer who was created later begins without records.
        slot = self._customers.slot(parent_id or "") if plan.parent_name == "customer_id" else None
        count = self._count if slot is None or slot < self._customers.seeded else 0

        def make(number: int, record_id: str) -> JsonObject:
            return self.maker.record(plan, number, record_id=record_id, parent=parent)

        def make_user(number: int, _: str) -> JsonObject:
            return user(number)

        def new_id(number: int) -> str:
            return self._id(plan, number, parent_id)

        is_users = plan.name == USERS
        return Table(
            plan,
            [new_id(number) for number in range(max(self._user_count, 1) if is_users else count)],
            make=make_user if is_users else make,
            new_id=new_id,
            timestamp=self._timestamp,
            lock=self.lock,
        )

    def _id(self, plan: TablePlan, number: int, parent_id: str | None) -> str:
        """The id of the record with this number in a table."""
        if plan.name == USERS:
            return user_id(number)
        first = _FIRST_IDS.get(plan.name, ())
        if number < len(first):
            return first[number]
        # A list of some products is known by the ids of the products.
        elsewhere = api_plans().referred(plan.id_field or "", schema=plan.schema, table=plan.name)
        if elsewhere not in (None, plan.name) and elsewhere in api_plans().tables and number < self._count:
            return self._id(api_plans().tables[elsewhere], number, None)
        return hex_id(f"{self._seed}:{plan.name}:{parent_id or ''}:{number}")

    def _refer(self, collection: str, draw: Draw, number: int) -> str:
        """The id of a record of a collection, chosen for the record with this number in another table."""
        if collection == USERS:
            return user_id(draw.below(max(1, min(self._user_count, DEFAULT_USERS))))
        if collection != CUSTOMERS:
            # First records refer to first records.
            chosen = 0 if number == 0 else draw.below(max(self._count, 1))
            return self._id(api_plans().tables[collection], chosen, None)
        if not self._customers.seeded:
            return hex_id(f"{self._seed}:{CUSTOMERS}:{number}")
        # The first customer, the one of most examples, has a tenth of everything.
        return self._customers.id_of(0 if number % 10 == 0 else draw.below(self._customers.seeded))
