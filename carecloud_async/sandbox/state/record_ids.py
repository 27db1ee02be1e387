"""`RecordIds`: which id the record with a number has, so that records of one table can name those of another.

Ids follow from the seed: a table does not have to exist for its ids to be known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from carecloud_async.sandbox.constants import (
    CUSTOMER_APPLICATION_ID,
    CUSTOMER_SOURCE_IDS,
    OTHER_CUSTOMER_APPLICATION_ID,
)
from carecloud_async.sandbox.state.customer_store import CustomerStore
from carecloud_async.sandbox.state.draw import Draw, hex_id
from carecloud_async.sandbox.state.people import CONSENT_IDS, LANGUAGES, STORE_IDS
from carecloud_async.sandbox.state.plans import CUSTOMERS, USERS, TablePlan, api_plans
from carecloud_async.sandbox.state.users import DEFAULT_USERS, ROLE_IDS, user_id

_FIRST_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "/agreements": CONSENT_IDS,
    "/customer-external-applications": (CUSTOMER_APPLICATION_ID, OTHER_CUSTOMER_APPLICATION_ID),
    "/customer-sources": CUSTOMER_SOURCE_IDS,
    "/languages": (*LANGUAGES, "pl", "fr", "es", "it", "hu", "uk"),
    "/stores": STORE_IDS,
    "/user-roles": ROLE_IDS,
}
"""Ids that customers, users and logins of the sandbox name."""


class RecordIds:
    """The ids of a sandbox's records.

    Args:
        seed: The sandbox's seed.
        records: Number of records of each table at the start.
        users: Number of users of the enterprise interface.
        customers: The customers that records refer to.
    """

    def __init__(self, *, seed: int, records: int, users: int, customers: CustomerStore) -> None:
        self._seed = seed
        self._records = records
        self._users = users
        self._customers = customers

    def id_of(self, plan: TablePlan, number: int, parent_id: str | None) -> str:
        """The id of the record with this number in a table."""
        if plan.name == USERS:
            return user_id(number)
        first = _FIRST_IDS.get(plan.name, ())
        if number < len(first):
            return first[number]
        # The records of some tables have the ids of those of another: a list of recommended products, of products.
        tables = api_plans().tables
        named = api_plans().referred(plan.id_field or "", schema=plan.schema, table=plan.name)
        if named not in (None, plan.name) and named in tables and number < self._records:
            return self.id_of(tables[named], number, None)
        return hex_id(f"{self._seed}:{plan.name}:{parent_id or ''}:{number}")

    def refer(self, collection: str, draw: Draw, number: int) -> str:
        """The id of a record that another one names.

        Args:
            collection: The path of the list that the record is in.
            draw: Chooses it.
            number: The number of the record that names it; first records name first records.
        """
        if collection == USERS:
            return user_id(draw.below(max(1, min(self._users, DEFAULT_USERS))))
        if collection == CUSTOMERS:
            return self._refer_to_customer(draw, number)
        chosen = 0 if number == 0 else draw.below(max(self._records, 1))
        return self.id_of(api_plans().tables[collection], chosen, None)

    def _refer_to_customer(self, draw: Draw, number: int) -> str:
        if not self._customers.seeded:
            return hex_id(f"{self._seed}:{CUSTOMERS}:{number}")
        # The first customer, the one of most examples, has a tenth of everything.
        return self._customers.id_of(0 if number % 10 == 0 else draw.below(self._customers.seeded))
