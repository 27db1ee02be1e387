"""`Table`: the records of one list, made when they are first asked for; changed by requests and by tests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import RLock
from typing import Any

from carecloud_async.sandbox.json_text import JsonObject, merged
from carecloud_async.sandbox.state.plans import TablePlan
from carecloud_async.sandbox.state.searches import Searches


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
        self._seeded = len(ids)
        self._next = len(ids)
        self._indexes: dict[str, dict[str, set[str]]] = {}

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

    def find(self, field: str, *values: object) -> list[str]:
        """The ids of the records whose field has one of these values, or a list with one of them; oldest first.

        Texts are compared without regard to case, numbers as texts.
        """
        with self._lock:
            index = self._indexes.get(field)
            if index is None:
                index = self._indexes[field] = {}
                for record_id, record in self.items():
                    _add_to_index(index, record_id, record.get(field))
            found = {record_id for value in values for record_id in index.get(comparable(value), ())}
            return sorted(found, key=self._numbers.__getitem__)

    def is_seeded(self, record_id: str) -> bool:
        """Whether a record has been there from the start.

        Raises:
            KeyError: There is no such record.
        """
        return self._numbers[record_id] < self._seeded

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
            self._forget(record_id)
            self._store(record_id, record, own_id=before.get(self.plan.id_field or "", record_id))

    def delete(self, record_id: str) -> None:
        """Remove a record.

        Raises:
            KeyError: There is no such record.
        """
        with self._lock:
            self._forget(record_id)
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
        for field, index in self._indexes.items():
            _add_to_index(index, record_id, self._records[record_id].get(field))
        self.searches.clear()

    def _forget(self, record_id: str) -> None:
        """Take a record out of the indexes."""
        for field, index in self._indexes.items():
            for key in _keys(self.record(record_id).get(field)):
                index[key].discard(record_id)


def comparable(value: object) -> str:
    """Return a value as searches compare it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).casefold()


def _keys(value: object) -> set[str]:
    values = value if isinstance(value, list) else (value,)
    return {comparable(one) for one in values if one is not None and not isinstance(one, dict)}


def _add_to_index(index: dict[str, set[str]], record_id: str, value: object) -> None:
    for key in _keys(value):
        index.setdefault(key, set()).add(record_id)
