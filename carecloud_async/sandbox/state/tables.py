"""`Tables`: the tables of all lists, made on first use, and the ids by which their records name each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from threading import RLock
from typing import Final

from carecloud_async.sandbox.constants import (
    CUSTOMER_APPLICATION_ID,
    CUSTOMER_SOURCE_IDS,
    OTHER_CUSTOMER_APPLICATION_ID,
)
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.customer_store import CustomerStore
from carecloud_async.sandbox.state.draw import Draw, hex_id
from carecloud_async.sandbox.state.people import CONSENT_IDS, LANGUAGES, ROLE_IDS, STORE_IDS, user, user_id
from carecloud_async.sandbox.state.plans import CUSTOMERS, USERS, TablePlan, api_plans
from carecloud_async.sandbox.state.record_maker import RecordMaker
from carecloud_async.sandbox.state.table import Table

DEFAULT_RECORDS: Final = 250
DEFAULT_USERS: Final = 137

_FIRST_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "/agreements": CONSENT_IDS,
    "/customer-external-applications": (CUSTOMER_APPLICATION_ID, OTHER_CUSTOMER_APPLICATION_ID),
    "/customer-sources": CUSTOMER_SOURCE_IDS,
    "/languages": (*LANGUAGES, "pl", "fr", "es", "it", "hu", "uk"),
    "/stores": STORE_IDS,
    "/user-roles": ROLE_IDS,
}
"""Ids that customers, users and logins of the sandbox name."""


class Tables:
    """All tables of a sandbox.

    Args:
        seed: Another seed makes other records.
        records: Number of records of each table at the start.
        customers: The table of customers.
        users: Number of users of the enterprise interface.
        timestamp: Returns the time of a change as the API writes it.
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
        self.maker: RecordMaker = RecordMaker(seed=seed, refer=self._refer, untidy=untidy)
        self._seed = seed
        self._records = records
        self._users = users
        self._customers = customers
        self._timestamp = timestamp
        self._tables: dict[tuple[str, str | None], Table] = {(CUSTOMERS, None): customers}

    def table(self, name: str, parent_id: str | None = None) -> Table:
        """A table, made on first use.

        Args:
            name: Path template of its list.
            parent_id: Id of the parent, for a list below a parent.

        Raises:
            KeyError: There is no such table.
        """
        with self.lock:
            found = self._tables.get((name, parent_id))
            if found is None:
                found = self._tables[name, parent_id] = self._build(api_plans().tables[name], parent_id)
            return found

    def of_parents(self, name: str) -> dict[str, Table]:
        """The tables of a list below a parent that exist so far, by the parent's id."""
        with self.lock:
            return {parent: table for (one, parent), table in self._tables.items() if one == name and parent}

    def exists(self, collection: str, record_id: str) -> bool:
        """Whether the list with this path has a record."""
        return record_id in self.table(api_plans().lists[collection].table)

    def _build(self, plan: TablePlan, parent_id: str | None) -> Table:
        if (plan.parent_name is None) != (parent_id is None):
            raise KeyError(f"{plan.name} needs the id of its parent" if parent_id is None else plan.name)
        parent = {plan.parent_name: parent_id} if plan.parent_name and parent_id else {}
        sent = self._sent_with_parent(plan, parent_id)
        size = len(sent) or self._size_at_start(plan, parent_id)

        def make(number: int, record_id: str) -> JsonObject:
            if number < len(sent):
                return sent[number]
            if plan.name == USERS:
                return user(number)
            return self.maker.record(plan, number, record_id=record_id, parent=parent)

        @cache
        def id_of(number: int) -> str:
            if number < len(sent):
                return str(sent[number][plan.id_field or ""])
            return self._id_of(plan, number, parent_id)

        return Table(plan, size, id_of=id_of, make=make, timestamp=self._timestamp, lock=self.lock)

    def _size_at_start(self, plan: TablePlan, parent_id: str | None) -> int:
        if plan.name == USERS:
            return max(self._users, 1)
        return self._records if self._seeded_parent(plan, parent_id) else 0

    def _seeded_parent(self, plan: TablePlan, parent_id: str | None) -> bool:
        """Whether a table has no parent, or a parent that was there from the start; others begin without records."""
        if parent_id is None:
            return True
        parents = self._parents(plan)
        return parent_id not in parents or parents.is_seeded(parent_id)

    def _sent_with_parent(self, plan: TablePlan, parent_id: str | None) -> list[JsonObject]:
        """The records that were sent within their parent, such as the items of a bill."""
        if plan.id_field is None or parent_id is None or self._seeded_parent(plan, parent_id):
            return []
        rows = self._parents(plan).record(parent_id).get(plan.name.rpartition("/")[2].replace("-", "_"))
        return [row for row in rows if plan.id_field in row] if isinstance(rows, list) else []

    def _parents(self, plan: TablePlan) -> Table:
        """The table of the parents of a list below a parent."""
        return self.table(api_plans().lists[plan.name.partition("/{")[0]].table)

    def _id_of(self, plan: TablePlan, number: int, parent_id: str | None) -> str:
        """The id of the record with this number in a table, whether the record exists or not."""
        if plan.name == USERS:
            return user_id(number)
        first = _FIRST_IDS.get(plan.name, ())
        if number < len(first):
            return first[number]
        # The records of some tables have the ids of those of another: a list of recommended products, of products.
        tables = api_plans().tables
        named = api_plans().referred(plan.id_field or "", schema=plan.schema, table=plan.name)
        if named not in (None, plan.name) and named in tables and number < self._records:
            return self._id_of(tables[named], number, None)
        return hex_id(f"{self._seed}:{plan.name}:{parent_id or ''}:{number}")

    def _refer(self, collection: str, draw: Draw, number: int) -> str:
        """The id of a record for a field that refers to its list.

        Args:
            collection: The path of the list that the record is in.
            draw: Chooses it.
            number: The number of the record that names it; first records name first records.
        """
        if collection == USERS:
            return user_id(draw.below(max(1, min(self._users, DEFAULT_USERS))))
        if collection == CUSTOMERS:
            if not self._customers.seeded:
                return hex_id(f"{self._seed}:{CUSTOMERS}:{number}")
            # The first customer, the one of most examples, has a tenth of everything.
            return self._customers.id_of(0 if number % 10 == 0 else draw.below(self._customers.seeded))
        chosen = 0 if number == 0 else draw.below(max(self._records, 1))
        return self._id_of(api_plans().tables[collection], chosen, None)
