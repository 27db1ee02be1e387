"""`Tables`: the tables of all lists except customers, made on first use."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Final

from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.customer_store import CustomerStore
from carecloud_async.sandbox.state.plans import CUSTOMERS, USERS, TablePlan, api_plans
from carecloud_async.sandbox.state.record_ids import RecordIds
from carecloud_async.sandbox.state.record_maker import RecordMaker
from carecloud_async.sandbox.state.table import Table
from carecloud_async.sandbox.state.users import DEFAULT_USERS, user

DEFAULT_RECORDS: Final = 250


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
        self._records = records
        self._users = users
        self._customers = customers
        self._timestamp = timestamp
        self._tables: dict[tuple[str, str | None], Table] = {}
        self._ids = RecordIds(seed=seed, records=records, users=users, customers=customers)
        self.maker: RecordMaker = RecordMaker(seed=seed, refer=self._ids.refer, untidy=untidy)

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

    def of_parents(self, name: str) -> dict[str, Table]:
        """The tables that were made so far of a list that each parent has one of, by the parent's id."""
        with self.lock:
            return {parent: table for (one, parent), table in self._tables.items() if one == name and parent}

    def exists(self, collection: str, record_id: str) -> bool:
        """Whether the list with this path has a record."""
        if collection == CUSTOMERS:
            return record_id in self._customers
        return record_id in self.table(api_plans().lists[collection].table)

    def _build(self, plan: TablePlan, parent_id: str | None) -> Table:
        if (plan.parent_name is None) != (parent_id is None):
            raise KeyError(f"{plan.name} needs the id of its parent" if parent_id is None else plan.name)
        parent = {plan.parent_name: parent_id} if plan.parent_name and parent_id else {}

        def make(number: int, record_id: str) -> JsonObject:
            if plan.name == USERS:
                return user(number)
            return self.maker.record(plan, number, record_id=record_id, parent=parent)

        def new_id(number: int) -> str:
            return self._ids.id_of(plan, number, parent_id)

        sent = self._sent_with_parent(plan, parent_id)
        return Table(
            plan,
            list(sent) or [new_id(number) for number in range(self._size_at_start(plan, parent_id))],
            make=lambda number, record_id: sent.get(record_id) or make(number, record_id),
            new_id=new_id,
            timestamp=self._timestamp,
            lock=self.lock,
        )

    def _size_at_start(self, plan: TablePlan, parent_id: str | None) -> int:
        if plan.name == USERS:
            return max(self._users, 1)
        if plan.parent_name is None or parent_id is None:
            return self._records
        # Parents that were created later begin without records.
        if plan.parent_name == "customer_id":
            slot = self._customers.slot(parent_id)
            return self._records if slot is None or slot < self._customers.seeded else 0
        parents = self._parents(plan)
        return self._records if parent_id not in parents or parents.is_seeded(parent_id) else 0

    def _sent_with_parent(self, plan: TablePlan, parent_id: str | None) -> dict[str, JsonObject]:
        """The records, by id, that came within the record of their parent, such as the items of a bill."""
        if plan.id_field is None or parent_id is None or plan.parent_name == "customer_id":
            return {}
        parents = self._parents(plan)
        if parent_id not in parents or parents.is_seeded(parent_id):
            return {}
        rows = parents.record(parent_id).get(plan.name.rpartition("/")[2].replace("-", "_"))
        return {row[plan.id_field]: row for row in rows if plan.id_field in row} if isinstance(rows, list) else {}

    def _parents(self, plan: TablePlan) -> Table:
        """The table of the parents, which are not customers, of a list that each of them has one of."""
        return self.table(api_plans().lists[plan.name.partition("/{")[0]].table)
